// Backends are drained under unmodified clients: sessions move with all that belongs to them, and nobody notices.
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";

import { defineTool } from "@github/copilot-sdk";

import { Fleet } from "../lib/fleet.mjs";
import { operate } from "../lib/programs.mjs";
import { ask, eventually, next, PATIENCE, record } from "../lib/turns.mjs";

describe("a drained backend", { timeout: 10 * PATIENCE }, () => {
    let fleet;
    afterEach(() => fleet?.stop());

    const start = async (backends = 3) => {
        fleet = await Fleet.start({ backends, taps: true, target: "pilotfish" });
    };

    const run = (...args) => operate(fleet.proxy, ...args);

    const done = async (...args) => {
        const { code, stdout, stderr } = await run(...args);
        assert.equal(code, 0, `${args}: ${stdout}${stderr}`);
    };

    const backends = async () => (await (await fetch(`http://${fleet.proxy.admin}/status`)).json()).pools[0].backends;

    /** The number of the backend where a session was opened last. */
    const home = (id) => {
        const opened = fleet.taps.map(({ seen }) => Math.max(-1, ...seen.filter(({ message }) => /^session\.(create|resume)$/.test(message.method) && message.params?.sessionId === id).map(({ at }) => at)));
        return opened.indexOf(Math.max(...opened));
    };

    /** Sessions of `client`, at least `count` of which live at backend 0. */
    async function crowd(client, count, extra = () => ({})) {
        const sessions = [];
        while (sessions.filter(({ sessionId }) => home(sessionId) === 0).length < count) {
            const session = await client.createSession(fleet.session({ streaming: true, ...extra(sessions.length) }));
            sessions.push(session);
            await ask(session, `first of ${session.sessionId}`);
            assert.ok(sessions.length < 40, "ids spread over all backends");
        }
        return sessions;
    }

    const said = (events) => events.filter(({ type }) => type === "user.message").map(({ data }) => data.content);

    function assertUnnoticed(events, what) {
        const ids = events.map(({ id }) => id);
        assert.equal(new Set(ids).size, ids.length, `${what}: no event twice`);
        const bad = events.filter(({ type, data }) => /^session\.(error|shutdown)$/.test(type) || (type === "session.resume" && data.alreadyInUse));
        assert.deepEqual(bad, [], what);
    }

    it("loses idle sessions at once and busy ones after their turn, and is waited for", async (t) => {
        await start();
        const client = await fleet.client();
        const asked = [];
        const shout = (number) => defineTool("shout", { description: "Shouts", parameters: { type: "object", properties: {} }, skipPermission: true, handler: () => `LOUD ${number}` });
        const sessions = await crowd(client, 3, (number) => ({
            tools: [shout(number)],
            hooks: { onPreToolUse: ({ toolName }) => void asked.push(`${toolName} ${number}`) },
            onPermissionRequest: () => (asked.push(`permission ${number}`), { kind: "approve-once" }),
        }));
        const there = sessions.filter(({ sessionId }) => home(sessionId) === 0);
        const events = new Map(sessions.map((session) => [session, record(session)]));
        const busy = there[0];
        const running = next(busy, "assistant.message_delta");
        const answer = ask(busy, "[[delay:3000]] a long story with many words");
        await running;
        const began = performance.now();
        await done("drain", "cli-1", "--wait", "--timeout", "30s");
        t.diagnostic(`drained after ${((performance.now() - began) / 1000).toFixed(2)} s, with a turn of 3 s`);
        assert.equal(await answer, "You said: a long story with many words");
        assert.equal((await backends())[0].state, "drained");
        for (const [number, session] of sessions.entries()) {
            assert.notEqual(home(session.sessionId), 0);
            assert.match(await ask(session, "[[tool:shout {}]] now"), new RegExp(`LOUD ${number}`), "its tool");
            assert.ok(asked.includes(`shout ${number}`), "its hook");
            assert.match(await ask(session, '[[tool:bash {"command":"echo hi-$((40+2))","description":"d"}]] x'), /hi-42/);
            assert.ok(asked.includes(`permission ${number}`), "its permission handler");
            const wanted = [`first of ${session.sessionId}`, ...(session === busy ? ["[[delay:3000]] a long story with many words"] : [])];
            assert.deepEqual(said(await session.getEvents()).slice(0, wanted.length), wanted);
            assertUnnoticed(events.get(session), session.sessionId);
        }
        assert.equal((await client.ping("still here")).message, "pong: still here");
        await done("undrain", "cli-1");
        const fresh = await crowd(client, 1);
        assert.match(await ask(fresh.at(-1), "hello again"), /hello again/);
    });

    it("keeps what a client has set", async () => {
        await start(2);
        const client = await fleet.client();
        const refused = [];
        const [...sessions] = await crowd(client, 1, () => ({ onPermissionRequest: (request) => (refused.push(request), { kind: "reject" }) }));
        const session = sessions.find(({ sessionId }) => home(sessionId) === 0);
        await session.rpc.permissions.setApproveAll({ enabled: true });
        await session.rpc.mode.set({ mode: "plan" });
        await session.rpc.name.set({ name: "a name of its own" });
        await session.rpc.model.switchTo({ modelId: "other-model", reasoningEffort: "low" });
        const before = await Promise.all([session.rpc.mode.get(), session.rpc.name.get(), session.rpc.model.getCurrent()]);
        assert.equal(before[2].modelId, "other-model");
        const marked = record(session);
        await done("drain", "cli-1", "--wait");
        assert.equal(home(session.sessionId), 1);
        const after = await Promise.all([session.rpc.mode.get(), session.rpc.name.get(), session.rpc.model.getCurrent()]);
        assert.deepEqual(after, before);
        await session.rpc.mode.set({ mode: "interactive" });
        assert.match(await ask(session, '[[tool:bash {"command":"echo hi-$((40+2))","description":"d"}]] x'), /hi-42/);
        assert.deepEqual(refused, [], "everything is approved there too");
        assertUnnoticed(marked, "no word of the move");
    });

    it("gives both clients of one session away together", async () => {
        await start(2);
        const [one, two] = [await fleet.client(), await fleet.client()];
        const sessions = await crowd(one, 1);
        const mine = sessions.find(({ sessionId }) => home(sessionId) === 0);
        const yours = await two.resumeSession(mine.sessionId, fleet.session({ streaming: true }));
        const heard = [record(mine), record(yours)];
        await done("drain", "cli-1", "--wait");
        for (const [session, text] of [[mine, "from one"], [yours, "from two"]]) {
            const other = next(session === mine ? yours : mine, "session.idle");
            assert.equal(await ask(session, text), `You said: ${text}`);
            await other;
        }
        const answers = heard.map((events) => events.filter(({ type }) => type === "assistant.message").map(({ data }) => data.content));
        assert.deepEqual(answers, [["You said: from one", "You said: from two"], ["You said: from one", "You said: from two"]]);
        heard.forEach((events, at) => assertUnnoticed(events, `client ${at + 1}`));
        assert.equal(home(mine.sessionId), 1);
        assert.deepEqual(said(await yours.getEvents()), [`first of ${mine.sessionId}`, "from one", "from two"]);
    });

    it("may be one of several, but not the last", async () => {
        await start();
        const client = await fleet.client();
        const sessions = await crowd(client, 2);
        await Promise.all([done("drain", "cli-1", "--wait"), done("drain", "cli-2", "--wait")]);
        const opened = () => fleet.taps.map((tap) => tap.requests().filter(([method]) => /^session\.(resume|create)$/.test(method)).length);
        const before = opened();
        const refused = await run("drain", "cli-3");
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, /left without a backend/);
        assert.deepEqual(opened(), before, "nothing moves");
        for (const session of sessions) {
            assert.equal(home(session.sessionId), 2);
            assert.equal(await ask(session, "all here"), "You said: all here");
        }
        await done("undrain", "cli-1");
        await done("drain", "cli-3", "--wait");
        for (const session of sessions) {
            assert.equal(home(session.sessionId), 0);
            const stored = await session.getEvents();
            assert.deepEqual(said(stored), [`first of ${session.sessionId}`, "all here"]);
            assert.equal(new Set(stored.map(({ id }) => id)).size, stored.length, "nothing is stored twice");
        }
        await Promise.all([done("undrain", "cli-2"), done("undrain", "cli-3")]);
        assert.deepEqual((await backends()).map(({ state }) => state), ["up", "up", "up"]);
    });
});
