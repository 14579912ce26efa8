// `pilotfish quickstart --demo-model`: the printed program gets its answer, and Ctrl-C leaves nothing running.
import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";

import { Child } from "../lib/processes.mjs";
import { copilot, pilotfish, root } from "../lib/programs.mjs";
import { eventually, PATIENCE, within } from "../lib/turns.mjs";

const folder = path.join(root, "tests/e2e");

describe("quickstart", { timeout: 5 * PATIENCE }, () => {
    let data, child, program;
    before(() => (data = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-quickstart-"))));
    after(async () => {
        await child?.stop();
        if (program) fs.rmSync(program, { force: true });
        fs.rmSync(data, { recursive: true, force: true, maxRetries: 5 });
    });

    function start(args, env = {}) {
        return new Child("quickstart", pilotfish, ["quickstart", "--data", data, ...args], { env });
    }

    /** PATH with the pinned package's `copilot` script first: the binary behind it has to be found. */
    const withCopilot = () => ({ PATH: `${path.join(folder, "node_modules/.bin")}:${process.env.PATH}` });

    /** The ids of the CLIs whose state is in the data folder. */
    function clis() {
        const numbers = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name));
        return numbers.filter((pid) => {
            try {
                const sameProgram = fs.readlinkSync(`/proc/${pid}/exe`) === fs.realpathSync(copilot);
                return sameProgram && fs.readFileSync(`/proc/${pid}/environ`, "utf8").includes(`COPILOT_HOME=${data}/home`);
            } catch {
                return false;
            }
        });
    }

    it("prints a program that gets an answer", async () => {
        child = start(["--demo-model", "--port", "0", "--admin-port", "0"], withCopilot());
        await child.line(/pilotfish is ready: 3 Copilot CLIs/, 2 * PATIENCE);
        await child.line(/^await client\.stop/);
        assert.equal(clis().length, 3);
        const first = child.lines.findIndex((line) => line.startsWith("import "));
        program = path.join(folder, `.hello-${process.pid}.mjs`);
        fs.writeFileSync(program, child.lines.slice(first).join("\n"));
        const hello = new Child("hello.mjs", process.execPath, [program], { cwd: folder });
        const { code } = await within(PATIENCE, "hello.mjs", hello.exited);
        assert.deepEqual({ code, lines: hello.lines }, { code: 0, lines: ["You said: Hello, pilotfish!"] });
    });

    it("serves the admin address that it printed", async () => {
        const [, url] = await child.line(/admin\s+(http:\S+)\/status/);
        assert.equal((await fetch(`${url}/readyz`)).status, 200);
        assert.match(await (await fetch(`${url}/metrics`)).text(), /^pilotfish_build_info/m);
    });

    it("leaves nothing running after Ctrl-C", async () => {
        child.killGroup("SIGINT");
        assert.deepEqual(await within(PATIENCE, "exit", child.exited), { code: 0, signal: null });
        await eventually("all CLIs have ended", () => clis().length === 0, 2_000);
    });

    it("leaves nothing running after its own SIGKILL", async () => {
        child = start(["--demo-model", "--port", "0", "--admin-port", "0", "--backends", "1"], withCopilot());
        await child.line(/pilotfish is ready: 1 Copilot CLI/, 2 * PATIENCE);
        assert.equal(clis().length, 1);
        child.signal("SIGKILL");
        await child.exited;
        await eventually("the CLI has ended", () => clis().length === 0, 5_000);
    });

    it("tells a taken port and how to choose another", async () => {
        const taken = net.createServer().listen(0, "127.0.0.1");
        await new Promise((resolve) => taken.once("listening", resolve));
        const { port } = taken.address();
        child = start(["--port", String(port), "--admin-port", "0"], withCopilot());
        assert.equal((await within(PATIENCE, "exit", child.exited)).code, 1);
        await child.line(new RegExp(`port ${port} of 127.0.0.1 is taken .*--port`));
        taken.close();
    });

    it("tells what to install when there is neither copilot nor npm", async () => {
        child = start(["--port", "0", "--admin-port", "0"], { PATH: data });
        assert.equal((await within(PATIENCE, "exit", child.exited)).code, 1);
        await child.line(/found neither `copilot` nor `npm` on PATH/);
    });

    it("tells a failed installation", async () => {
        const npm = path.join(data, "npm");
        fs.writeFileSync(npm, "#!/bin/sh\necho 'npm error network ENOTFOUND' >&2\nexit 1\n", { mode: 0o755 });
        child = start(["--port", "0", "--admin-port", "0"], { PATH: data });
        assert.equal((await within(PATIENCE, "exit", child.exited)).code, 1);
        await child.line(/npm could not install @github\/copilot@.* is the npm registry reachable/);
    });
});
