// What ownership is worth after a restart of pilotfish: a name still says whose a session is, a record is gone.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { Seat, walled } from "../lib/tenants.mjs";
import { ask, PATIENCE } from "../lib/turns.mjs";

const TENANTS = ["alice", "bob"];

/** Sessions of alice from before the restart, and who may resume them after it. */
const RULES = {
    prefix: { "alice--diary": "alice", "alice--notes": "alice", "": null },
    registry: { "diary4alice": null, "alice--diary": null, "": null },
};

for (const [rule, sessions] of Object.entries(RULES)) {
    describe(`a restart with session_ids = "${rule}"`, { timeout: 10 * PATIENCE }, () => {
        let fleet;
        let seats = {};
        const owners = new Map();

        async function takeSeats(address) {
            for (const seat of Object.values(seats)) await seat.stop();
            seats = Object.fromEntries(await Promise.all(TENANTS.map(async (name) => [name, await Seat.take(fleet, name, address)])));
        }

        before(async () => {
            fleet = await Fleet.start(walled({ alice: "", bob: "" }, { rule, backends: 2, taps: true }));
            await takeSeats(fleet.address);
            const client = await seats.alice.client();
            for (const [name, owner] of Object.entries(sessions)) {
                const session = await client.createSession(seats.alice.session(name ? { sessionId: name } : {}));
                assert.equal(await ask(session, "before"), "You said: before");
                owners.set(session.sessionId, owner);
            }
            await client.stop();
            const { code } = await fleet.proxy.child.stop();
            assert.equal(code, 0);
            const restarted = await fleet.startProxy();
            await takeSeats(restarted.address);
        });
        after(async () => {
            for (const seat of Object.values(seats)) await seat.stop();
            await fleet?.stop();
        });

        const outcome = (promise) => promise.then(() => "done", ({ code, message }) => `${code} ${message}`);

        it("refuses them to everybody else as if they were absent", async () => {
            const absent = rule === "prefix" ? "alice--nowhere" : "nowhere";
            for (const [name, seat] of Object.entries(seats)) {
                const [client, connection] = [await seat.client(), await seat.raw()];
                for (const [id, owner] of owners) {
                    if (owner === name) continue;
                    // A name of her own that is absent is hers to ask the CLI about; a free id is nobody's.
                    const other = name === "alice" && rule === "prefix" ? randomUUID() : absent;
                    const bare = (text, id) => text.replaceAll(id, "(id)").replace(/"id":\d+/, "");
                    assert.equal(bare(await outcome(client.resumeSession(id, seat.session())), id), bare(await outcome(client.resumeSession(other, seat.session())), other));
                    assert.match(await outcome(client.resumeSession(id, seat.session())), /Session not found/);
                    assert.match(await outcome(client.deleteSession(id)), /Session file not found/);
                    assert.equal(await client.getSessionMetadata(id), undefined);
                    for (const method of ["session.getMessages", "session.send", "sessions.readPersistedEvents", "sessions.fork", "sessions.close", "session.getMetadata"]) {
                        const [mine, none] = await Promise.all([id, other].map(async (id) => bare((await connection.exchange(method, { sessionId: id, prompt: "x" })).text, id)));
                        assert.equal(mine, none, `${method} ${id} by ${name}`);
                    }
                }
                const listed = (await client.listSessions()).map(({ sessionId }) => sessionId).sort();
                assert.deepEqual(listed, [...owners].filter(([, owner]) => owner === name).map(([id]) => id).sort());
            }
        });

        it("does not let anybody create over one that is on disk", async () => {
            for (const [name, seat] of Object.entries(seats)) {
                const client = await seat.client();
                for (const [id, owner] of owners) {
                    if (owner === name) continue;
                    assert.match(await outcome(client.createSession(seat.session({ sessionId: id }))), /^-32603 .*Session not found/, `${id} by ${name}`);
                    assert.match(await outcome(client.resumeSession(id, seat.session())), /Session not found/, `${id} by ${name}, once he has tried to create it`);
                }
            }
        });

        it("lets no two take one new id at once", async () => {
            const sessionId = randomUUID();
            const made = await Promise.all(
                Object.values(seats).map(async (seat) => {
                    const client = await seat.client();
                    return outcome(client.createSession(seat.session({ sessionId })));
                }),
            );
            assert.equal(made.filter((text) => text === "done").length, 1, made.join("\n"));
        });

        if (rule === "prefix") it("gives them back to their owner, whole", async () => {
            const client = await seats.alice.client();
            for (const [id, owner] of owners) {
                if (owner !== "alice") continue;
                const session = await client.resumeSession(id, seats.alice.session());
                assert.equal(await ask(session, "[[history]] after"), "2 user messages: before | after");
            }
        });

        it("has harmed none on the disk", async () => {
            const straight = await fleet.client(fleet.clis[0].address);
            for (const id of owners.keys()) {
                const session = await straight.resumeSession(id, fleet.session());
                assert.match(await ask(session, "[[history]] still"), /^[23] user messages: before \|/);
            }
        });
    });
}
