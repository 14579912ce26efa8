// docker-compose.yml as processes on this machine: the same programs with the same arguments, environment, files and order. Each
// service has an address of 127.0.0.0/8 of its own with the ports that the file says; only addresses and paths are others.
import { execFile } from "node:child_process";
import { randomInt } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

import { services } from "./compose.mjs";
import { Child } from "./processes.mjs";
import { copilot, pilotfish, root } from "./programs.mjs";
import { eventually, PATIENCE } from "./turns.mjs";

/** What is in no registry for tests: its files are looked at elsewhere. */
const ABSENT = ["grafana"];

/** What runs in place of an image's program, and what it needs on a machine that it shares. */
const PROGRAMS = {
    pilotfish: () => ({ program: pilotfish }),
    "/opt/copilot/copilot": () => ({ program: copilot }),
    "redis-server": ({ host, folder }) => ({ program: process.env.REDIS_SERVER ?? "redis-server", more: ["--bind", host, "--dir", folder] }),
    prometheus: ({ host }) => ({ program: "prometheus", more: [`--web.listen-address=${host}:9090`] }),
};

/** The same for health checks: they have to ask this service and not 127.0.0.1. */
const CHECKS = {
    pilotfish: (words) => [pilotfish, ...words],
    "copilot-answers": (words, host) => [path.join(root, "conf/docker/copilot-answers"), ...words, host],
    "redis-cli": (words, host) => ["redis-cli", "-h", host, ...words],
};

export class Topology {
    /** By name, in the order of their start. */
    services = new Map();

    /**
     * Starts all services, each when those before it are healthy, with their files in `directory`. `environment` is what the
     * file's variables are, `more` what the CLIs get besides: there is no account here.
     */
    static async start({ directory, environment, more }) {
        const topology = new Topology();
        // Others on this machine may do the same.
        const net = `127.${randomInt(10, 250)}.${randomInt(1, 250)}`;
        const wanted = services(environment).filter(({ name }) => !ABSENT.includes(name));
        for (const [at, service] of wanted.entries()) {
            const folder = path.join(directory, service.name);
            fs.mkdirSync(folder, { recursive: true });
            topology.services.set(service.name, { ...service, folder, host: `${net}.${at + 10}`, volumes: service.volumes });
        }
        try {
            const started = new Map();
            const start = (name) => {
                if (!started.has(name)) started.set(name, topology.#start(name, start, directory, more));
                return started.get(name);
            };
            await Promise.all(wanted.map(({ name }) => start(name)));
        } catch (error) {
            await topology.stop();
            throw error;
        }
        return topology;
    }

    /** The services whose names begin so. */
    named(prefix) {
        return [...this.services.values()].filter(({ name }) => name.startsWith(prefix));
    }

    async #start(name, start, directory, more) {
        const service = this.services.get(name);
        await Promise.all(service.after.map(start));
        const places = new Map(service.volumes.map((volume) => [volume.target, this.#mounted(service, volume, directory)]));
        const mounted = new RegExp(`(?<![\\w/.-])(${[...places.keys(), "$."].join("|")})(?![\\w.-])`, "g");
        const local = (text) => this.#adapted(service, text).replace(mounted, (inside) => places.get(inside));
        const words = [...service.entrypoint, ...service.command].filter((word, at, all) => word !== "tini" && !(word === "--" && all[at - 1] === "tini"));
        // Images of others say their program themselves, if the file does not.
        if (words[0].startsWith("-")) words.unshift(name);
        const { program, more: flags = [] } = PROGRAMS[words[0]](service);
        // What the CLI unpacks is here already.
        const { HOME: _, COPILOT_PKG_CACHE_HOME: __, ...own } = service.env;
        const env = Object.fromEntries(Object.entries(own).map(([key, value]) => [key, local(value)]));
        service.env = env;
        service.args = [...words.slice(1).map(local), ...flags];
        service.child = new Child(name, program, service.args, { cwd: service.folder, env: { ...env, ...(program === copilot && more) } });
        const check = service.health && CHECKS[service.health[0]](service.health.slice(1).map(local), service.host);
        service.healthy = () => (check ? succeeds(check) : answers(service));
        await eventually(`${name} is healthy; it said ${service.child.lines.slice(-5).join("\n")}`, async () => {
            if (!service.child.running) throw new Error(`${name} has ended:\n${service.child.lines.slice(-20).join("\n")}`);
            return await service.healthy();
        }, 2 * PATIENCE);
        return service;
    }

    /** Where what a service mounts is here: a volume, or a file or folder of ours with its addresses adapted. */
    #mounted(service, { source, target, file }, directory) {
        if (!file) {
            const folder = path.join(directory, "volumes", source);
            fs.mkdirSync(folder, { recursive: true });
            return folder;
        }
        const place = path.join(service.folder, target);
        fs.cpSync(path.join(root, source), place, { recursive: true });
        const files = fs.statSync(place).isDirectory() ? fs.readdirSync(place).map((name) => path.join(place, name)) : [place];
        for (const one of files) fs.writeFileSync(one, this.#adapted(service, fs.readFileSync(one, "utf8")));
        return place;
    }

    /** A text with the addresses that hold here. */
    #adapted(service, text) {
        const named = [...this.services.values()].reduce((text, { name, host }) => text.replace(new RegExp(`(?<![\\w.-])${name}(?=:\\d)`, "g"), host), text);
        return named.replaceAll("0.0.0.0", service.host);
    }

    /** Stops all as `docker compose stop` does: each when those that depend on it have ended. Returns how each ended, in that order. */
    async stop() {
        const ends = new Map();
        const stopped = new Map();
        const stop = (service) => {
            if (!stopped.has(service.name)) stopped.set(service.name, this.#stop(service, stop, ends));
            return stopped.get(service.name);
        };
        await Promise.all([...this.services.values()].map(stop));
        return ends;
    }

    async #stop(service, stop, ends) {
        await Promise.all([...this.services.values()].filter(({ after }) => after.includes(service.name)).map(stop));
        if (service.child) ends.set(service.name, await service.child.stop(service.grace * 1000));
    }
}

function succeeds([program, ...words]) {
    return new Promise((resolve) => execFile(program, words, (error) => resolve(!error)));
}

/** Without a health check: it answers on the port that it publishes. */
async function answers({ host, ports: [[, port]] }) {
    try {
        return (await fetch(`http://${host}:${port}/-/ready`)).ok;
    } catch {
        return false;
    }
}
