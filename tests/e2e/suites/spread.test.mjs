// 100 sessions over three CLIs: one home each, an even spread, and the same homes for every pilotfish.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { ask, PATIENCE } from "../lib/turns.mjs";

const SESSIONS = process.env.SUITE === "long" ? 300 : 100;
const BACKENDS = 3;
/** The bound on load that DESIGN sets: 1.25 x the mean. */
const MOST = Math.ceil((1.25 * SESSIONS) / BACKENDS);
/** So many turns run at once; the CLIs share two cores with everything else. */
const AT_ONCE = 6;

describe(`${SESSIONS} sessions over 3 CLIs`, { timeout: 20 * PATIENCE }, () => {
    let fleet;
    const ids = Array.from({ length: SESSIONS }, () => randomUUID());
    let homes;
    before(async () => (fleet = await Fleet.start({ backends: BACKENDS, taps: true, target: "pilotfish" })));
    after(() => fleet?.stop());

    /** session id -> names of the backends that got any message of it since `from` (an index for each tap). */
    function reached(from = fleet.taps.map(() => 0)) {
        const reached = new Map(ids.map((id) => [id, new Set()]));
        for (const [index, tap] of fleet.taps.entries()) {
            for (const { from: side, message } of tap.seen.slice(from[index])) {
                if (side === "client") reached.get(message.params?.sessionId)?.add(fleet.clis[index].name);
            }
        }
        return reached;
    }

    /** Resumes all sessions one after the other (the bound on load depends on the order) and returns where each went. */
    async function resumeAll(address) {
        const from = fleet.taps.map(({ seen }) => seen.length);
        const client = await fleet.client(address);
        for (const id of ids) await client.resumeSession(id, fleet.session());
        await client.stop();
        return new Map([...reached(from)].map(([id, names]) => [id, [...names].join()]));
    }

    it("sends all of a session's messages to one backend", async () => {
        const client = await fleet.client();
        const sessions = [];
        for (const sessionId of ids) sessions.push(await client.createSession(fleet.session({ sessionId })));
        const left = sessions.entries();
        const converse = async () => {
            for (const [index, session] of left) {
                assert.equal(await ask(session, `prompt ${index}`), `You said: prompt ${index}`);
                await session.getEvents();
            }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, converse));
        await client.stop();
        homes = new Map();
        for (const [id, names] of reached()) {
            assert.equal(names.size, 1, `session ${id} reached ${[...names]}`);
            homes.set(id, [...names].join());
        }
    });

    it("keeps every backend within the bound", (t) => {
        const counts = fleet.clis.map(({ name }) => [...homes.values()].filter((home) => home === name).length);
        t.diagnostic(`sessions on each backend: ${counts}`);
        assert.equal(counts.reduce((sum, count) => sum + count), SESSIONS);
        assert.ok(Math.max(...counts) <= MOST, `${counts} against ${MOST}`);
    });

    it("places them alike in a second instance", async () => {
        const second = await fleet.startProxy();
        assert.deepEqual(await resumeAll(second.address), homes);
    });

    it("places them alike after a restart", async () => {
        const { code } = await fleet.proxy.child.stop();
        assert.equal(code, 0);
        const restarted = await fleet.startProxy();
        assert.deepEqual(await resumeAll(restarted.address), homes);
    });
});
