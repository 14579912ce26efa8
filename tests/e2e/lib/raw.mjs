// A bare JSON-RPC connection, for what the SDK does not offer.
import net from "node:net";

import { encode, FrameReader } from "./frames.mjs";

/** The error answer to a request. */
export class RpcError extends Error {
    constructor({ code, message, data }) {
        super(message);
        this.code = code;
        this.data = data;
    }
}

export class RawConnection {
    /** Notifications and server requests in the order of their arrival. */
    received = [];
    #socket;
    #next = 0;
    #open = new Map();

    static async connect(address) {
        const [host, port] = address.split(":");
        const socket = net.connect({ host, port: Number(port), noDelay: true });
        await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
        return new RawConnection(socket);
    }

    constructor(socket) {
        this.#socket = socket;
        this.closed = new Promise((resolve) => socket.once("close", resolve));
        const reader = new FrameReader((message, text) => this.#heard(message, text));
        socket.on("data", (bytes) => reader.push(bytes));
        socket.on("error", () => {});
    }

    /** How many requests still wait for their answers. */
    get pending() {
        return this.#open.size;
    }

    /** Sends a request; the promise carries its result or an `RpcError`. */
    async request(method, params = {}) {
        const { message } = await this.exchange(method, params);
        if (message.error) throw new RpcError(message.error);
        return message.result;
    }

    /** Sends a request; the promise carries the answer as it came: `{ message, text }`. */
    exchange(method, params = {}) {
        const id = this.#next++;
        const answer = new Promise((resolve) => this.#open.set(id, resolve));
        this.#socket.write(encode({ jsonrpc: "2.0", id, method, params }));
        return answer;
    }

    /** Sends bytes as they are. */
    write(bytes) {
        this.#socket.write(bytes);
    }

    notify(method, params = {}) {
        this.#socket.write(encode({ jsonrpc: "2.0", method, params }));
    }

    close() {
        this.#socket.destroy();
        return this.closed;
    }

    #heard(message, text) {
        const answered = message.method === undefined && this.#open.get(message.id);
        if (!answered) return void this.received.push(message);
        this.#open.delete(message.id);
        answered({ message, text });
    }
}
