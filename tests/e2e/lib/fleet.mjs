// A whole chain: demo model, real CLIs, perhaps taps before them, and pilotfish (or, with TARGET=direct, nothing) in front.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { approveAll, CopilotClient, RuntimeConnection } from "@github/copilot-sdk";

import { startCli, startModel, startProxy } from "./programs.mjs";
import { RawConnection } from "./raw.mjs";
import { Redis, Relay } from "./redis.mjs";
import { redisStore } from "./settings.mjs";
import { Tap } from "./tap.mjs";
import { eventually } from "./turns.mjs";

/** Whether the suites talk straight to the CLI: what holds there has to hold through pilotfish. */
export const direct = process.env.TARGET === "direct";

/** The config of pilotfish for these backends, one listener, everything on free ports; `tables` go to its end. */
export function configText({ backends, storage = "shared", policy = "consistent-hash", pool = "", health, drain = "", listener = "", tables = "" }) {
    const { interval = "1s", timeout = "1s", rise = 1, fall = 2 } = health ?? {};
    const list = backends.map(({ name, address }) => `    { name = "${name}", address = "${address}" },`);
    return `
${drain}
[admin]
bind = "127.0.0.1:0"

[[listener]]
name = "sdk"
bind = "127.0.0.1:0"
mode = "session"
pool = "copilot"
${listener}

[pool.copilot]
policy = "${policy}"
storage = "${storage}"
${pool}
backends = [
${list.join("\n")}
]

[pool.copilot.health]
interval = "${interval}"
timeout = "${timeout}"
rise = ${rise}
fall = ${fall}
${tables}
`;
}

export class Fleet {
    clis = [];
    taps = [];
    proxies = [];
    #clients = new Set();
    #connections = new Set();

    /**
     * Starts `backends` CLIs on one shared home or (`storage: "local"`) one each, and pilotfish before them.
     * `options` goes into the config (`tables` may be a function of the fleet); `taps` puts a tap before each CLI; `target`
     * overrides TARGET; `env` and `cliEnv` are for pilotfish and for the CLIs. `proxies` is how many pilotfish there are, and
     * `redis` (keys of the table `store`) gives them a Redis to share, which `relayed` puts behind a relay.
     */
    static async start({ backends = 1, storage = "shared", taps = false, target = direct ? "direct" : "pilotfish", ...options } = {}) {
        const fleet = new Fleet();
        fleet.directory = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-e2e-"));
        try {
            await fleet.#start(backends, storage, taps, target, options);
        } catch (error) {
            await fleet.stop();
            throw error;
        }
        return fleet;
    }

    async #start(backends, storage, taps, target, options) {
        this.model = await startModel();
        this.cliEnv = options.cliEnv;
        const numbers = Array.from({ length: backends }, (_, index) => index + 1);
        this.clis = await Promise.all(numbers.map((number) => this.#startCli(`cli-${number}`, storage)));
        if (taps) this.taps = await Promise.all(this.clis.map(({ port }) => Tap.start(port)));
        const members = this.clis.map(({ name, address }, index) => ({ name, address: this.taps[index]?.address ?? address }));
        const store = options.redis ? await this.#startStore(options) : "";
        const { tables = "", proxies = 1 } = options;
        this.settings = { backends: members, storage, ...options, tables: `${store}\n${typeof tables === "function" ? tables(this) : tables}` };
        if (target === "direct") this.address = members[0].address;
        else for (let number = 0; number < proxies; number++) await this.startProxy();
    }

    async #startStore({ redis, relayed }) {
        this.redis = await Redis.start(this.directory);
        // It runs in the test's own process: a busy test makes it slow.
        if (relayed) this.relay = await Relay.start(this.redis.port);
        return redisStore((this.relay ?? this.redis).address, redis);
    }

    #startCli(name, storage) {
        const home = path.join(this.directory, storage === "shared" ? "home" : `home-${name}`);
        fs.mkdirSync(home, { recursive: true });
        return startCli({ name, home, model: this.model, env: this.cliEnv });
    }

    /** Starts one more pilotfish on the same backends and waits until it sees all of them up; the first one's address becomes the fleet's. */
    async startProxy() {
        const proxy = await startProxy({ config: configText(this.settings), directory: this.directory, env: this.settings.env });
        this.proxies.push(proxy);
        await eventually("all backends are up", async () => (await this.backendsUp(proxy)) === this.clis.length);
        this.address ??= proxy.address;
        return proxy;
    }

    /** How many backends a pilotfish has in rotation. */
    async backendsUp(proxy = this.proxy) {
        const text = await (await fetch(`http://${proxy.admin}/metrics`)).text();
        return text.split("\n").filter((line) => line.startsWith("pilotfish_backend_up{") && line.endsWith(" 1")).length;
    }

    /** Makes sessions with `create`, which returns their ids, until every CLI (behind its tap) has one of them; returns all ids. */
    async reachAll(create) {
        const ids = [];
        const has = (tap) => tap.requests().some(([method, id]) => method === "session.create" && ids.includes(id));
        while (!this.taps.every(has)) ids.push(await create(ids.length + 1));
        return ids;
    }

    /** The first pilotfish. */
    get proxy() {
        return this.proxies[0];
    }

    /** Starts a CLI that has died again, on its old port. */
    async revive(index) {
        const { name, home, port } = this.clis[index];
        this.clis[index] = await startCli({ name, home, port, model: this.model, env: this.cliEnv });
    }

    /** A started SDK client of this fleet, perhaps with the token of a tenant. */
    async client(address = this.address, connectionToken = undefined, options = {}) {
        const client = new CopilotClient({ connection: RuntimeConnection.forUri(address, { connectionToken }), ...options });
        this.#clients.add(client);
        await client.start();
        return client;
    }

    /** A bare connection that has said `connect`. */
    async raw(address = this.address, token = undefined) {
        const connection = await this.stranger(address);
        connection.hello = await connection.request("connect", { token });
        return connection;
    }

    /** A bare connection that has said nothing. */
    async stranger(address = this.address) {
        const connection = await RawConnection.connect(address);
        this.#connections.add(connection);
        return connection;
    }

    /** Configuration for `createSession` and `resumeSession`: the demo model, everything allowed. */
    session(extra = {}) {
        const provider = { type: "openai", baseUrl: this.model.url };
        return { model: "demo", provider, onPermissionRequest: approveAll, ...extra };
    }

    /** Drops all clients: a test that is over must not hold the next one's sessions. */
    async dropClients() {
        await Promise.all([...this.#connections].map((connection) => connection.close()));
        await Promise.all([...this.#clients].map((client) => client.forceStop()));
        this.#connections.clear();
        this.#clients.clear();
    }

    /** Ends everything that was started and removes its files. */
    async stop() {
        await this.dropClients();
        await Promise.all(this.proxies.map(({ child }) => child.stop()));
        await this.relay?.stop();
        await this.redis?.stop();
        await Promise.all(this.taps.map((tap) => tap.stop()));
        await Promise.all(this.clis.map(({ child }) => child.stop()));
        await this.model?.child.stop();
        fs.rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
    }
}
