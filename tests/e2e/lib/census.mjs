// Which sessions live at a CLI, counted without pilotfish: by what goes over the wire, and by the locks on the disk.
import fs from "node:fs";
import path from "node:path";

const OPENS = /^session\.(create|resume)$/;
const ENDS_FOR_ALL = /^(sessions\.close|session\.delete)$/;
const ENDS_FOR_ONE = /^session\.(detach|destroy)$/;

/**
 * What a tap saw of the lives of sessions, counted as strictly as can be: one lives from the request that opens it until the
 * answer to the one that closes it. `peak`: the most at a time; `cut`: closed in the middle of a turn; `closed`: how often we
 * closed one; `lives` and `busy`: those that live, and are in a turn, now.
 */
export function census(tap) {
    const state = { lives: new Map(), busy: new Map(), asked: new Map(), peak: 0, closed: [], cut: [] };
    const ends = tap.ends.map((end) => ({ ...end, ended: true }));
    const all = [...tap.seen, ...ends].sort((a, b) => a.at - b.at);
    for (const entry of all) {
        if (entry.ended) for (const id of [...state.lives.keys()]) leave(state, id, entry.connection);
        else if (entry.from === "client") asked(state, entry);
        else told(state, entry);
    }
    return state;
}

function asked(state, { connection, message: { id, method, params } }) {
    const session = params?.sessionId;
    if (id === undefined || session === undefined) return;
    state.asked.set(`${connection} ${id}`, { method, session });
    if (OPENS.test(method)) {
        const attached = state.lives.get(session) ?? new Set();
        state.lives.set(session, attached.add(connection));
        state.peak = Math.max(state.peak, state.lives.size);
    }
    if (method === "session.send") state.busy.set(session, connection);
    if (method === "sessions.close") {
        state.closed.push(session);
        if (state.busy.has(session)) state.cut.push(session);
    }
}

function told(state, { connection, message: { id, method, params, error } }) {
    if (method === "session.event") {
        if (params.event.type === "session.idle" && state.busy.get(params.sessionId) === connection) state.busy.delete(params.sessionId);
        return;
    }
    if (method !== undefined) return;
    const question = state.asked.get(`${connection} ${id}`);
    if (question === undefined) return;
    state.asked.delete(`${connection} ${id}`);
    if (OPENS.test(question.method) && error) leave(state, question.session, connection);
    if (question.method === "session.send" && error) state.busy.delete(question.session);
    if (ENDS_FOR_ALL.test(question.method)) state.lives.delete(question.session);
    if (ENDS_FOR_ONE.test(question.method)) leave(state, question.session, connection);
}

function leave(state, session, connection) {
    const attached = state.lives.get(session);
    attached?.delete(connection);
    if (attached?.size === 0) state.lives.delete(session);
}

/** The locks that CLIs have on sessions of a home, as `session/inuse.PID.lock`: one is taken with the first turn. */
export function locks(home) {
    const folder = path.join(home, "session-state");
    const found = [];
    for (const session of list(folder)) {
        for (const name of list(path.join(folder, session))) if (/^inuse\.\d+\.lock$/.test(name)) found.push(`${session}/${name}`);
    }
    return found;
}

// A folder may go away while one looks.
function list(folder) {
    try {
        return fs.readdirSync(folder);
    } catch (error) {
        if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
        throw error;
    }
}

/** Looks at the locks of a home every few milliseconds until it is stopped. */
export class LockWatch {
    /** The most sessions that were certainly locked at one moment. */
    peak = 0;
    looks = 0;
    /** Sessions that two processes had locked at one moment, as `session/...`. */
    doubled = new Set();
    #timer;

    constructor(home, interval = 3) {
        let before = [];
        this.#timer = setInterval(() => {
            const now = locks(home);
            // What was there in two looks was there at the moment between them: a look takes a while itself.
            const sure = now.filter((lock) => before.includes(lock));
            const ids = sure.map((lock) => lock.split("/")[0]);
            this.peak = Math.max(this.peak, new Set(ids).size);
            for (const [at, id] of ids.entries()) if (ids.indexOf(id) !== at) this.doubled.add(id);
            before = now;
            this.looks += 1;
        }, interval);
    }

    stop() {
        clearInterval(this.#timer);
        return this;
    }
}

/** Which of `ids` a CLI has live, by its own word: asked over a connection of our own. */
export async function reported(connection, ids) {
    const live = await Promise.all(ids.map((sessionId) => connection.request("session.metadata.activity", { sessionId }).then(() => true, () => false)));
    return ids.filter((_, at) => live[at]);
}

/** Every stored event of a home that says that a session was opened where another process had it. */
export function forked(home) {
    const folder = path.join(home, "session-state");
    return list(folder).filter((id) => {
        const file = path.join(folder, id, "events.jsonl");
        return fs.existsSync(file) && fs.readFileSync(file, "utf8").includes('"alreadyInUse":true');
    });
}
