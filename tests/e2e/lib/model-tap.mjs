// A relay before the model that notes which call runs when, so that a test sees every answer that was made.
import http from "node:http";

export class ModelTap {
    /** `{ prompt, began, ended }` of each call, by `performance.now()`; `ended` is null while it runs. */
    calls = [];
    #server;

    /** Starts one before the model at `url`; give its own `url` to sessions. */
    static async start(url) {
        const tap = new ModelTap();
        tap.#server = http.createServer((request, response) => tap.#relay(new URL(url), request, response));
        await new Promise((resolve) => tap.#server.listen(0, "127.0.0.1", resolve));
        tap.url = `http://127.0.0.1:${tap.#server.address().port}/v1`;
        return tap;
    }

    /** The pairs of calls that ran at the same time. */
    overlaps() {
        const byBegin = [...this.calls].sort((a, b) => a.began - b.began);
        return byBegin.slice(1).map((call, at) => [byBegin[at], call]).filter(([before, after]) => before.ended === null || before.ended > after.began);
    }

    async stop() {
        this.#server.closeAllConnections();
        await new Promise((resolve) => this.#server.close(resolve));
    }

    #relay(url, request, response) {
        const chunks = [];
        request.on("data", (bytes) => chunks.push(bytes));
        request.on("end", () => {
            const body = Buffer.concat(chunks);
            const call = body.length > 0 ? this.#note(body) : null;
            const { host: _, ...headers } = request.headers;
            const upstream = http.request({ host: url.hostname, port: url.port, path: request.url, method: request.method, headers });
            upstream.on("response", (answer) => {
                response.writeHead(answer.statusCode, answer.headers);
                answer.pipe(response);
                answer.on("end", () => call && (call.ended = performance.now()));
            });
            upstream.on("error", () => response.destroy());
            response.on("close", () => {
                if (call && call.ended === null) call.ended = performance.now();
                upstream.destroy();
            });
            upstream.end(body);
        });
    }

    #note(body) {
        const { messages = [] } = JSON.parse(body);
        const last = messages.filter(({ role }) => role === "user").at(-1)?.content ?? "";
        const prompt = typeof last === "string" ? last : last.map(({ text = "" }) => text).join("");
        const call = { prompt, began: performance.now(), ended: null };
        this.calls.push(call);
        return call;
    }
}
