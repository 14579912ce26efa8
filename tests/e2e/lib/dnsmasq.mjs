// A real name server, whose answers a test changes.
import fs from "node:fs";
import path from "node:path";

import { Child } from "./processes.mjs";
import { freePort } from "./redis.mjs";

/** The service that is looked up: its backends are called NAME.copilot.test. */
export const service = "copilot.test";

export const program = ["/usr/sbin/dnsmasq", "/usr/local/sbin/dnsmasq"].find((file) => fs.existsSync(file)) ?? "dnsmasq";

/** A dnsmasq that knows nothing but the hosts that it is given. */
export class Dnsmasq {
    #read = 0;

    /** Starts one that tells these hosts: an object of names and addresses. */
    static async start(directory, hosts) {
        const dns = new Dnsmasq();
        dns.file = path.join(directory, "hosts.added");
        dns.port = await freePort();
        dns.#write(hosts);
        const flags = ["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--pid-file=", "--cache-size=0"];
        const where = ["--listen-address=127.0.0.1", "--user=root", "--log-facility=-", `--local=/${service}/`, `--port=${dns.port}`];
        dns.child = new Child("dnsmasq", program, [...flags, ...where, `--addn-hosts=${dns.file}`]);
        await dns.#loaded();
        return dns;
    }

    /** Tells other hosts from now on. */
    async set(hosts) {
        this.#write(hosts);
        this.child.signal("SIGHUP");
        await this.#loaded();
    }

    /** It takes questions and answers none (SIGSTOP). */
    hang() {
        return this.child.pause();
    }

    /** The end of `hang`. */
    wake() {
        this.child.signal("SIGCONT");
    }

    stop() {
        return this.child.stop();
    }

    #write(hosts) {
        fs.writeFileSync(this.file, Object.entries(hosts).map(([name, address]) => `${address} ${name}.${service} ${service}\n`).join(""));
    }

    /** It says so each time that it has read the hosts. */
    async #loaded() {
        const count = ++this.#read;
        const lines = () => this.child.lines.filter((line) => line.includes("hosts.added")).length;
        await new Promise((resolve, reject) => {
            const look = setInterval(() => {
                if (lines() >= count) resolve();
                else if (!this.child.running) reject(new Error(this.child.lines.join("\n")));
                else return;
                clearInterval(look);
            }, 10);
        });
    }
}
