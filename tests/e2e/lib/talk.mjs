// A session with the memory of what was said in it, so that its answers and its history can be checked.
import assert from "node:assert/strict";

import { ask, next, record } from "./turns.mjs";

export class Talk {
    /** What was asked so far, as the model is to have heard it. */
    said = [];
    /** All that have part in this conversation. */
    #circle = [this];

    /** Opens a new session; `number` is its name in prompts and complaints. */
    static async open(client, config, number) {
        return new Talk(await client.createSession(config), number);
    }

    constructor(session, number, said = []) {
        this.number = number;
        this.said = said;
        this.attach(session);
    }

    /** Goes on with the same conversation over another session object. */
    attach(session) {
        this.session = session;
        this.events = record(session);
        return this;
    }

    /** Another client's part in the same conversation. */
    share(session) {
        const other = new Talk(session, this.number, this.said);
        other.#circle = this.#circle;
        this.#circle.push(other);
        return other;
    }

    /** Forgets the others: they are gone. */
    alone() {
        this.#circle = [this];
        return this;
    }

    get id() {
        return this.session.sessionId;
    }

    /** Says one more thing of its own and fails unless the answer is to it; `delay` is how long the model takes. */
    async say(delay = 0) {
        const text = `turn ${this.said.length + 1} of ${this.number}`;
        this.said.push(text);
        assert.equal(await this.#ask(delay ? `[[delay:${delay}]] ${text}` : text), `You said: ${text}`);
    }

    /** Asks, and returns once all others know that the turn is over: their SDKs would take its end for that of their next one. */
    async #ask(prompt) {
        const known = this.#circle.filter((other) => other !== this).map(({ session }) => next(session, "session.idle"));
        const [answer] = await Promise.all([ask(this.session, prompt), ...known]);
        return answer;
    }

    /** Fails unless the stored events and the model have exactly what was said here; that asks one more question. */
    async check() {
        const stored = (await this.session.getEvents()).filter(({ type }) => type === "user.message").map(({ data }) => data.content);
        assert.deepEqual(stored.map(bare), this.said, `stored of ${this.number}`);
        const last = `and of ${this.number}`;
        this.said.push(last);
        const answer = await this.#ask(`[[history]] ${last}`);
        assert.equal(answer, `${this.said.length} user messages: ${this.said.join(" | ")}`, `told to the model of ${this.number}`);
    }

    /** Fails if its client heard anything of what went on behind its back. */
    unnoticed() {
        assertUnnoticed(this.events, `session ${this.number}`);
    }
}

/** A prompt as it is told to the model. */
export const bare = (prompt) => prompt.replace(/^(\[\[[^\]]*\]\])+ /, "");

/** Fails if events tell of a session's life that was not its client's doing, or one comes twice. */
export function assertUnnoticed(events, what) {
    const ids = events.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, `${what}: no event twice`);
    // Its own beginning is told after `createSession` has returned.
    assert.ok(events.filter(({ type }) => type === "session.start").length <= 1, `${what}: begins once`);
    const bad = events.filter(({ type, data }) => /^session\.(error|shutdown)$/.test(type) || (type === "session.resume" && data.alreadyInUse));
    assert.deepEqual(bad, [], what);
}

/** The next numbers below `limit` of a row that looks random and is the same in each run. */
export function* numbers(limit, seed = 1) {
    let state = seed;
    for (;;) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        yield Math.floor((state / 2 ** 32) * limit);
    }
}
