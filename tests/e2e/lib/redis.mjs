// A Redis of a test's own, which can be killed, stopped and started again, and a relay that makes it slow.
import net from "node:net";

import { Child } from "./processes.mjs";

/** A real Redis that keeps nothing on the disk, as the proxies' store. */
export class Redis {
    /** Starts one on a free port, with its files (it writes none) in `directory`. */
    static async start(directory, { port } = {}) {
        const redis = new Redis();
        redis.directory = directory;
        redis.port = port ?? (await freePort());
        await redis.revive();
        return redis;
    }

    get address() {
        return `127.0.0.1:${this.port}`;
    }

    /** Starts it again, empty, on its port. */
    async revive() {
        const flags = ["--port", this.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", this.directory];
        this.child = new Child("redis", process.env.REDIS_SERVER ?? "redis-server", flags.map(String), { cwd: this.directory });
        try {
            await this.child.line(/Ready to accept connections/);
        } catch (error) {
            await this.child.stop();
            throw error;
        }
    }

    /** Ends it without a word. */
    async kill() {
        this.child.killGroup("SIGKILL");
        await this.child.exited;
    }

    /** It takes connections and says nothing (SIGSTOP); returns once it stands still. */
    hang() {
        return this.child.pause();
    }

    /** The end of `hang`. */
    wake() {
        this.child.signal("SIGCONT");
    }

    /** Runs one command, given as words, and returns its answer as text (of an array: its lines). */
    command(...words) {
        return new Promise((resolve, reject) => {
            const socket = net.connect({ port: this.port, host: "127.0.0.1" });
            const answer = [];
            socket.on("data", (bytes) => answer.push(bytes));
            socket.once("error", reject);
            socket.once("end", () => resolve(Buffer.concat(answer).toString().replace(/\+OK\r\n$/, "")));
            socket.write(`${inline(words)}QUIT\r\n`);
        });
    }

    stop() {
        return this.child.stop();
    }
}

const inline = (words) => `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;

/** A port that nothing listens on at this moment. */
export async function freePort() {
    const server = net.createServer();
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

/** A TCP relay whose answers come `delay` ms late; the delay may be changed while it runs. */
export class Relay {
    delay = 0;
    /** Bytes that came from the client's side since the start: whether anybody asks. */
    asked = 0;
    #sockets = new Set();
    #server;

    /** Starts one before the server on `port` of loopback. */
    static async start(port) {
        const relay = new Relay();
        relay.#server = net.createServer({ noDelay: true }, (client) => relay.#relay(client, port));
        await new Promise((resolve) => relay.#server.listen(0, "127.0.0.1", resolve));
        relay.address = `127.0.0.1:${relay.#server.address().port}`;
        return relay;
    }

    async stop() {
        for (const socket of this.#sockets) socket.destroy();
        await new Promise((resolve) => this.#server.close(resolve));
    }

    #relay(client, port) {
        const server = net.connect({ port, host: "127.0.0.1", noDelay: true });
        for (const [socket, other] of [[client, server], [server, client]]) {
            this.#sockets.add(socket);
            socket.on("error", () => {});
            socket.on("close", () => {
                this.#sockets.delete(socket);
                other.destroy();
            });
        }
        client.on("data", (bytes) => {
            this.asked += bytes.length;
            server.write(bytes);
        });
        // One after the other, also when the delay changes in between.
        let due = 0;
        server.on("data", (bytes) => {
            due = Math.max(due, performance.now() + this.delay);
            const wait = due - performance.now();
            if (wait <= 0) return void client.write(bytes);
            setTimeout(() => client.writable && client.write(bytes), wait);
        });
    }
}
