// What the image and the unit of the CLIs run does on the real CLI what they expect of it.
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, describe, it } from "node:test";

import { CopilotClient, RuntimeConnection } from "@github/copilot-sdk";

import { dockerfile } from "../lib/compose.mjs";
import { passes, run, unitValues } from "../lib/deployment.mjs";
import { Child } from "../lib/processes.mjs";
import { copilot, root } from "../lib/programs.mjs";
import { eventually, PATIENCE, within } from "../lib/turns.mjs";

const TOKEN = "not-a-secret-but-as-long";
/** Nobody asks a model anything here. */
const offline = { COPILOT_OFFLINE: "true", COPILOT_PROVIDER_BASE_URL: "http://127.0.0.1:9/v1", COPILOT_MODEL: "demo" };

describe("the CLI as it is deployed", { timeout: 4 * PATIENCE }, () => {
    let home;
    const children = [];
    before(() => (home = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-copilot-"))));
    afterEach(() => Promise.all(children.splice(0).map((child) => child.stop())));
    after(() => fs.rmSync(home, { recursive: true, force: true, maxRetries: 5 }));

    const image = dockerfile("conf/docker/copilot-cli.Dockerfile");
    const imageArgs = [...image.entrypoint.slice(image.entrypoint.indexOf("--") + 2), ...image.cmd];

    /** Starts the CLI with these arguments, but on a free port. */
    async function start(args, more = {}) {
        const free = args.map((word, at) => (args[at - 1] === "--port" ? "0" : word));
        const child = new Child("copilot", copilot, free, { cwd: home, env: { ...offline, COPILOT_HOME: home, COPILOT_CONNECTION_TOKEN: TOKEN, ...more } });
        children.push(child);
        const [, port] = await child.line(/listening on port (\d+)/);
        return { child, port };
    }

    const client = (address, connectionToken) => new CopilotClient({ connection: RuntimeConnection.forUri(address, { connectionToken }) });
    const script = (name) => path.join(root, "conf/docker", name);

    it("the image's arguments let pilotfish in from elsewhere, and nobody without the token", async () => {
        const { port } = await start(imageArgs);
        const right = client(`127.0.0.9:${port}`, TOKEN);
        await right.start();
        await right.stop();
        for (const [token, error] of [["another one", /AUTHENTICATION_FAILED/], [undefined, /AUTHENTICATION/]]) {
            const wrong = client(`127.0.0.9:${port}`, token);
            await assert.rejects(wrong.start(), error);
            await wrong.forceStop();
        }
    });

    it("the unit's arguments start it", async () => {
        const [line] = unitValues("copilot-cli@.service", "ExecStart");
        await start(line.split(" ").slice(1));
    });

    it("what the image has unpacked is used, and nothing is unpacked again", async () => {
        const [, words] = /^RUN (COPILOT_SEA_EXTRACT_ONLY=1 .*)$/m.exec(image.text);
        const place = path.join(home, "opt");
        run("sh", ["-c", words.replaceAll("/opt/copilot/copilot", copilot).replaceAll("/opt/copilot", place)]);
        assert.ok(fs.existsSync(path.join(place, "pkg")));
        assert.equal(image.env.COPILOT_PKG_CACHE_HOME, "/opt/copilot");
        await start(imageArgs, { COPILOT_PKG_CACHE_HOME: place, HOME: path.join(home, "user") });
        assert.ok(!fs.existsSync(path.join(home, "user/.cache/copilot/pkg")));
    });

    it("an argument that it does not know would have been noticed", async () => {
        const child = new Child("copilot", copilot, [...imageArgs, "--no-such-flag"], { cwd: home, env: { COPILOT_HOME: home } });
        children.push(child);
        await child.line(/unexpected argument '--no-such-flag'/);
        assert.notEqual((await within(PATIENCE, "its end", child.exited)).code, 0);
    });

    it("the health check sees it live, hang and die", async () => {
        const { child, port } = await start(imageArgs);
        const answers = () => passes(script("copilot-answers"), [port]);
        assert.ok(answers());
        await child.pause();
        assert.ok(!answers());
        child.signal("SIGCONT");
        assert.ok(answers());
        await child.stop();
        assert.ok(!answers());
    });

    it("a pod's stop waits for guests from other hosts, and no longer than it may", async () => {
        const { port } = await start(imageArgs);
        const guest = net.connect({ host: "127.0.0.5", port });
        const probe = net.connect({ host: "127.0.0.1", port });
        for (const socket of [guest, probe]) socket.on("error", () => {});
        await Promise.all([guest, probe].map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
        const wait = (seconds) => {
            const child = new Child("copilot-deserted", script("copilot-deserted"), [port, String(seconds)]);
            children.push(child);
            return child;
        };
        await within(10_000, "the end of its time", wait(2).exited);
        const patient = wait(60);
        await eventually("it looks again and again", () => fs.readFileSync(`/proc/${patient.pid}/task/${patient.pid}/children`, "utf8") !== "");
        assert.ok(patient.running);
        guest.destroy();
        assert.equal((await within(10_000, "its end", patient.exited)).code, 0);
        probe.destroy();
    });
});
