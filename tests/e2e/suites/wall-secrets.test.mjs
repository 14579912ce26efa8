// Two dozen secrets go through pilotfish, with everything logged that it can log and with errors of all kinds on the way. None of
// them is in its log, its metrics, its admin answers or the texts of its errors.
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import http from "node:http";
import { after, before, describe, it } from "node:test";

import { defineTool } from "@github/copilot-sdk";

import { Fleet } from "../lib/fleet.mjs";
import { Seat, tokenOf, walled } from "../lib/tenants.mjs";
import { ask, eventually, PATIENCE } from "../lib/turns.mjs";

const secret = (what) => `${what}-${randomBytes(16).toString("hex")}`;

const base64url = (value) => Buffer.from(value).toString("base64url");

/** A signed token for a tenant; `claims` may make it a wrong one. */
function jwt(key, claims) {
    const head = base64url(JSON.stringify({ alg: "HS256", typ: "JWT" }));
    const body = base64url(JSON.stringify({ exp: Math.floor(Date.now() / 1000) + 600, iss: "e2e", aud: "pilotfish", ...claims }));
    const signature = createHmac("sha256", key).update(`${head}.${body}`).digest("base64url");
    return `${head}.${body}.${signature}`;
}

/** What a secret looks like where it shows: itself, a part of it that is long enough, and its usual encodings. */
function faces(value) {
    const part = value.includes(".") ? value.split(".").slice(1) : [value.split("-").at(-1).slice(0, 20), value.split("-").at(-1).slice(-20)];
    return [value, ...part, Buffer.from(value).toString("base64").replace(/=+$/, ""), Buffer.from(value).toString("hex")];
}

const post = (url, method, headers = {}) =>
    new Promise((resolve, reject) => {
        const request = http.request(url, { method, headers }, (answer) => {
            let text = "";
            answer.on("data", (bytes) => (text += bytes)).on("end", () => resolve(text));
        });
        request.on("error", reject).end();
    });

