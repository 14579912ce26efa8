// The reference set-up as processes on one machine: two pilotfish, three Copilot CLIs on one home, one Redis. What
// docker-compose.yml has for containers, with other addresses.
import fs from "node:fs";
import path from "node:path";

import { startCli, startModel, startProxy } from "./programs.mjs";
import { Redis } from "./redis.mjs";

const CLIS = 3;
/** What is between the ports of the first proxy and the second one's. */
const STEP = 10;

/** The config of one of the proxies: they differ in their addresses alone. */
const configText = ({ sdk, admin, clis, redis }) => `
[admin]
bind = "127.0.0.1:${admin}"

[[listener]]
name = "sdk"
bind = "127.0.0.1:${sdk}"
mode = "session"
pool = "copilot"

[pool.copilot]
policy = "consistent-hash"
storage = "shared"
backends = [
${clis.map(({ name, address }) => `    { name = "${name}", address = "${address}" },`).join("\n")}
]

[pool.copilot.sessions]
max_live_sessions = 50
idle_timeout = "30m"
lock = "queue"

[store]
kind = "redis"
addresses = ["${redis.address}"]
`;

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
        fs.mkdirSync(home, { recursive: true });
        if (demo) this.model = await startModel();
        this.redis = await Redis.start(directory);
        const names = Array.from({ length: CLIS }, (_, at) => `cli-${at + 1}`);
        this.clis = await Promise.all(names.map((name) => startCli({ name, home, model: this.model, env })));
        for (const step of [0, STEP]) {
            const [sdk, admin] = port === 0 ? [0, 0] : [port + step, port + step - 1];
            const { clis, redis } = this;
            this.proxies.push(await startProxy({ config: configText({ sdk, admin, clis, redis }), directory }));
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
