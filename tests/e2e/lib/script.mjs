// One script of everything that an SDK does, whose outcome can be compared between two ways to the CLI.
import { randomUUID } from "node:crypto";

import { approveAll, defineTool } from "@github/copilot-sdk";

import { normal, normalEvents } from "./normal.mjs";
import { ask, next } from "./turns.mjs";

/** Runs the script in front of a fleet and returns results and, for each session, its events, both normalised. */
export async function runScript(fleet) {
    const results = [];
    const sessions = new Map();
    const note = (what, value) => results.push([what, normal(value)]);
    const config = (name, extra = {}) => {
        const events = [];
        sessions.set(name, events);
        return fleet.session({ streaming: true, onEvent: (event) => events.push(event), ...extra });
    };
    const client = await fleet.client();
    note("ping", await client.ping("hello"));
    note("status", await client.getStatus());
    note("hello", (await fleet.raw()).hello);
    await talk(client, config, note);
    await callbacks(client, config, note);
    await lives(client, config, note);
    await refusals(fleet, client, note);
    return { results, events: new Map([...sessions].map(([name, events]) => [name, normalEvents(events)])) };
}

async function talk(client, config, note) {
    const session = await client.createSession(config("talk"));
    note("answer", await ask(session, "hello there"));
    note("long answer", await ask(session, "[[words:300]]"));
    note("history", await ask(session, "[[history]]"));
    await session.setModel("another");
    note("model", await session.rpc.model.getCurrent());
    note("after the switch", await ask(session, "[[history]]"));
    note("past events", normalEvents(await session.getEvents()));
    await session.disconnect();
}

async function callbacks(client, config, note) {
    const tool = defineTool("lookup", {
        description: "Looks a word up",
        parameters: { type: "object", properties: { word: { type: "string" } } },
        handler: ({ word }) => ({ textResultForLlm: `${word}: known`, resultType: "success" }),
    });
    const asked = [];
    const session = await client.createSession(
        config("callbacks", {
            tools: [tool],
            hooks: { onPreToolUse: ({ toolName, toolArgs }) => void asked.push(["pre", toolName, toolArgs]) },
            onPermissionRequest: (request, invocation) => {
                asked.push(["permission", normal(request)]);
                return request.kind === "shell" ? { kind: "reject" } : approveAll(request, invocation);
            },
            onUserInputRequest: (request) => {
                asked.push(["question", request]);
                return { answer: "maybe", wasFreeform: true };
            },
        }),
    );
    note("tool", await ask(session, '[[tool:lookup {"word":"pilotfish"}]]'));
    note("question", await ask(session, '[[tool:ask_user {"question":"Sure?"}]]'));
    note("refused", await ask(session, '[[tool:bash {"command":"echo no","description":"d"}]]'));
    note("asked", asked);
    await session.disconnect();
}

async function lives(client, config, note) {
    const sessionId = randomUUID();
    const session = await client.createSession(config("lives", { sessionId }));
    await ask(session, "one");
    const aborted = next(session, "session.idle");
    const running = next(session, "assistant.message_delta");
    await session.send({ prompt: "[[delay:60000]] too long" });
    await running;
    await session.abort();
    await aborted;
    await session.disconnect();
    const again = await client.resumeSession(sessionId, config("resumed"));
    note("resumed", await ask(again, "two"));
    note("listed", (await client.listSessions()).filter((listed) => listed.sessionId === sessionId));
    note("metadata", await client.getSessionMetadata(sessionId));
    note("last", (await client.getLastSessionId()) === sessionId);
    await again.disconnect();
    await client.deleteSession(sessionId);
    note("deleted", (await client.listSessions()).filter((listed) => listed.sessionId === sessionId));
}

async function refusals(fleet, client, note) {
    const connection = await fleet.raw();
    const refused = async (what, promise) => note(what, await promise.then(() => "accepted", ({ code, message }) => ({ code, message })));
    await refused("resume of nothing", client.resumeSession(randomUUID(), fleet.session()));
    await refused("delete of nothing", client.deleteSession(randomUUID()));
    await refused("send to nothing", connection.request("session.send", { sessionId: randomUUID(), prompt: "x" }));
    await refused("unknown method", connection.request("no.such.method", {}));
    await refused("models without an account", client.listModels());
}
