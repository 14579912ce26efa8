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
        const reader = new FrameReader((message) => this.#heard(message));
        socket.on("data", (bytes) => reader.push(bytes));
        socket.on("error", () => {});
    }

    /** How many requests still wait for their answers. */
    get pending() {
        return this.#open.size;
    }

    /** Sends a request; the promise carries its result or an `RpcError`. */
    request(method, params = {}) {
        const id = this.#next++;
        const answer = new Promise((resolve, reject) => this.#open.set(id, { resolve, reject }));
        this.#socket.write(encode({ jsonrpc: "2.0", id, method, params }));
        return answer;
    }

    notify(method, params = {}) {
        this.#socket.write(encode({ jsonrpc: "2.0", method, params }));
    }

    close() {
        this.#socket.destroy();
        return this.closed;
    }

    #heard(message) {
        const waiting = message.method === undefined && this.#open.get(message.id);
        if (!waiting) return void this.received.push(message);
        this.#open.delete(message.id);
        if (message.error) waiting.reject(new RpcError(message.error));
        else waiting.resolve(message.result);
    }
}
