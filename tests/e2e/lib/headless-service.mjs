// A name server as a headless service has one: SRV records that name pods, and the pods' addresses.

import { Child } from "./processes.mjs";
import { program } from "./dnsmasq.mjs";
import { freePort } from "./redis.mjs";

export class HeadlessService {
    /** Starts one for a service (`_sdk._tcp.name.zone`) without pods. */
    static async start(service) {
        const dns = new HeadlessService();
        dns.service = service;
        dns.domain = service.split(".").slice(2).join(".");
        dns.port = await freePort();
        await dns.tell([]);
        return dns;
    }

    get address() {
        return `127.0.0.1:${this.port}`;
    }

    /** From now on these are the service's pods: it takes a new process to change SRV records. */
    async tell(pods) {
        await this.child?.stop();
        const records = pods.flatMap(({ name, host, port }) => [
            `--srv-host=${this.service},${name}.${this.domain},${port}`,
            `--host-record=${name}.${this.domain},${host}`,
        ]);
        const flags = ["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--pid-file=", "--listen-address=127.0.0.1"];
        const own = ["--user=root", "--log-facility=-", `--local=/${this.domain}/`, `--port=${this.port}`];
        this.child = new Child("dnsmasq", program, [...flags, ...own, ...records]);
        await this.child.line(/started/);
    }

    stop() {
        return this.child?.stop();
    }
}
