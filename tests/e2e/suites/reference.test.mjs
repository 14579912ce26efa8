// The reference set-up (`make reference`): an SDK goes on at either proxy, one of them may die, and Ctrl-C leaves nothing running.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";

import { approveAll, CopilotClient, RuntimeConnection } from "@github/copilot-sdk";

import { metric } from "../lib/metrics.mjs";
import { Child } from "../lib/processes.mjs";
import { root } from "../lib/programs.mjs";
import { ask, eventually, next, PATIENCE, within } from "../lib/turns.mjs";

describe("the reference set-up", { timeout: 5 * PATIENCE }, () => {
    let data, child, baseUrl;
    const proxies = [];
    const clients = [];
    before(async () => {
        data = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-reference-"));
        child = new Child("reference", process.execPath, [path.join(root, "tests/e2e/reference.mjs"), "--demo-model", "--port", "0", "--data", data]);
        await child.line(/is ready/, 2 * PATIENCE);
        for (const number of [1, 2]) {
            const [, address, admin] = await child.line(new RegExp(`^pilotfish ${number}: SDK clients (\\S+), .*http://(\\S+)/status`));
            proxies.push({ address, admin });
        }
        [, baseUrl] = await child.line(/^model: (\S+)/);
    });
    after(async () => {
        await Promise.all(clients.map((client) => client.forceStop()));
        await child?.stop();
        fs.rmSync(data, { recursive: true, force: true, maxRetries: 5 });
    });

    const session = () => ({ model: "demo", provider: { type: "openai", baseUrl }, onPermissionRequest: approveAll });
    const connect = async ({ address }) => {
        const client = new CopilotClient({ connection: RuntimeConnection.forUri(address) });
        clients.push(client);
        await client.start();
        return client;
    };

    it("has three CLIs and the store behind each proxy", async () => {
        for (const proxy of proxies) {
            await eventually("three CLIs are up", async () => (await metric(proxy, "pilotfish_backend_up")) === 3);
            assert.equal(await metric(proxy, "pilotfish_store_up"), 1);
        }
    });

    it("lets an SDK go on at the other proxy", async () => {
        const [one, two] = await Promise.all(proxies.map(connect));
        for (let number = 0; number < 6; number++) {
            const first = await one.createSession(session());
            assert.equal(await ask(first, `hello ${number}`), `You said: hello ${number}`);
            const same = await two.resumeSession(first.sessionId, session());
            const idle = next(first, "session.idle");
            assert.equal(await ask(same, "[[history]] again"), `2 user messages: hello ${number} | again`);
            await idle;
            await first.disconnect();
            assert.equal(await ask(same, "[[history]] alone"), `3 user messages: hello ${number} | again | alone`);
        }
    });

    it("ends with all that it started", async () => {
        const pids = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => ours(pid));
        assert.ok(pids.length >= 6, `${pids}`);
        child.signal("SIGINT");
        const { code } = await within(PATIENCE, "its end", child.exited);
        assert.equal(code, 0);
        await eventually("all are gone", () => pids.every((pid) => !ours(pid)));
    });

    /** Whether a process runs in the set-up's folder. */
    function ours(pid) {
        try {
            return fs.readlinkSync(`/proc/${pid}/cwd`).startsWith(data);
        } catch {
            return false;
        }
    }
});
