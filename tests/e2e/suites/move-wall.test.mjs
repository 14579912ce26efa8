// A tenant's lost turn goes on for that tenant alone: nobody else hears of it, and its owner gets the rest.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { Seat, walled } from "../lib/tenants.mjs";
import { ask, eventually, next, PATIENCE, record } from "../lib/turns.mjs";

for (const rule of ["prefix", "registry"]) {
    describe(`a turn whose client is lost, behind the wall (${rule})`, { timeout: 4 * PATIENCE }, () => {
        let fleet, alice, bob;
        before(async () => {
            fleet = await Fleet.start(walled({ alice: "", bob: "" }, { rule, backends: 2 }));
            [alice, bob] = [await Seat.take(fleet, "alice"), await Seat.take(fleet, "bob")];
        });
        after(async () => {
            await alice?.stop();
            await bob?.stop();
            await fleet?.stop();
        });

        it("is nobody's but its tenant's", async () => {
            const [lost, stranger] = [await alice.client(), await bob.client()];
            const own = await stranger.createSession(bob.session({ streaming: true, sessionId: "bob--own" }));
            await ask(own, "mine");
            const session = await lost.createSession(alice.session({ streaming: true, sessionId: "alice--orphan" }));
            const seen = record(session);
            const running = next(session, "assistant.message_delta");
            await session.send({ prompt: "[[delay:4000]] quince one two three four five six seven" });
            await running;
            await lost.forceStop();
            await eventually("it is kept", async () => /pilotfish_orphans\{[^}]*\} 1/.test(await (await fetch(`http://${fleet.proxy.admin}/metrics`)).text()));

            await assert.rejects(stranger.resumeSession(session.sessionId, bob.session()), /Session not found/);
            assert.ok(!(await stranger.listSessions()).some(({ sessionId }) => sessionId === session.sessionId));
            await ask(own, "still mine");

            const events = [];
            const back = await (await alice.client()).resumeSession(session.sessionId, alice.session({ streaming: true, onEvent: (event) => events.push(event) }));
            await eventually("idle", () => events.some(({ type }) => type === "session.idle"));
            const before = new Set(seen.map(({ id }) => id));
            assert.ok(!events.some(({ id }) => before.has(id)), "nothing that it had seen");
            const deltas = [...seen, ...events].filter(({ type }) => type === "assistant.message_delta").map(({ data }) => data.deltaContent);
            assert.equal(deltas.join(""), "You said: quince one two three four five six seven");
            assert.equal(await ask(back, "more"), "You said: more");
            assert.deepEqual(bob.heard(["quince", "alice--orphan"]), [], "bob heard nothing of it");
        });
    });
}
