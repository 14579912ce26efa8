// Conversations in a line or two.

/** Longest time that anything in a test may take; far above what it takes (0.4 s for a turn), far below for ever. */
export const PATIENCE = 30_000;

/** Sends a prompt and returns the text of the answer. */
export async function ask(session, prompt) {
    const answer = await session.sendAndWait({ prompt }, PATIENCE);
    return answer?.data.content;
}

/** Notes all events of a session from now on. */
export function record(session) {
    const events = [];
    session.on((event) => events.push(event));
    return events;
}

/** The next event that `matches` (a type or a function); fails after `ms`. */
export function next(session, matches, ms = PATIENCE) {
    const fits = typeof matches === "string" ? (event) => event.type === matches : matches;
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
            off();
            reject(new Error(`no ${matches} within ${ms} ms`));
        }, ms);
        const off = session.on((event) => {
            if (!fits(event)) return;
            clearTimeout(timer);
            off();
            resolve(event);
        });
    });
}

/** Waits until `condition` (which may be async) holds, looking every 20 ms: for what shows itself by no event. */
export async function eventually(what, condition, ms = PATIENCE) {
    const end = performance.now() + ms;
    for (;;) {
        const value = await condition();
        if (value) return value;
        if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

/** Fails when a promise is not settled within `ms`. */
export function within(ms, what, promise) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The value below which `share` (0 to 1) of the samples lie. */
export function percentile(samples, share) {
    const sorted = [...samples].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}
