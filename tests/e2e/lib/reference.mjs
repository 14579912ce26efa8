// The reference set-up as processes on one machine: two pilotfish, three Copilot CLIs on one home, one Redis. What
// docker-compose.yml has for containers, with the same config, for somebody to use: on ports of 127.0.0.1 that he says.
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

import { services } from "./compose.mjs";
import { read } from "./deployment.mjs";
import { startCli, startModel, startProxy } from "./programs.mjs";
import { Redis } from "./redis.mjs";

const NAMES = services().map(({ name }) => name);
const CLIS = NAMES.filter((name) => name.startsWith("cli-"));
/** What is between the ports of the first proxy and the second one's. */
const STEP = 10;

/** The config that the containers run, with other addresses. */
function configText({ sdk, admin, clis, redis }) {
    const places = { "0.0.0.0:4321": `127.0.0.1:${sdk}`, "0.0.0.0:4320": `127.0.0.1:${admin}`, "redis:6379": redis.address };
    for (const { name, address } of clis) places[`${name}:4321`] = address;
    return Object.entries(places).reduce((text, [there, here]) => text.replace(`"${there}"`, `"${here}"`), read("conf/docker/pilotfish.toml"));
}

export class Reference {
    clis = [];
    proxies = [];

    /**
     * Starts all of it with its files in `directory`. `port` is that of the first proxy, the one below it its admin port; 0
     * takes free ones. `demo` answers with the demo model, otherwise `env` has to give the CLIs an account.
     */
    static async start({ directory, port = 4321, demo = true, env = {} }) {
        const reference = new Reference();
        try {
            await reference.#start({ directory, port, demo, env });
        } catch (error) {
            await reference.stop();
            throw error;
        }
        return reference;
    }

    async #start({ directory, port, demo, env }) {
        const home = path.join(directory, "home");
        const token = randomBytes(16).toString("hex");
        fs.mkdirSync(home, { recursive: true });
        if (demo) this.model = await startModel();
        this.redis = await Redis.start(directory);
        const own = { ...env, COPILOT_CONNECTION_TOKEN: token };
        this.clis = await Promise.all(CLIS.map((name) => startCli({ name, home, model: this.model, env: own })));
        for (const at of NAMES.filter((name) => name.startsWith("pilotfish-")).keys()) {
            const [sdk, admin] = port === 0 ? [0, 0] : [port + at * STEP, port + at * STEP - 1];
            const { clis, redis } = this;
            this.proxies.push(await startProxy({ config: configText({ sdk, admin, clis, redis }), directory, env: { CLI_TOKEN: token } }));
        }
    }

    /** The first program to end, which should not have. */
    ended() {
        const children = [...this.proxies, ...this.clis, this.redis].map(({ child }) => child);
        return Promise.race(children.map((child) => child.exited.then(() => child)));
    }

    /** Ends everything, what stands in front first. */
    async stop() {
        await Promise.all(this.proxies.map(({ child }) => child.stop()));
        await Promise.all(this.clis.map(({ child }) => child.stop()));
        await this.redis?.stop();
        await this.model?.child.stop();
    }
}
