// A client is lost in the middle of a turn: the turn ends all the same, and whoever comes back gets the rest of it.
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";

import { defineTool } from "@github/copilot-sdk";

import { Fleet } from "../lib/fleet.mjs";
import { ask, eventually, next, PATIENCE, record, within } from "../lib/turns.mjs";

describe("a lost client", { timeout: 5 * PATIENCE }, () => {
    let fleet;
    afterEach(() => fleet?.stop());

    const start = (pool = "") => Fleet.start({ backends: 2, target: "pilotfish", pool });

    const tool = (text) =>
        defineTool("lookup", { description: "Looks up", parameters: { type: "object", properties: {} }, skipPermission: true, handler: () => text });

    const history = async (client, id) => {
        const session = await client.resumeSession(id, fleet.session());
        return (await session.getEvents()).map(({ type, data }) => (type === "assistant.message" ? data.content : type));
    };

    it("gets the rest of its turn when it comes back, once", async () => {
        fleet = await start();
        const [lost, other] = [await fleet.client(), await fleet.client()];
        const session = await lost.createSession(fleet.session({ streaming: true, tools: [tool("a")] }));
        const seen = record(session);
        const running = next(session, "assistant.message_delta");
        await session.send({ prompt: "[[delay:4000]] one two three four five six seven eight nine ten" });
        await running;
        await lost.forceStop();
        const before = new Set(seen.map(({ id }) => id));
        const events = [];
        const back = await other.resumeSession(session.sessionId, fleet.session({ streaming: true, tools: [tool("b")], onEvent: (event) => events.push(event) }));
        await eventually("idle", () => events.some(({ type }) => type === "session.idle"));
        const ids = events.map(({ id }) => id);
        assert.equal(new Set(ids).size, ids.length, "nothing twice");
        assert.ok(!ids.some((id) => before.has(id)), "nothing that it had seen");
        assert.equal(events.filter(({ type }) => type === "assistant.message").length, 1);
        const all = [...seen, ...events].filter(({ type }) => type === "assistant.message_delta").map(({ data }) => data.deltaContent);
        assert.equal(all.join(""), "You said: one two three four five six seven eight nine ten");
        assert.match(await ask(back, "[[tool:lookup {}]] x"), /b/, "its own tool");
    });

    it("gets what was told while it was away, if the turn has ended meanwhile", async () => {
        fleet = await start();
        const [lost, other] = [await fleet.client(), await fleet.client()];
        const session = await lost.createSession(fleet.session({ streaming: true }));
        const running = next(session, "assistant.message_delta");
        await session.send({ prompt: "[[delay:700]] short and sweet" });
        await running;
        await lost.forceStop();
        const turns = async () => /pilotfish_turns_running\{[^}]*\} 1/.test(await (await fetch(`http://${fleet.proxy.admin}/metrics`)).text());
        await eventually("the turn has ended", async () => !(await turns()));
        const events = [];
        await other.resumeSession(session.sessionId, fleet.session({ streaming: true, onEvent: (event) => events.push(event) }));
        await eventually("idle", () => events.some(({ type }) => type === "session.idle"));
        assert.deepEqual(events.filter(({ type }) => type === "assistant.message").map(({ data }) => data.content), ["You said: short and sweet"]);
    });

    it("that does not come back leaves a turn that ends in the history", async () => {
        fleet = await start('linger = "4s"');
        const [lost, other] = [await fleet.client(), await fleet.client()];
        const session = await lost.createSession(fleet.session({ streaming: true }));
        const running = next(session, "assistant.message_delta");
        await session.send({ prompt: "[[delay:1500]] nobody hears this" });
        await running;
        await lost.forceStop();
        const orphans = async () => /pilotfish_orphans\{[^}]*\} 1/.test(await (await fetch(`http://${fleet.proxy.admin}/metrics`)).text());
        await eventually("it is kept", orphans);
        await eventually("and let go", async () => !(await orphans()));
        assert.ok((await history(other, session.sessionId)).includes("You said: nobody hears this"));
    });

    for (const [what, config, prompt] of [
        ["a tool", { tools: [tool("never")] }, "[[tool:lookup {}]] x"],
        ["a permission", { onPermissionRequest: () => new Promise(() => {}) }, '[[tool:bash {"command":"echo hi","description":"d"}]] x'],
        ["its user", { onUserInputRequest: () => new Promise(() => {}) }, '[[tool:ask_user {"question":"well?"}]] x'],
    ]) {
        it(`does not keep a turn alive that asks for ${what}`, async (t) => {
            fleet = await start('orphan_wait = "1s"\nlinger = "20s"');
            const [lost, other] = [await fleet.client(), await fleet.client()];
            const hangs = defineTool("lookup", { description: "Looks up", parameters: { type: "object", properties: {} }, skipPermission: true, handler: () => new Promise(() => {}) });
            const session = await lost.createSession(fleet.session({ ...config, ...(config.tools ? { tools: [hangs] } : {}) }));
            const asked = next(session, ({ type }) => /^(external_tool|permission|user_input)\.requested$/.test(type));
            await session.send({ prompt });
            await asked;
            const began = performance.now();
            await lost.forceStop();
            const running = async () => /pilotfish_turns_running\{[^}]*\} [1-9]/.test(await (await fetch(`http://${fleet.proxy.admin}/metrics`)).text());
            await within(5_000, "the end of the turn", eventually("no turn runs", async () => !(await running())));
            t.diagnostic(`ended ${((performance.now() - began) / 1000).toFixed(2)} s after the loss`);
            const events = await history(other, session.sessionId);
            assert.ok(events.includes("assistant.turn_end"), `${events}`);
        });
    }

    it("ends its turn at once where the operator wants that", async () => {
        fleet = await start('on_client_loss = "abort"');
        const [lost, other] = [await fleet.client(), await fleet.client()];
        const session = await lost.createSession(fleet.session({ streaming: true }));
        const running = next(session, "assistant.message_delta");
        await session.send({ prompt: "[[delay:3000]] cut short" });
        await running;
        await lost.forceStop();
        const clients = async () => /pilotfish_clients\{[^}]*\} (\d+)/.exec(await (await fetch(`http://${fleet.proxy.admin}/metrics`)).text())[1];
        // Whoever came before its end is noticed would be a second client of the turn.
        await eventually("its end is noticed", async () => (await clients()) === "1");
        const events = await eventually("the session has ended", async () => {
            const seen = await history(other, session.sessionId).catch(() => []);
            return seen.includes("session.shutdown") && seen;
        });
        assert.ok(!events.includes("You said: cut short"));
    });
});
