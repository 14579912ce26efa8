// Child processes of the tests: started in a group of their own, watched line by line, always ended by their id.
import { spawn } from "node:child_process";
import fs from "node:fs";
import { StringDecoder } from "node:string_decoder";

import { eventually } from "./turns.mjs";

const running = new Set();

// The last resort when a test run dies: whatever is still there goes with us.
process.on("exit", () => {
    for (const child of running) child.killGroup("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/** A running program: its lines, its end, and how to end it. */
export class Child {
    /** Everything that it has printed on both channels, a line each, without colours. */
    lines = [];
    #watchers = new Set();
    #process;

    constructor(name, command, args, { env = {}, cwd } = {}) {
        this.name = name;
        this.#process = spawn(command, args, {
            cwd,
            env: { ...cleanEnvironment(), ...env },
            stdio: ["ignore", "pipe", "pipe"],
            detached: true,
        });
        running.add(this);
        this.exited = new Promise((resolve) => {
            this.#process.once("error", (error) => this.#ended(resolve, { code: null, signal: null, error }));
            this.#process.once("close", (code, signal) => this.#ended(resolve, { code, signal }));
        });
        this.#read(this.#process.stdout);
        this.#read(this.#process.stderr);
    }

    /** Whether it has not ended. */
    get running() {
        return running.has(this);
    }

    get pid() {
        return this.#process.pid;
    }

    /** The first match of `pattern` in a line, past or to come; fails when the program ends or `ms` pass without one. */
    async line(pattern, ms = 20_000) {
        for (const line of this.lines) {
            const match = pattern.exec(line);
            if (match) return match;
        }
        let watcher, timer;
        try {
            return await new Promise((resolve, reject) => {
                watcher = (line) => {
                    if (line === null) return reject(this.#failure(`ended before it said ${pattern}`));
                    const match = pattern.exec(line);
                    if (match) resolve(match);
                };
                this.#watchers.add(watcher);
                timer = setTimeout(() => reject(this.#failure(`did not say ${pattern} in ${ms} ms`)), ms);
                if (!running.has(this)) watcher(null);
            });
        } finally {
            this.#watchers.delete(watcher);
            clearTimeout(timer);
        }
    }

    /** Sends a signal to this program alone. */
    signal(signal) {
        if (running.has(this)) this.#kill(this.pid, signal);
    }

    /** Stops it (SIGSTOP) and returns once no thread of it runs any more: a busy machine takes its time. */
    async pause() {
        this.signal("SIGSTOP");
        const folder = `/proc/${this.pid}/task`;
        const state = (task) => fs.readFileSync(`${folder}/${task}/stat`, "utf8").split(") ")[1][0];
        await eventually(`${this.name} is stopped`, () => fs.readdirSync(folder).every((task) => state(task) === "T"));
    }

    /** Sends a signal to the program and all that it started. */
    killGroup(signal) {
        this.#kill(-this.pid, signal);
    }

    #kill(target, signal) {
        if (this.pid === undefined) return;
        try {
            process.kill(target, signal);
        } catch (error) {
            // It has ended in the meantime.
            if (error.code !== "ESRCH") throw error;
        }
    }

    /** Ends it politely, after `ms` by force, and returns how it ended. */
    async stop(ms = 5_000) {
        this.killGroup("SIGCONT");
        this.signal("SIGTERM");
        const timer = setTimeout(() => this.killGroup("SIGKILL"), ms);
        const end = await this.exited;
        clearTimeout(timer);
        this.killGroup("SIGKILL");
        return end;
    }

    #ended(resolve, end) {
        running.delete(this);
        for (const watcher of this.#watchers) watcher(null);
        resolve(end);
    }

    #failure(what) {
        return new Error(`${this.name} ${what}; its last lines:\n${this.lines.slice(-20).join("\n")}`);
    }

    #read(stream) {
        const decoder = new StringDecoder("utf8");
        let rest = "";
        stream.on("data", (bytes) => {
            const lines = (rest + decoder.write(bytes)).split("\n");
            rest = lines.pop();
            for (const line of lines) this.#heard(line);
        });
        stream.on("end", () => rest && this.#heard(rest));
    }

    #heard(line) {
        const plain = line.replace(/\u001b\[[0-9;]*m/g, "");
        this.lines.push(plain);
        for (const watcher of this.#watchers) watcher(plain);
    }
}

// What a developer has set for his own CLI must not reach the ones under test.
function cleanEnvironment() {
    const kept = Object.entries(process.env).filter(([name]) => !/^(COPILOT_|GH_|GITHUB_|NODE_TEST)/.test(name));
    return Object.fromEntries(kept);
}
