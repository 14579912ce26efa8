// Sessions that nobody has used for longer than the ttl are deleted at the CLIs, whoever made them; others are not.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, describe, test } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { operate } from "../lib/programs.mjs";
import { Redis } from "../lib/redis.mjs";
import { ask, eventually } from "../lib/turns.mjs";

/** A clean-up that runs when it is told to. */
const cleanup = (more = "") => `
[pool.copilot.sessions]
ephemeral = "none"
[pool.copilot.cleanup]
ttl = "1h"
interval = "1h"
rate = 1000.0
exclude = ["keep-*"]
${more}`;

const DAY = 86_400;

/** Where a session's history is: its time is the session's last use. */
const history = (home, id) => path.join(home, "session-state", id, "events.jsonl");

/** Makes a session look as if it had not been used for a day. */
function age(home, id) {
    const then = Date.now() / 1000 - DAY;
    fs.utimesSync(history(home, id), then, then);
}

/** Makes sessions with a turn each over a connection and leaves them at rest. */
async function make(connection, fleet, ids) {
    const { model, provider } = fleet.session();
    for (const sessionId of ids) {
        await connection.request("session.create", { sessionId, model, provider });
        await connection.request("session.send", { sessionId, prompt: "hello" });
        const idle = ({ params }) => params?.sessionId === sessionId && params.event?.type === "session.idle";
        await eventually(`the turn of ${sessionId} is over`, () => connection.received.some(idle));
        await connection.request("session.detach", { sessionId });
    }
}

async function samples(proxy, pattern) {
    const text = await (await fetch(`http://${proxy.admin}/metrics`)).text();
    return text.split("\n").filter((line) => line.startsWith("pilotfish_cleanup_sessions_total") && line.includes(pattern)).reduce((sum, line) => sum + Number(line.split(" ").pop()), 0);
}

for (const storage of ["shared", "local"]) {
    describe(`${storage} storage`, () => {
        let fleet;
        before(async () => {
            fleet = await Fleet.start({ backends: 2, storage, tables: cleanup() });
        });
        afterEach(() => fleet.dropClients());
        after(() => fleet?.stop());

        const home = (index) => fleet.clis[index].home;
        const isThere = (index, id) => fs.existsSync(history(home(index), id));

        test("old ones go, also foreign ones; young, excluded and live ones stay; a dry run changes nothing", async () => {
            // At the second CLI itself, behind pilotfish's back.
            const foreign = await fleet.raw(fleet.clis[1].address);
            const old = ["old-1", "old-2", "3f9d1c9e-7a55-4d7a-9f39-0d6b52a1e001"];
            const stay = ["young", "keep-old", "live-elsewhere", "resumed-elsewhere"];
            await make(foreign, fleet, [...old, ...stay]);
            const { model, provider } = fleet.session();
            for (const sessionId of ["live-elsewhere", "resumed-elsewhere"]) {
                await foreign.request("session.resume", { sessionId, model, provider });
            }
            await foreign.request("session.send", { sessionId: "live-elsewhere", prompt: "a lock" });
            const turns = () => foreign.received.filter(({ params }) => params?.sessionId === "live-elsewhere" && params.event?.type === "session.idle");
            await eventually("its second turn is over", () => turns().length === 2);
            // Through pilotfish, live and idle.
            const session = await (await fleet.client()).createSession(fleet.session({ sessionId: "live-here" }));
            assert.ok(await ask(session, "hello"));
            const at = [0, 1].find((index) => isThere(index, "live-here"));
            for (const id of [...old, "keep-old", "live-elsewhere", "resumed-elsewhere"]) age(home(1), id);
            age(home(at), "live-here");

            const dry = await operate(fleet.proxy, "cleanup", "copilot", "--dry-run");
            assert.equal(dry.code, 0, dry.stderr);
            assert.deepEqual(dry.stdout.trim().split("\n").slice(0, -1).sort(), [...old].sort());
            assert.match(dry.stdout, /3 of 8 sessions would be deleted; 3 live, 1 excluded, 0 failed/);
            assert.ok(old.every((id) => isThere(1, id)), "a dry run changes nothing");

            const real = await operate(fleet.proxy, "cleanup", "copilot", "--wait", "--reason", "tidying up");
            assert.equal(real.code, 0, real.stderr);
            assert.match(real.stdout, /3 of 8 sessions deleted; 3 live, 1 excluded, 0 failed/);
            assert.ok(old.every((id) => !fs.existsSync(path.dirname(history(home(1), id)))), "with all that belongs to them");
            assert.ok(stay.every((id) => isThere(1, id)) && isThere(at, "live-here"));
            assert.equal(await samples(fleet.proxy, 'outcome="deleted"'), 3);

            assert.ok(await ask(session, "still there?"));
            const back = await (await fleet.client()).resumeSession("young", fleet.session());
            assert.ok(await ask(back, "you too?"));
            await foreign.request("session.send", { sessionId: "resumed-elsewhere", prompt: "and you?" });
            const idle = ({ params }) => params?.sessionId === "resumed-elsewhere" && params.event?.type === "session.idle";
            await eventually("it answers", () => foreign.received.filter(idle).length === 2);

            const { pools } = await (await fetch(`http://${fleet.proxy.admin}/cleanup`)).json();
            assert.deepEqual([pools[0].ttl_seconds, pools[0].last_run.run, pools[0].last_run.deleted], [3600, 2, 3]);
            assert.ok(fleet.proxy.child.lines.some((line) => line.includes("tidying up") && line.includes("cleanup")), "it is in the record");
        });
    });
}