for (const format of ["text", "json"]) {
    describe(`secrets, with everything logged as ${format}`, { timeout: 10 * PATIENCE }, () => {
        const jwtKey = secret("jwt-key");
        const planted = {
            "token of alice": tokenOf("alice"),
            "token of bob": tokenOf("bob"),
            "token of a backend": secret("backend"),
            "key of the JWT": jwtKey,
            "JWT of alice": jwt(jwtKey, { tenant: "alice", sub: secret("sub") }),
            "JWT that is out of date": jwt(jwtKey, { tenant: "alice", exp: 1, sub: secret("sub") }),
            "JWT of nobody": jwt(jwtKey, { tenant: "nobody", sub: secret("sub") }),
            "wrong token": secret("wrong"),
            "gitHubToken": secret("ghp"),
            "gitHubToken of a provider": secret("gho"),
            "apiKey": secret("key"),
            "bearerToken": secret("bearer"),
            "token of a callback": secret("callback"),
            "header of a provider": secret("provider-header"),
            "header of an MCP server": secret("mcp-header"),
            "environment of an MCP server": secret("mcp-env"),
            "prompt": secret("prompt"),
            "result of a tool": secret("tool"),
            "answer of a user": secret("answer"),
            "feedback to a permission": secret("feedback"),
            "form": secret("form"),
            "word of a hook": secret("hook"),
            "value in a refused param": secret("param"),
            "body of a bad frame": secret("frame"),
            "reason in a cancelled request": secret("cancel"),
        };
        let fleet;
        const seats = {};
        /** Texts of errors that anybody was given, and admin answers. */
        const told = [];

        before(async () => {
            const mcp = 'mcp_urls = ["http://127.0.0.1:9"]';
            fleet = await Fleet.start(
                walled(
                    { alice: mcp, bob: "[tenant.limits]\nturns = 1\ncreates_per_minute = 3\nconnections = 4\nframes_per_second = 200" },
                    {
                        backends: 2,
                        taps: true,
                        drain: `[log]\nlevel = "trace"\nformat = "${format}"`,
                        listener: `[listener.jwt]\nalgorithms = ["HS256"]\nsecret = { env = "JWT_KEY" }\nissuer = "e2e"\naudience = "pilotfish"`,
                        pool: `connection_token = { env = "BACKEND_TOKEN" }`,
                        env: { BACKEND_TOKEN: planted["token of a backend"], JWT_KEY: jwtKey, RUST_LOG: "trace", RUST_BACKTRACE: "1" },
                        cliEnv: { COPILOT_CONNECTION_TOKEN: planted["token of a backend"] },
                    },
                ),
            );
            for (const name of ["alice", "bob"]) seats[name] = await Seat.take(fleet, name);
        });
        after(async () => {
            for (const seat of Object.values(seats)) await seat.stop();
            await fleet?.stop();
        });

        /** Waits for a call to end and keeps the text of its error. */
        const tolerate = (promise) => promise.then((value) => value, (error) => void told.push(`${error.message} ${JSON.stringify(error.data ?? null)}`));

        it("goes through a conversation with all of them", async () => {
            const client = await seats.alice.client();
            const provider = { ...fleet.session().provider, headers: { "X-Secret": planted["header of a provider"] } };
            const tool = defineTool("keep", { description: "d", skipPermission: true, parameters: { type: "object", properties: {} }, handler: () => planted["result of a tool"] });
            const shared = {
                tools: [tool],
                onUserInputRequest: () => ({ answer: planted["answer of a user"], wasFreeform: true }),
                onPermissionRequest: () => ({ kind: "reject", feedback: planted["feedback to a permission"] }),
                onElicitationRequest: () => ({ action: "accept", content: { form: planted["form"] } }),
                hooks: { onUserPromptSubmitted: () => ({ additionalContext: planted["word of a hook"] }) },
                mcpServers: { far: { type: "http", url: "http://127.0.0.1:9/mcp", headers: { Authorization: planted["header of an MCP server"] }, tools: ["*"] } },
            };
            const variants = {
                apiKey: { provider: { ...provider, apiKey: planted["apiKey"] } },
                bearerToken: { provider: { ...provider, bearerToken: planted["bearerToken"] } },
                callback: { provider: { ...provider, bearerTokenProvider: async () => planted["token of a callback"] } },
            };
            for (const [name, variant] of Object.entries(variants)) {
                const session = await client.createSession(fleet.session({ ...shared, ...variant }));
                assert.match(await ask(session, `[[tool:keep {}]] ${planted["prompt"]}`), new RegExp(planted["result of a tool"]), name);
                assert.match(await ask(session, '[[tool:ask_user {"question":"Sure?"}]]'), new RegExp(planted["answer of a user"]));
                assert.match(await ask(session, '[[tool:bash {"command":"echo x","description":"d"}]]'), new RegExp(planted["feedback to a permission"]));
                await tolerate(session.rpc.ui.elicitation({ message: "?", requestedSchema: { type: "object", properties: { form: { type: "string" } } } }));
                await session.disconnect();
            }
            await tolerate(client.createSession(fleet.session({ gitHubToken: planted["gitHubToken"] })));
            await tolerate(client.createSession(fleet.session({ gitHubTokenProvider: () => ({ token: planted["gitHubToken of a provider"] }) })));
            const through = JSON.stringify(seats.alice.tap.seen);
            for (const name of ["apiKey", "bearerToken", "token of a callback", "header of an MCP server", "prompt", "gitHubToken", "word of a hook", "form"]) {
                assert.ok(through.includes(planted[name]), `${name} went through`);
            }
            // The backends' token is shown to them by pilotfish, the clients' never leave it.
            const onward = JSON.stringify(fleet.taps.map(({ seen }) => seen));
            assert.ok(onward.includes(planted["token of a backend"]));
            assert.ok(!onward.includes(planted["token of alice"]) && !onward.includes(planted["token of bob"]));
        });

        it("takes and refuses JWTs and tokens", async () => {
            const connection = await fleet.raw(seats.alice.tap.address, planted["JWT of alice"]);
            assert.equal(connection.hello.ok, true);
            for (const name of ["JWT that is out of date", "JWT of nobody", "wrong token", "token of a backend", "key of the JWT"]) {
                const stranger = await fleet.stranger(seats.alice.tap.address);
                await assert.rejects(stranger.request("session.list", { [planted["value in a refused param"]]: planted["value in a refused param"] }), { code: -32001 });
                await assert.rejects(stranger.request("connect", { token: planted[name] }), ({ code, message }) => told.push(message) && code === -32002, name);
                await stranger.close();
            }
            const stranger = await fleet.stranger(seats.alice.tap.address);
            await tolerate(stranger.request("connect", { token: { nested: planted["wrong token"] } }));
            await tolerate(stranger.request("connect", { token: [planted["wrong token"]], Token: planted["wrong token"] }));
        });

        it("refuses denied, foreign, guarded, unknown and malformed calls", async () => {
            const connection = await seats.bob.raw();
            const value = planted["value in a refused param"];
            const { model, provider } = fleet.session();
            for (const [method, params] of [
                ["session.shell.exec", { sessionId: "bob--x", command: value }],
                ["account.login", { token: value, host: value }],
                ["session.getMessages", { sessionId: "alice--x", [value]: value }],
                ["session.create", { sessionId: "alice--x", model, provider, gitHubToken: value }],
                ["session.create", { workingDirectory: `/${value}`, model, provider }],
                ["session.create", { provider: { type: "openai", baseUrl: `http://${value}/`, apiKey: value } }],
                ["session.create", { provider: { type: "openai", baseUrl: `http://user:${value}@127.0.0.1/`, apiKey: value } }],
                ["session.create", { model, provider, mcpServers: { [value]: { type: "stdio", command: value, env: { KEY: planted["environment of an MCP server"] } } } }],
                ["session.create", { model, provider, [value]: { deep: value } }],
                ["session.create", { model, provider, sessionId: 5, gitHubToken: value }],
                ["session.send", { sessionId: "bob--x", prompt: value, attachments: [{ type: "file", path: `/${value}` }] }],
                ["session.commands.invoke", { sessionId: "bob--x", name: `allow-all ${value}` }],
                [`no.such.${value}`, { value }],
            ]) {
                const { message } = await connection.exchange(method, params);
                assert.ok(message.error, method);
                // Whoever asks for a method of that name may read it again in the answer.
                if (!method.includes(value)) told.push(JSON.stringify(message.error));
            }
            connection.notify("$/cancelRequest", { id: planted["reason in a cancelled request"] });
            connection.notify(planted["reason in a cancelled request"], { x: planted["reason in a cancelled request"] });
            await connection.request("ping");
        });

        it("closes on bytes that are no frames", async () => {
            const value = planted["body of a bad frame"];
            const framed = (body) => `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
            for (const bytes of [
                `GET /${value} HTTP/1.1\r\nAuthorization: ${value}\r\n\r\n`,
                `Content-Length: ${value}\r\n\r\n{}`,
                `X-${value}: ${value}\r\nContent-Length: 2\r\n\r\n{}`,
                framed(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"message":"${value}`),
                framed(`[{"jsonrpc":"2.0","id":1,"method":"${value}"}]`),
                framed(`{"jsonrpc":"2.0","id":{"a":"${value}"},"method":"ping"}`),
                framed(`{"jsonrpc":"2.0","id":1,"method":"session.send","params":{"sessionId":"${value}","sessionId":"${value}"}}`),
                framed(`{"jsonrpc":"2.0","id":1,"method":"connect","params":"${value}"}`),
                `Content-Length: 4000\r\n\r\n{"jsonrpc":"2.0","id":1,"method":"session.send","params":{"prompt":"${value}`,
            ]) {
                for (const greet of [true, false]) {
                    // Straight to pilotfish: a tap could not read these either.
                    const connection = greet ? await fleet.raw(fleet.address, tokenOf("alice")) : await fleet.stranger();
                    connection.write(bytes);
                    await Promise.race([connection.closed, eventually("an answer", () => connection.received.length > 0, 300).catch(() => {})]);
                    told.push(JSON.stringify(connection.received));
                    await connection.close();
                }
            }
        });

        it("says what is over the quota", async () => {
            const connection = await seats.bob.raw();
            const { model, provider } = fleet.session();
            const create = (sessionId) => connection.exchange("session.create", { sessionId, model, provider: { ...provider, apiKey: planted["apiKey"] } });
            const made = [await create("bob--1"), await create("bob--2"), await create("bob--3"), await create("bob--4")];
            assert.equal(made.at(-1).message.error?.code, -32015);
            assert.ok(made.at(-1).message.error.data.retry_after_ms > 0);
            const turns = await Promise.all(["bob--1", "bob--2"].map((sessionId) => connection.exchange("session.send", { sessionId, prompt: `[[delay:1000]] ${planted["prompt"]}` })));
            assert.deepEqual(turns.map(({ message }) => message.error?.code), [undefined, -32015]);
            const flood = await Promise.all(Array.from({ length: 600 }, () => connection.exchange("ping", { message: planted["prompt"] })));
            for (const { message } of [...made, ...turns, ...flood]) if (message.error) told.push(JSON.stringify(message.error));
            assert.ok(flood.some(({ message }) => message.error?.code === -32015) || flood.length === 600);
        });

        it("loses a backend in the middle of a turn", async () => {
            const client = await seats.alice.client();
            const session = await client.createSession(fleet.session({ streaming: true }));
            await session.send({ prompt: `[[delay:20000]] ${planted["prompt"]}` });
            for (const { child } of fleet.clis) child.killGroup("SIGKILL");
            await eventually("pilotfish sees them down", async () => (await fleet.backendsUp()) === 0);
            await tolerate(session.send({ prompt: planted["prompt"] }));
            await tolerate(client.createSession(fleet.session({ gitHubToken: planted["gitHubToken"] })));
        });

        it("answers operators", async () => {
            const at = `http://${fleet.proxy.admin}`;
            for (const page of ["/metrics", "/status", "/shares", "/livez", "/readyz", "/readyz?verbose", `/${planted["prompt"]}`]) told.push(await (await fetch(at + page)).text());
            const reason = { "X-Pilotfish-Reason": planted["prompt"] };
            told.push(await post(`${at}/shares?pool=copilot&session=alice--1&with=${planted["prompt"]}`, "POST", reason));
            told.push(await post(`${at}/shares?pool=copilot&session=${planted["prompt"]}&with=bob`, "POST", reason));
            told.push(await post(`${at}/shares?pool=${planted["prompt"]}`, "DELETE"));
        });

        it("has let none of them out", async (t) => {
            for (const seat of Object.values(seats)) await seat.dropClients();
            await fleet.proxy.child.stop();
            const log = fleet.proxy.child.lines;
            t.diagnostic(`${log.length} lines of log, ${told.length} other texts`);
            assert.ok(log.some((line) => /trace/i.test(line)), "it has logged at its lowest level");
            const found = [];
            for (const [name, value] of Object.entries(planted)) {
                for (const face of faces(value)) {
                    for (const line of log) if (line.includes(face)) found.push({ name, line: line.slice(0, 400) });
                    for (const text of told) if (text.includes(face)) found.push({ name, text: text.slice(0, 400) });
                }
            }
            assert.deepEqual(found, []);
        });
    });
}
