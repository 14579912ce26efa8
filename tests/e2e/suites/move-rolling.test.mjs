// All CLIs of a supervised pool are restarted, one after the other, under 30 conversations, by order or by age: nobody notices.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";

import { approveAll, CopilotClient, defineTool, RuntimeConnection } from "@github/copilot-sdk";

import { copilot, operate, startModel, startProxy } from "../lib/programs.mjs";
import { ask, eventually, PATIENCE, record } from "../lib/turns.mjs";

const CLIENTS = 3;
const SESSIONS = 30;

const CASES = [
    {
        what: "a rolling restart",
        recycle: "",
        happens: async ({ proxy }) => {
            const { code, stdout, stderr } = await operate(proxy, "rolling-restart", "copilot");
            assert.equal(code, 0, `${stdout}${stderr}`);
        },
        restarts: (count) => count === 1,
    },
    {
        what: "a low age limit",
        recycle: '[pool.copilot.recycle]\nmax_age = "8s"\ncheck_interval = "500ms"\n',
        happens: ({ backends }) => eventually("each is recycled", async () => (await backends()).every(({ restarts }) => restarts >= 1), 3 * PATIENCE),
        restarts: (count) => count >= 1,
    },
];

for (const { what, recycle, happens, restarts } of CASES) describe(`${what} under load`, { timeout: 8 * PATIENCE }, () => {
    let directory, model, proxy, home;
    const clients = [];
    before(async () => {
        directory = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-e2e-"));
        home = path.join(directory, "home");
        fs.mkdirSync(home);
        model = await startModel();
        proxy = await startProxy({ config: configOf(), directory });
        await eventually("three backends are up", async () => (await backends()).every(({ state }) => state === "up"));
        for (let number = 0; number < CLIENTS; number++) {
            const client = new CopilotClient({ connection: RuntimeConnection.forUri(proxy.address) });
            await client.start();
            clients.push(client);
        }
    });
    after(async () => {
        await Promise.all(clients.map((client) => client.forceStop()));
        await proxy?.child.stop();
        await model?.child.stop();
        fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    });

    const configOf = () => `
[admin]
bind = "127.0.0.1:0"
[[listener]]
name = "sdk"
bind = "127.0.0.1:0"
pool = "copilot"
[pool.copilot]
storage = "shared"
[pool.copilot.health]
interval = "500ms"
rise = 1
slow_start = "0s"
[pool.copilot.supervise]
count = 3
command = ["${copilot}", "--headless", "--port", "{port}", "--no-auto-update"]
home = "${home}"
working_directory = "${home}"
port_range = "24400-24499"
env = { COPILOT_OFFLINE = "true", COPILOT_PROVIDER_BASE_URL = "${model.url}", COPILOT_MODEL = "demo" }
${recycle}`;

    const status = async () => (await fetch(`http://${proxy.admin}/status`)).json();
    const backends = async () => (await status()).pools[0].backends;

    const session = (extra = {}) => ({
        model: "demo",
        provider: { type: "openai", baseUrl: model.url },
        onPermissionRequest: approveAll,
        streaming: true,
        ...extra,
    });

    /** Talks until told to stop; every answer has to be right. */
    async function talk(conversation, isOver) {
        while (!isOver() || conversation.asked < 3) {
            const number = (conversation.asked += 1);
            const prompt = `[[delay:${100 + ((number * 37 + conversation.number * 53) % 400)}]] turn ${number} of ${conversation.number}`;
            const answer = await ask(conversation.session, prompt);
            assert.equal(answer, `You said: turn ${number} of ${conversation.number}`);
        }
    }

    it("cuts no turn, fails no call, closes no connection", async (t) => {
        const talks = [];
        for (let number = 0; number < SESSIONS; number++) {
            const shout = defineTool("shout", { description: "Shouts", parameters: { type: "object", properties: {} }, skipPermission: true, handler: () => `LOUD ${number}` });
            const opened = await clients[number % CLIENTS].createSession(session({ tools: [shout] }));
            talks.push({ number, session: opened, asked: 0, events: record(opened) });
        }
        let over = false;
        const all = Promise.all(talks.map((conversation) => talk(conversation, () => over)));
        all.catch(() => {});
        const began = performance.now();
        await happens({ proxy, backends });
        t.diagnostic(`three started again: ${((performance.now() - began) / 1000).toFixed(1)} s`);
        over = true;
        await all;
        const turns = talks.reduce((sum, { asked }) => sum + asked, 0);
        t.diagnostic(`${turns} turns meanwhile, none cut`);
        for (const { name, restarts: count } of await backends()) assert.ok(restarts(count), `${name}: ${count} restarts`);
        for (const { number, asked, session: opened, events } of talks) {
            const ids = events.map(({ id }) => id);
            assert.equal(new Set(ids).size, ids.length, `session ${number}: no event twice`);
            assert.deepEqual(events.filter(({ type }) => type === "session.error" || type === "session.shutdown"), [], `session ${number}`);
            assert.ok(!events.some(({ type, data }) => type === "session.resume" && data.alreadyInUse), `session ${number}`);
            const history = (await opened.getEvents()).filter(({ type }) => type === "user.message").map(({ data }) => data.content);
            const wanted = Array.from({ length: asked }, (_, at) => `turn ${at + 1} of ${number}`);
            assert.deepEqual(history.map((text) => text.replace(/^\[\[delay:\d+\]\] /, "")), wanted, `session ${number}`);
            assert.match(await ask(opened, "[[tool:shout {}]] now"), new RegExp(`LOUD ${number}`), "its tool works at its new home");
        }
        for (const line of fs.readdirSync(path.join(home, "session-state")).map((id) => path.join(home, "session-state", id, "events.jsonl")).filter(fs.existsSync).map((file) => fs.readFileSync(file, "utf8"))) {
            assert.ok(!line.includes('"alreadyInUse":true'));
        }
        for (const client of clients) assert.equal((await client.ping("still here")).message, "pong: still here");
    });
});
