// Runs the reference set-up on this machine until Ctrl-C: two pilotfish, three Copilot CLIs on one home, one Redis.
//   node reference.mjs [--demo-model] [--port 4321] [--data FOLDER]
// --demo-model: answers without an account; otherwise COPILOT_GITHUB_TOKEN has to be set. The second pilotfish is 10 ports above
// the first, the admin ports are one below each; --port 0 takes free ones. Without --data everything is forgotten at the end.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

import { Reference } from "./lib/reference.mjs";

const { values } = parseArgs({ options: { "demo-model": { type: "boolean" }, port: { type: "string", default: "4321" }, data: { type: "string" } } });
const { COPILOT_GITHUB_TOKEN: token } = process.env;
if (!values["demo-model"] && !token) {
    console.error("reference: set COPILOT_GITHUB_TOKEN, or ask for --demo-model");
    process.exit(1);
}

const directory = values.data ?? fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-reference-"));
fs.mkdirSync(directory, { recursive: true });
// A signal at any moment ends what has been started by then.
const stopped = new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"]) {
        process.removeAllListeners(signal);
        process.once(signal, () => resolve(null));
    }
});

const starting = Reference.start({ directory, port: Number(values.port), demo: values["demo-model"], env: token ? { COPILOT_GITHUB_TOKEN: token } : {} });
try {
    const reference = await starting;
    for (const [at, { address, admin }] of reference.proxies.entries()) {
        console.log(`pilotfish ${at + 1}: SDK clients ${address}, status and metrics http://${admin}/status`);
    }
    for (const { name, address } of reference.clis) console.log(`${name}: ${address}`);
    console.log(`redis: ${reference.redis.address}`);
    if (reference.model) console.log(`model: ${reference.model.url} (provider of the sessions: { type: "openai", baseUrl: "${reference.model.url}" })`);
    console.log("the reference set-up is ready; Ctrl-C ends it");
    const lost = await Promise.race([stopped, reference.ended()]);
    if (lost) {
        console.error(`${lost.name} has ended; its last lines:\n${lost.lines.slice(-20).join("\n")}`);
        process.exitCode = 1;
    }
    await reference.stop();
} catch (error) {
    console.error(`reference: ${error.message}`);
    process.exitCode = 1;
} finally {
    if (values.data === undefined) fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}
process.exit();
