// The programs under test: where they are and how they are started.
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { Child } from "./processes.mjs";
import { startTunnel, tunnelled, withTls } from "./tunnel.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
export const root = path.resolve(here, "../../..");

/** The pilotfish binary: `PILOTFISH` or the debug build. */
export const pilotfish = process.env.PILOTFISH ?? path.join(root, "target/debug/pilotfish");

/** The real CLI: the binary itself, since the npm loader would leave a node process between us and it. */
export const copilot = path.join(here, `../node_modules/@github/copilot-${process.platform}-${process.arch}/copilot`);

/** Starts the demo model; `url` is what a provider wants as its base. */
export async function startModel() {
    const child = new Child("demo model", pilotfish, ["demo-model", "--port", "0"]);
    const [, address] = await orStop(child, child.line(/demo model listening on (\S+)/));
    return { child, url: `http://${address}/v1` };
}

/** Starts a CLI server with its state in `home`; port 0 takes a free one of `host`. Without a model it asks GitHub's. */
export async function startCli({ name, home, model, host, port = 0, env = {} }) {
    const args = ["--headless", ...(host ? ["--host", host] : []), "--port", String(port), "--no-auto-update"];
    const offline = model && { COPILOT_OFFLINE: "true", COPILOT_PROVIDER_BASE_URL: model.url, COPILOT_MODEL: "demo" };
    const child = new Child(name, copilot, args, { cwd: home, env: { COPILOT_HOME: home, ...offline, ...env } });
    const [, bound] = await orStop(child, child.line(/listening on port (\d+)/, 60_000));
    return { name, home, child, port: Number(bound), address: `${host ?? "127.0.0.1"}:${bound}` };
}

/**
 * Starts pilotfish with a config text; `address` and `admin` are where it listens. With TUNNEL=mtls `address` is that of a tunnel
 * to it, which ends with it; `door` is pilotfish's own in any case.
 */
export async function startProxy({ config, directory, env = {} }) {
    const file = path.join(fs.mkdtempSync(path.join(directory, "proxy-")), "pilotfish.toml");
    fs.writeFileSync(file, tunnelled ? withTls(config) : config);
    const child = new Child("pilotfish", pilotfish, ["run", "--config", file], { cwd: directory, env });
    const [door, admin] = await orStop(child, Promise.all([listening(child, "sdk"), listening(child, "admin")]));
    if (!tunnelled) return { child, config, address: door, door, admin };
    const tunnel = await orStop(child, startTunnel(pilotfish, door));
    child.exited.then(() => tunnel.child.stop());
    return { child, config, address: tunnel.address, door, tunnel, admin };
}

/** Runs a subcommand of pilotfish against this running one, to its end. */
export function operate(proxy, ...args) {
    return new Promise((resolve) => {
        execFile(pilotfish, [...args, "--admin", proxy.admin], (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
    });
}

// A program that does not come up has no owner yet who would stop it.
async function orStop(child, started) {
    try {
        return await started;
    } catch (error) {
        await child.stop();
        throw error;
    }
}

async function listening(child, name) {
    const { input } = await child.line(new RegExp(`listening\\b.*\\bname"?[=:]"?${name}\\b`));
    return /addr"?[=:]"?([^\s",}]+)/.exec(input)[1];
}
