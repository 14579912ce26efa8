// A relay before a CLI that notes every message in both directions, so that a test sees what reached the backend.
import net from "node:net";

import { FrameReader } from "./frames.mjs";

export class Tap {
    /** `{ at, connection, from: "client" | "server", message, text }` in the order of arrival, `at` by `performance.now()`. */
    seen = [];
    /** `{ at, connection }` of each connection that a client ended. */
    ends = [];
    /** When a connection to the backend last ended, by `performance.now()`. */
    backendGone = null;
    #connections = 0;
    #sockets = new Set();
    #server;

    /** Starts a tap before the server on `port` of loopback. */
    static async start(port) {
        const tap = new Tap();
        tap.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => tap.#relay(client, port));
        await new Promise((resolve) => tap.#server.listen(0, "127.0.0.1", resolve));
        tap.address = `127.0.0.1:${tap.#server.address().port}`;
        return tap;
    }

    /** The messages from clients with a session id, as [method, session id]. */
    requests() {
        const fromClients = this.seen.filter(({ from, message }) => from === "client" && message.params?.sessionId);
        return fromClients.map(({ message }) => [message.method, message.params.sessionId]);
    }

    /** The events that the CLI sent for a session, in order. */
    events(sessionId) {
        return this.seen
            .filter(({ from, message }) => from === "server" && message.method === "session.event")
            .filter(({ message }) => message.params.sessionId === sessionId)
            .map(({ message }) => message.params.event);
    }

    /** How many connections there have been: the next one gets this number. */
    get connections() {
        return this.#connections;
    }

    async stop() {
        for (const socket of this.#sockets) socket.destroy();
        await new Promise((resolve) => this.#server.close(resolve));
    }

    #relay(client, port) {
        const connection = this.#connections++;
        const server = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
        this.#direction(client, server, connection, "client");
        this.#direction(server, client, connection, "server");
        let ended = false;
        for (const ending of ["end", "close"]) {
            client.once(ending, () => {
                if (!ended) this.ends.push({ at: performance.now(), connection });
                ended = true;
            });
        }
        for (const ending of ["end", "error"]) server.once(ending, () => (this.backendGone = performance.now()));
    }

    #direction(source, target, connection, from) {
        this.#sockets.add(source);
        const reader = new FrameReader((message, text) => this.seen.push({ at: performance.now(), connection, from, message, text }));
        source.on("data", (bytes) => reader.push(bytes));
        source.pipe(target);
        source.on("error", () => target.destroy());
        source.on("close", () => {
            this.#sockets.delete(source);
            if (source.errored || !source.readableEnded) target.destroy();
        });
    }
}
