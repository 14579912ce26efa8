// Each tenant has a real CLI of its own: started at its first word, stopped when it is not used, and back with its sessions.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, describe, it } from "node:test";

import { Dedicated, descendants } from "../lib/dedicated.mjs";
import { metric } from "../lib/metrics.mjs";
import { copilot } from "../lib/programs.mjs";
import { tokenOf } from "../lib/tenants.mjs";
import { Talk } from "../lib/talk.mjs";
import { ask, eventually, PATIENCE } from "../lib/turns.mjs";

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

// The CLI of the unlucky one ends at once, or never listens, by what stands in a file.
const script = (directory) => `case "$COPILOT_HOME" in */bad) case "$(cat ${directory}/mood)" in
crash) echo "no way" >&2; exit 3;; mute) exec sleep 1000;; esac;; esac; exec "$0" "$@"`;

describe("one whose CLI does not start", { timeout: 10 * PATIENCE }, () => {
    let fleet;
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-e2e-"));
    const mood = (word) => fs.writeFileSync(path.join(directory, "mood"), word);
    before(async () => {
        mood("crash");
        fleet = await Dedicated.start({
            people: ["ann", "bad", "cid"],
            directory,
            command: ["sh", "-c", script(directory), copilot, "--headless", "--port", "{port}", "--no-auto-update"],
            supervise: { start_timeout: "2s" },
            backoff: { min: "200ms", max: "1s" },
            instances: { max_instances: 2, idle_stop: "0s", queue_timeout: "8s" },
        });
    });
    afterEach(() => fleet.dropClients());
    after(() => fleet?.stop());

    const refused = (message) => (error) => {
        assert.match(error.message, message);
        return true;
    };

    it("is told why, and harms nobody", async () => {
        const ann = await Talk.open(await fleet.clientOf("ann"), fleet.session({ sessionId: "well" }), "ann");
        const bad = await fleet.stranger();
        const began = Date.now();
        await assert.rejects(bad.request("connect", { token: tokenOf("bad") }), refused(/ended 2 times in a row \(.*exit code 3.*/));
        assert.ok(Date.now() - began < 5000);
        await ann.say();
        // It stays known to its client, who may ask again; the place goes to whoever needs it.
        await assert.rejects(bad.request("ping", {}), refused(/times in a row/));
        const cid = await Talk.open(await fleet.clientOf("cid"), fleet.session({ sessionId: "other" }), "cid");
        await cid.say();
        await ann.say();
        ann.unnoticed();
    });

    it("has one again when it starts", async () => {
        mood("well");
        const bad = await fleet.stranger();
        const connected = async () => {
            try {
                return await bad.request("connect", { token: tokenOf("bad") });
            } catch {
                return undefined;
            }
        };
        await eventually("it is served", async () => (await connected())?.ok);
        assert.equal((await fleet.instanceOf("bad")).failures >= 1, true);
        await bad.request("session.create", { sessionId: "at-last", model: "demo" });
    });

    it("waits no longer than it may for one that is mute", async () => {
        mood("mute");
        const { pid } = await fleet.instanceOf("bad");
        process.kill(pid, "SIGKILL");
        const bad = await fleet.stranger();
        const told = () => bad.request("connect", { token: tokenOf("bad") }).then(() => "served", ({ message }) => message);
        await eventually("it is told", async () => /not healthy in time/.test(await told()));
    });

    it("waits in line while all places are taken, and is refused after its time", async () => {
        mood("well");
        await eventually("it starts", async () => ["up", "asleep"].includes((await fleet.instanceOf("bad")).phase));
        const [ann, cid] = [await fleet.clientOf("ann"), await fleet.clientOf("cid")];
        const talks = [await Talk.open(ann, fleet.session(), "ann"), await Talk.open(cid, fleet.session(), "cid")];
        const turns = talks.map((talk) => talk.say(14_000));
        const bad = await fleet.stranger();
        await assert.rejects(bad.request("connect", { token: tokenOf("bad") }), refused(/all places for CLIs are taken/));
        const again = bad.request("connect", { token: tokenOf("bad") });
        await Promise.all(turns);
        assert.equal((await again).ok, true);
    });
});

describe("after a SIGKILL of pilotfish", { timeout: 10 * PATIENCE }, () => {
    let fleet;
    before(async () => {
        fleet = await Dedicated.start({ people: ["ann", "ben"], instances: { max_instances: 4 } });
    });
    after(() => fleet?.stop());

    it("no CLI is left, and sessions are resumed by the next one", async () => {
        const talks = {};
        for (const who of fleet.people) {
            talks[who] = await Talk.open(await fleet.clientOf(who), fleet.session({ sessionId: `of-${who}` }), who);
            await talks[who].say();
        }
        const pids = [(await fleet.instanceOf("ann")).pid, (await fleet.instanceOf("ben")).pid];
        const families = pids.flatMap((pid) => [pid, ...descendants(pid)]);
        fleet.proxy.child.signal("SIGKILL");
        await fleet.proxy.child.exited;
        for (const pid of families) await eventually(`${pid} is gone`, () => !fs.existsSync(`/proc/${pid}`));
        await fleet.dropClients();
        await fleet.startProxy();
        for (const who of fleet.people) {
            const client = await fleet.clientOf(who);
            talks[who].attach(await client.resumeSession(`of-${who}`, fleet.session()));
            await talks[who].say();
            await talks[who].check();
        }
    });
});
