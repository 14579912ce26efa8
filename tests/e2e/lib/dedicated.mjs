// A pilotfish that gives each tenant or user a real CLI of its own.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { Fleet } from "./fleet.mjs";
import { copilot, startModel, startProxy } from "./programs.mjs";
import { table } from "./settings.mjs";
import { tokenOf } from "./tenants.mjs";
import { eventually } from "./turns.mjs";

/** Names in lines of a config. */
const variable = (number) => `OWN_TOKEN_${number}`;

/**
 * Starts it for these people: "tenant", or "tenant/user" with `isolation: "user"`. `instances`, `limits`, `supervise`, `backoff` and `env` go
 * into their tables, `tables` to the end; `command` replaces the CLI.
 */
export class Dedicated extends Fleet {
    static async start({ people, ...options }) {
        const fleet = new Dedicated();
        fleet.people = people;
        fleet.options = options;
        fleet.directory = options.directory ?? fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-e2e-"));
        // Homes of other user ids lie below it.
        fs.chmodSync(fleet.directory, 0o755);
        try {
            fleet.model = await startModel();
            await fleet.startProxy();
        } catch (error) {
            await fleet.stop();
            throw error;
        }
        return fleet;
    }

    async startProxy() {
        const { options } = this;
        const proxyEnv = Object.fromEntries(this.people.map((who, number) => [variable(number), tokenOf(who)]));
        const proxy = await startProxy({ config: this.#config(), directory: this.directory, env: { ...proxyEnv, ...options.proxyEnv } });
        this.proxies.push(proxy);
        this.address = proxy.address;
        return proxy;
    }

    #config() {
        const { isolation = "tenant", instances = {}, limits, supervise = {}, backoff, env = {}, pool = "", tables = "", ports = "24000-24099", command } = this.options;
        const tenants = [...new Set(this.people.map((who) => who.split("/")[0]))];
        const token = (who) => {
            const user = who.split("/")[1];
            return `{ env = "${variable(this.people.indexOf(who))}"${user ? `, user = "${user}"` : ""} }`;
        };
        const tenant = (name) => {
            const tokens = this.people.filter((who) => who.split("/")[0] === name).map(token);
            return `[[tenant]]\nname = "${name}"\n${isolation === "user" ? 'users = "apart"\n' : ""}tokens = [${tokens.join(", ")}]\n`;
        };
        const home = path.join(this.directory, "homes", isolation === "user" ? "{tenant}/{user}" : "{tenant}");
        const offline = { COPILOT_OFFLINE: "true", COPILOT_PROVIDER_BASE_URL: this.model.url, COPILOT_MODEL: "demo" };
        return `
[admin]
bind = "127.0.0.1:0"
[[listener]]
name = "sdk"
bind = "127.0.0.1:0"
pool = "own"
[pool.own]
isolation = "${isolation}"
${pool}
[pool.own.health]
interval = "1s"
timeout = "1s"
rise = 1
fall = 2
${table("pool.own.supervise", {
    command: command ?? [copilot, "--headless", "--port", "{port}", "--no-auto-update"],
    home,
    port_range: ports,
    working_directory: this.directory,
    ...supervise,
})}
${table("pool.own.supervise.env", { ...offline, ...env })}
${backoff ? table("pool.own.supervise.restart_backoff", backoff) : ""}
${table("pool.own.instances", instances)}
${limits ? table("pool.own.instances.limits", limits) : ""}
${tenants.map(tenant).join("")}
${tables}`;
    }

    /** The home of one of the people. */
    home(who) {
        return path.join(this.directory, "homes", who);
    }

    /** A started SDK client of one of the people. */
    clientOf(who, options) {
        return this.client(this.address, tokenOf(who), options);
    }

    /** What `/status` says of the pool. */
    async status(proxy = this.proxies.at(-1)) {
        const status = await (await fetch(`http://${proxy.admin}/status`)).json();
        return status.pools[0];
    }

    /** What it says of one's own CLI. */
    async instanceOf(who) {
        return ((await this.status()).instances ?? []).find(({ owner }) => owner === who);
    }

    /** Waits until one's own CLI is in one of these phases; returns what is known of it. */
    async phaseOf(who, ...phases) {
        let instance;
        await eventually(`${who} is ${phases}`, async () => {
            instance = await this.instanceOf(who);
            return phases.includes(instance?.phase ?? "gone");
        });
        return instance;
    }
}

/** The environment of a process, by name. */
export function environmentOf(pid) {
    const text = fs.readFileSync(`/proc/${pid}/environ`, "utf8");
    return Object.fromEntries(text.split("\0").filter(Boolean).map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}

/** The ids of all processes below one. */
export function descendants(pid) {
    // Each thread has the children that it started.
    const lists = fs.readdirSync(`/proc/${pid}/task`).map((task) => fs.readFileSync(`/proc/${pid}/task/${task}/children`, "utf8"));
    const children = lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number));
    return children.flatMap((child) => [child, ...descendants(child)]);
}
