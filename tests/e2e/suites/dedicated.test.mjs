// Each tenant has a real CLI of its own: started at its first word, stopped when it is not used, and back with its sessions.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, afterEach, before, describe, it } from "node:test";

import { Dedicated } from "../lib/dedicated.mjs";
import { metric } from "../lib/metrics.mjs";
import { Talk } from "../lib/talk.mjs";
import { ask, PATIENCE } from "../lib/turns.mjs";

describe("a CLI of one's own", { timeout: 10 * PATIENCE }, () => {
    let fleet;
    before(async () => {
        fleet = await Dedicated.start({ people: ["ann", "ben", "cid"], instances: { max_instances: 2, idle_stop: "2s" } });
    });
    afterEach(() => fleet.dropClients());
    after(() => fleet?.stop());

    it("is started at the first word", async () => {
        assert.deepEqual((await fleet.status()).backends, []);
        const ann = await fleet.clientOf("ann");
        const { sessionId } = await ann.createSession(fleet.session({ sessionId: "diary" }));
        const { phase, pid } = await fleet.instanceOf("ann");
        assert.equal(phase, "up");
        assert.ok(pid > 0);
        assert.equal(sessionId, "diary");
        assert.equal((await fleet.status()).backends.length, 1);
    });

    it("has a home and sessions of its own", async () => {
        const [ann, ben] = [await fleet.clientOf("ann"), await fleet.clientOf("ben")];
        for (const [who, client] of Object.entries({ ann, ben })) {
            const session = await client.createSession(fleet.session({ sessionId: "same" }));
            assert.equal(await ask(session, `of ${who}`), `You said: of ${who}`);
            assert.ok(fs.existsSync(path.join(fleet.home(who), "session-state", "same")));
        }
        assert.deepEqual((await ben.listSessions()).map(({ sessionId }) => sessionId), ["same"]);
    });

    it("is stopped when nobody uses it, under its clients, and comes back with its sessions", async () => {
        const ann = await fleet.clientOf("ann");
        const talk = await Talk.open(ann, fleet.session({ sessionId: "long" }), 1);
        await talk.say();
        const { pid } = await fleet.phaseOf("ann", "up");
        await fleet.phaseOf("ann", "asleep");
        assert.ok(!fs.existsSync(`/proc/${pid}`));
        await talk.say();
        await talk.check();
        talk.unnoticed();
        assert.notEqual((await fleet.phaseOf("ann", "up")).pid, pid);
    });

    it("makes room for others in the order of their last use", async () => {
        const talks = {};
        for (const who of ["ann", "ben", "cid"]) {
            talks[who] = await Talk.open(await fleet.clientOf(who), fleet.session({ sessionId: `turns-of-${who}` }), who);
            await talks[who].say();
        }
        for (let round = 0; round < 2; round++) {
            for (const talk of Object.values(talks)) await talk.say();
        }
        for (const talk of Object.values(talks)) {
            await talk.check();
            talk.unnoticed();
        }
        assert.ok((await metric(fleet.proxy, "pilotfish_instance_stops_total", { cause: "capacity" })) > 0);
    });

    it("never ends a turn", async () => {
        const talks = [];
        for (const who of ["ann", "ben", "cid"]) {
            talks.push(await Talk.open(await fleet.clientOf(who), fleet.session({ sessionId: `busy-${who}` }), who));
        }
        await Promise.all(talks.map((talk) => talk.say(3000)));
        for (const talk of talks) talk.unnoticed();
    });
});