describe("by itself", () => {
    let fleet;
    before(async () => {
        fleet = await Fleet.start({ backends: 1, tables: cleanup().replace('ttl = "1h"', 'ttl = "2s"').replace('interval = "1h"', 'interval = "1s"') });
    });
    after(() => fleet?.stop());

    test("a session is deleted when its time is over, and not while somebody has it", async () => {
        const client = await fleet.client();
        const [kept, left] = [await client.createSession(fleet.session({ sessionId: "kept" })), await client.createSession(fleet.session({ sessionId: "left" }))];
        assert.ok((await ask(kept, "hello")) && (await ask(left, "hello")));
        await left.disconnect();
        const home = fleet.clis[0].home;
        await eventually("it is gone", () => !fs.existsSync(history(home, "left")));
        await eventually("the other one was too old as well", async () => (await samples(fleet.proxy, 'outcome="kept_live"')) > 0);
        assert.ok(await ask(kept, "still there?"));
    });
});

describe("two proxies with one store", () => {
    let redis, fleet, other;
    before(async () => {
        redis = await Redis.start(os.tmpdir());
        const store = `[store]\nkind = "redis"\naddresses = ["${redis.address}"]\n`;
        fleet = await Fleet.start({ backends: 2, taps: true, tables: store + cleanup().replace("1000.0", "10.0") });
        other = await fleet.startProxy();
    });
    after(async () => {
        await fleet?.stop();
        await redis?.stop();
    });

    test("do not double the work, and spare each other's sessions", async () => {
        const old = Array.from({ length: 12 }, (_, index) => `old-${index}`);
        await make(await fleet.raw(fleet.clis[0].address), fleet, old);
        const session = await (await fleet.client(other.address)).createSession(fleet.session({ sessionId: "theirs" }));
        assert.ok(await ask(session, "hello"));
        const home = fleet.clis[0].home;
        for (const id of [...old, "theirs"]) age(home, id);

        const runs = await Promise.all([fleet.proxy, other].map((proxy) => operate(proxy, "cleanup", "copilot", "--wait")));
        const [done, elsewhere] = runs.sort((a, b) => a.code - b.code);
        assert.equal(done.code, 0, done.stderr);
        assert.match(done.stdout, /12 of 13 sessions deleted; 1 live, 0 excluded, 0 failed/);
        assert.equal(elsewhere.code, 1);
        assert.match(elsewhere.stderr, /another pilotfish is cleaning up this pool/);
        const asked = fleet.taps.flatMap((tap) => tap.requests()).filter(([method]) => method === "sessions.delete");
        assert.equal(asked.length, old.length, "each once");
        const deleted = await Promise.all([fleet.proxy, other].map((proxy) => samples(proxy, 'outcome="deleted"')));
        assert.equal(deleted[0] + deleted[1], old.length);
        assert.ok(old.every((id) => !fs.existsSync(history(home, id))));
        assert.ok(await ask(session, "still there?"));

        // The right to clean up is given back: the other one may now.
        for (const proxy of [fleet.proxy, other]) {
            const again = await operate(proxy, "cleanup", "copilot", "--wait");
            assert.equal(again.code, 0, again.stderr);
            assert.match(again.stdout, /0 of 1 sessions deleted/);
        }
    });

    test("whose clean-up dies leaves it to the other one within its lease", async () => {
        const old = Array.from({ length: 20 }, (_, index) => `more-${index}`);
        await make(await fleet.raw(fleet.clis[0].address), fleet, old);
        const home = fleet.clis[0].home;
        for (const id of old) age(home, id);
        assert.equal((await operate(other, "cleanup", "copilot")).code, 0);
        await eventually("it is at work", async () => (await samples(other, 'outcome="deleted"')) > 0);
        other.child.killGroup("SIGKILL");
        await other.child.exited;
        const finished = async () => (await operate(fleet.proxy, "cleanup", "copilot", "--wait")).code === 0;
        await eventually("the other one may", finished);
        assert.ok(old.every((id) => !fs.existsSync(history(home, id))));
    });
});
