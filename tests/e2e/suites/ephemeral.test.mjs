// Sessions that their clients did not name end with them; named ones, and those that were only resumed, stay.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { Redis } from "../lib/redis.mjs";
import { ask, eventually } from "../lib/turns.mjs";

let fleet;
before(async () => {
    fleet = await Fleet.start({ backends: 2, pool: 'linger = "1s"', tables: '[pool.copilot.sessions]\nephemeral = ["unnamed", "tmp-*"]' });
});
afterEach(() => fleet.dropClients());
after(() => fleet?.stop());

const folder = (id) => path.join(fleet.directory, "home", "session-state", id);
const isThere = (id) => fs.existsSync(folder(id));
const isGone = (id) => eventually(`${id} is gone`, () => !isThere(id));

/** How many sessions were deleted because their clients had gone. */
async function deleted() {
    const text = await (await fetch(`http://${fleet.proxy.admin}/metrics`)).text();
    return Number(/pilotfish_ephemeral_deleted_total\{outcome="deleted",pool="copilot"\} (\d+)/.exec(text)?.[1] ?? 0);
}

test("unnamed sessions are deleted after their client, however it goes", async () => {
    const before = await deleted();
    const [orderly, lost, turnless] = [await fleet.client(), await fleet.client(), await fleet.client()];
    const unnamed = [await orderly.createSession(fleet.session()), await lost.createSession(fleet.session())];
    const named = await lost.createSession(fleet.session({ sessionId: "diary" }));
    const pattern = await orderly.createSession(fleet.session({ sessionId: "tmp-notes" }));
    const { sessionId: empty } = await turnless.createSession(fleet.session());
    for (const session of [...unnamed, named, pattern]) assert.ok(await ask(session, "hello"));
    assert.ok([...unnamed, named, pattern].every(({ sessionId }) => isThere(sessionId)) && isThere(empty));

    await orderly.stop();
    await lost.forceStop();
    await turnless.stop();
    for (const id of [...unnamed.map(({ sessionId }) => sessionId), pattern.sessionId, empty]) await isGone(id);
    assert.ok(isThere("diary"));
    // Counted a moment after the folder is gone.
    await eventually("all are counted", async () => (await deleted()) === before + 4);
    const back = await (await fleet.client()).resumeSession("diary", fleet.session());
    assert.ok(await ask(back, "still there?"));
});

test("a client that comes back in time keeps its session, and it ends with that client", async () => {
    const first = await fleet.client();
    const { sessionId, ...session } = await first.createSession(fleet.session());
    const waiting = async () => (await (await fetch(`http://${fleet.proxy.admin}/cleanup`)).json()).pools[0].ephemeral_waiting;
    await first.stop();
    await eventually("it waits for its client", async () => (await waiting()) === 1);
    const second = await fleet.client();
    // Without a turn there is nothing on the disk to resume: it is created again under its id.
    const again = await second.createSession(fleet.session({ sessionId }));
    assert.equal(await waiting(), 0);
    assert.ok(await ask(again, "hello"));
    const third = await fleet.client();
    await third.resumeSession(sessionId, fleet.session());
    await second.stop();
    assert.equal(await waiting(), 0, "somebody has it");
    await third.stop();
    await isGone(sessionId);
});

test("a session that was only resumed through pilotfish stays", async () => {
    const direct = await fleet.raw(fleet.clis[0].address);
    const { model, provider } = fleet.session();
    const sessionId = "35ace27a-77e4-4a7d-8c50-78ed7ee28dc6";
    await direct.request("session.create", { sessionId, model, provider });
    await direct.request("session.send", { sessionId, prompt: "hello" });
    await eventually("its turn is over", () => direct.received.some(({ params }) => params?.event?.type === "session.idle"));
    await direct.request("session.detach", { sessionId });

    const [client, other] = [await fleet.client(), await fleet.client()];
    assert.ok(await ask(await client.resumeSession(sessionId, fleet.session()), "hello"));
    const { sessionId: unnamed } = await other.createSession(fleet.session());
    await client.stop();
    // One that goes later, and whose time is over later.
    await other.stop();
    await isGone(unnamed);
    assert.ok(isThere(sessionId));
});

test("a session that another program has by then is not deleted under it", async () => {
    const client = await fleet.client();
    const session = await client.createSession(fleet.session());
    const { sessionId } = session;
    assert.ok(await ask(session, "hello"));
    await client.stop();
    const direct = await Promise.all(fleet.clis.map(({ address }) => fleet.raw(address)));
    const { model, provider } = fleet.session();
    // Without a turn there: no lock of the runtime tells of it.
    await direct[1].request("session.resume", { sessionId, model, provider });
    const kept = async () => {
        const text = await (await fetch(`http://${fleet.proxy.admin}/metrics`)).text();
        return /pilotfish_ephemeral_deleted_total\{outcome="kept_live",pool="copilot"\} [1-9]/.test(text);
    };
    await eventually("it was looked at", kept);
    assert.ok(isThere(sessionId));
    await direct[1].request("session.detach", { sessionId });
    await isGone(sessionId);
});

test("with several proxies a session ends with the last client at whichever of them", async (t) => {
    const redis = await Redis.start(os.tmpdir());
    const store = `[store]\nkind = "redis"\naddresses = ["${redis.address}"]\n`;
    const shared = await Fleet.start({ backends: 2, pool: 'linger = "1s"', tables: store });
    t.after(async () => {
        await shared.stop();
        await redis.stop();
    });
    const other = await shared.startProxy();
    const there = (id) => fs.existsSync(path.join(shared.directory, "home", "session-state", id));
    const [here, far] = [await shared.client(), await shared.client(other.address)];
    const session = await here.createSession(shared.session());
    const { sessionId } = session;
    assert.ok(await ask(session, "hello"));
    const again = await far.resumeSession(sessionId, shared.session());
    await here.stop();
    const kept = async () => /pilotfish_ephemeral_deleted_total\{outcome="kept_live",pool="copilot"\} [1-9]/.test(await (await fetch(`http://${shared.proxy.admin}/metrics`)).text());
    await eventually("the first proxy sees that the other one has it", kept);
    assert.ok(there(sessionId) && (await ask(again, "still there?")));
    await far.stop();
    await eventually("it is gone", () => !there(sessionId));
});
