// The Python and the Rust SDK, each with a script of its own: create, send, stream, tool, resume, list, delete.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, it } from "node:test";

import { direct, Fleet } from "../lib/fleet.mjs";
import { Child } from "../lib/processes.mjs";
import { root } from "../lib/programs.mjs";
import { PATIENCE, within } from "../lib/turns.mjs";

const STEPS = ["ping", "create and send", "stream", "tool", "resume", "list", "delete"];
const folder = path.join(root, "tests/e2e");

for (const backends of direct ? [1] : [1, 3]) {
    describe(`other SDKs, ${backends} CLI(s)`, { timeout: 10 * PATIENCE }, () => {
        let fleet;
        before(async () => (fleet = await Fleet.start({ backends })));
        after(() => fleet?.stop());

        async function allStepsHold(name, command, args) {
            const env = { ADDRESS: fleet.address, MODEL: fleet.model.url };
            const child = new Child(name, command, args, { cwd: folder, env });
            try {
                const { code } = await within(4 * PATIENCE, name, child.exited);
                const steps = child.lines.filter((line) => line.startsWith("ok ")).map((line) => line.slice(3));
                assert.deepEqual({ code, steps }, { code: 0, steps: STEPS }, child.lines.join("\n"));
            } finally {
                await child.stop();
            }
        }

        it("Python", () => allStepsHold("Python", ".venv/bin/python", ["python/smoke.py"]));
        // Built by the Makefile: a build does not belong into a test's time.
        it("Rust", () => allStepsHold("Rust", "rust/target/debug/pilotfish-e2e-rust", []));
    });
}
