// Through pilotfish an SDK gets what it gets from the CLI itself: the same results and, per session, the same events in
// the same order. Once compared between two runs, once frame by frame within one run.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { Fleet } from "../lib/fleet.mjs";
import { runScript } from "../lib/script.mjs";
import { ask, eventually, PATIENCE } from "../lib/turns.mjs";

/** What the runs of one script may be compared with: pilotfish, or (to test this test) the CLI once more. */
const target = process.env.TARGET ?? "pilotfish";
const fleets = [{ backends: 1 }, { backends: 3 }, { backends: 3, storage: "local" }].filter(({ backends }) => target !== "direct" || backends === 1);

describe("parity with the CLI itself", { timeout: 10 * PATIENCE }, () => {
    let expected;
    before(async () => (expected = await outcome({ backends: 1, target: "direct" })));

    async function outcome(options) {
        const fleet = await Fleet.start(options);
        try {
            return await runScript(fleet);
        } finally {
            await fleet.stop();
        }
    }

    // One difference rather than the whole of two long lists.
    function sameLists(what, actual, expected) {
        const length = Math.max(actual.length, expected.length);
        const at = Array.from({ length }, (_, index) => index).find((index) => !isDeepStrictEqual(actual[index], expected[index]));
        if (at !== undefined) assert.deepEqual(actual.slice(at, at + 2), expected.slice(at, at + 2), `${what}, from number ${at} on`);
    }

    for (const { backends, storage = "shared" } of fleets) {
        it(`gives the same results and events with ${backends} CLI(s), ${storage} storage`, async () => {
            const actual = await outcome({ backends, storage, target });
            sameLists("results", actual.results, expected.results);
            for (const [name, events] of expected.events) sameLists(`events of session ${name}`, actual.events.get(name), events);
        });
    }
});

describe("every event as the CLI sent it", { timeout: 5 * PATIENCE }, () => {
    let fleet;
    before(async () => (fleet = await Fleet.start({ backends: target === "direct" ? 1 : 3, taps: true, target })));
    after(() => fleet?.stop());

    it("reaches the client unchanged and in order", async () => {
        const connection = await fleet.raw();
        const client = await fleet.client();
        const ids = [];
        for (let number = 0; number < 6; number++) {
            const session = await client.createSession(fleet.session({ streaming: true }));
            await ask(session, `number ${number}`);
            const { sessionId } = session;
            const { model, provider } = fleet.session();
            await connection.request("session.resume", { sessionId, model, provider, streaming: true });
            ids.push(sessionId);
        }
        const received = (id, type) =>
            connection.received.filter(({ method, params }) => method === "session.event" && params.sessionId === id && (!type || params.event.type === type));
        await Promise.all(ids.map((sessionId) => connection.request("session.send", { sessionId, prompt: "[[words:400]]" })));
        for (const id of ids) await eventually("idle", () => received(id, "session.idle").length === 1);
        for (const id of ids) {
            const events = received(id).map(({ params }) => params.event);
            const [first] = events;
            const sent = fleet.taps.map((tap) => onConnectionOf(tap, id, first)).find((list) => list.length > 0);
            assert.ok(events.length > 400);
            assert.deepEqual(events, sent.slice(0, events.length));
        }
    });

    /** The events of a session on the connection that carried its `session.resume`. */
    function onConnectionOf(tap, id) {
        const resumed = tap.seen.find(({ from, message }) => from === "client" && message.method === "session.resume" && message.params.sessionId === id);
        if (!resumed) return [];
        const events = tap.seen.filter(({ connection, from, message }) => connection === resumed.connection && from === "server" && message.method === "session.event");
        return events.filter(({ message }) => message.params.sessionId === id).map(({ message }) => message.params.event);
    }
});
