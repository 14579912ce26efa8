// Names that a careless comparison would take for each other: a prefix, other characters between, another case, the length limit.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { Seat, walled } from "../lib/tenants.mjs";
import { ask, PATIENCE } from "../lib/turns.mjs";

const LONGEST = "z".repeat(64);
const ALIKE = ["a", "a-b", "a_b", "A", "a-b-c", LONGEST, `${LONGEST.slice(1)}y`];
/** By record, a name need not be the beginning of an id. */
const RULES = { prefix: ALIKE, registry: [...ALIKE, "a-", "a.b", "a--b"] };

for (const [rule, NAMES] of Object.entries(RULES)) {
    describe(`tenants a, a-b, a_b, A and such with session_ids = "${rule}"`, { timeout: 10 * PATIENCE }, () => {
        let fleet;
        const seats = new Map();
        /** id -> name of its owner */
        const owners = new Map();

        before(async () => {
            fleet = await Fleet.start(walled(Object.fromEntries(NAMES.map((name) => [name, ""])), { rule, backends: 1 }));
            for (const name of NAMES) seats.set(name, await Seat.take(fleet, name));
        });
        after(async () => {
            for (const seat of seats.values()) await seat.stop();
            await fleet?.stop();
        });

        it("gives each of them sessions", async () => {
            for (const [name, seat] of seats) {
                seat.sdk = await seat.client();
                seat.connection = await seat.raw();
                const stem = name.replace(".", "-dot-");
                for (const sessionId of [`${stem}--x`, `${stem}--${randomUUID()}`, undefined]) {
                    const session = await seat.sdk.createSession(seat.session({ sessionId }));
                    assert.equal(await ask(session, `of ${name}`), `You said: of ${name}`);
                    owners.set(session.sessionId, name);
                }
                const { sessionId } = await seat.connection.request("session.create", seat.session());
                assert.ok(rule === "registry" || sessionId.startsWith(`${name}--`), sessionId);
            }
        });

        it("shows each of them his own alone", async () => {
            for (const [name, seat] of seats) {
                const listed = (await seat.sdk.listSessions()).map(({ sessionId }) => sessionId);
                assert.deepEqual(listed.sort(), [...owners].filter(([, owner]) => owner === name).map(([id]) => id).sort(), name);
            }
        });

        it("lets none resume, read, delete or create another's", async () => {
            const wrong = [];
            for (const [name, seat] of seats) {
                for (const [id, owner] of owners) {
                    if (owner === name) continue;
                    for (const [method, params] of [
                        ["session.resume", seat.session()],
                        ["session.create", seat.session()],
                        ["session.getMessages", {}],
                        ["session.send", { prompt: "x" }],
                        ["session.delete", {}],
                        ["sessions.fork", {}],
                        ["sessions.open", { kind: "resume" }],
                        ["sessions.open", { kind: "attach" }],
                    ]) {
                        const { message, text } = await seat.connection.exchange(method, { ...params, sessionId: id });
                        const nothing = message.error?.message.includes("not found") || message.error?.message.includes("no persisted");
                        if (!nothing && message.result?.success !== false && message.result?.status !== "not_found") wrong.push({ name, id, method, text });
                    }
                }
            }
            assert.deepEqual(wrong, []);
        });

        it("lets each of them go on", async () => {
            for (const [id, name] of owners) {
                const session = await seats.get(name).sdk.resumeSession(id, fleet.session());
                assert.equal(await ask(session, "[[history]] on"), `2 user messages: of ${name} | on`);
            }
        });

        it("tells none of another's ids in any frame", () => {
            for (const [name, seat] of seats) {
                const others = [...owners].filter(([, owner]) => owner !== name).map(([id]) => id);
                // `a--x` is the end of others' ids: only a whole one counts.
                assert.deepEqual(seat.heard(others.map((id) => `"${id}"`)), [], name);
            }
        });
    });
}

describe("names that no tenant can have under the prefix rule", { timeout: 2 * PATIENCE }, () => {
    for (const name of ["a-", "-a", "a--b", "a.b", "a*", "^a", "", `${LONGEST}z`, "ä"]) {
        it(`refuses ${JSON.stringify(name)} as an error of the config`, async () => {
            await assert.rejects(Fleet.start(walled({ [name]: "" }, { backends: 0 })), /: error: tenant\[0\]\.name: found /);
        });
    }
});
