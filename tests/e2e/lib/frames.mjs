// Content-Length framing, as little of it as the tests need.

/** One message as it goes over the wire. */
export function encode(message) {
    const body = Buffer.from(JSON.stringify(message));
    return Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]);
}

/** Takes bytes as they come and hands every complete message, and its text, to `onMessage`. */
export class FrameReader {
    #chunks = [];
    #length = 0;
    #wanted = null;

    constructor(onMessage) {
        this.onMessage = onMessage;
    }

    push(bytes) {
        this.#chunks.push(bytes);
        this.#length += bytes.length;
        // Joining only when something is complete keeps a frame of many megabytes linear.
        if (this.#wanted !== null && this.#length < this.#wanted) return;
        let buffer = Buffer.concat(this.#chunks);
        for (;;) {
            const end = buffer.indexOf("\r\n\r\n");
            const length = end < 0 ? null : Number(/content-length:\s*(\d+)/i.exec(buffer.toString("latin1", 0, end))[1]);
            this.#wanted = length === null ? null : end + 4 + length;
            if (this.#wanted === null || buffer.length < this.#wanted) break;
            const text = buffer.toString("utf8", end + 4, this.#wanted);
            this.onMessage(JSON.parse(text), text);
            buffer = buffer.subarray(this.#wanted);
        }
        this.#chunks = [buffer];
        this.#length = buffer.length;
    }
}
