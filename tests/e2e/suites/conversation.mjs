// What an SDK does with one CLI, as tests that run in front of any fleet.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, describe, it } from "node:test";

import { approveAll, defineTool } from "@github/copilot-sdk";

import { Fleet } from "../lib/fleet.mjs";
import { ask, eventually, next, PATIENCE, record } from "../lib/turns.mjs";

/** Defines the whole suite for one kind of fleet. */
export function describeConversations(title, options) {
    describe(title, { timeout: 10 * PATIENCE }, () => {
        let fleet;
        before(async () => (fleet = await Fleet.start(options)));
        after(() => fleet?.stop());
        describeEverything(() => fleet);
    });
}

/** The suite itself, in front of whatever `given` returns. */
export function describeEverything(given) {
    afterEach(() => given().dropClients());
    describeTurns(given);
    describeCallbacks(given);
    describeLives(given);
    describeQueries(given);
}

function describeTurns(given) {
    it("answers a prompt", async () => {
        const client = await given().client();
        const session = await client.createSession(given().session());
        assert.equal(await ask(session, "hello there"), "You said: hello there");
    });

    it("keeps the session id that the client chose", async () => {
        const client = await given().client();
        const sessionId = randomUUID();
        const session = await client.createSession(given().session({ sessionId }));
        assert.equal(session.sessionId, sessionId);
        assert.equal(await ask(session, "mine"), "You said: mine");
    });

    it("streams deltas in their order", async () => {
        const client = await given().client();
        const session = await client.createSession(given().session({ streaming: true }));
        const events = record(session);
        const answer = await ask(session, "[[words:200]]");
        const deltas = events.filter(({ type }) => type === "assistant.message_delta").map(({ data }) => data.deltaContent);
        assert.equal(deltas.length, 200);
        assert.equal(deltas.join(""), answer);
        assert.equal(answer, Array.from({ length: 200 }, (_, index) => `word-${index + 1}`).join(" "));
    });

    it("carries a large prompt and a large answer", async () => {
        const client = await given().client();
        const session = await client.createSession(given().session());
        const prompt = "0123456789abcdef".repeat(16 * 1024);
        assert.equal(await ask(session, prompt), `You said: ${prompt}`);
    });

    it("runs several sessions of one client at once", async () => {
        const client = await given().client();
        const names = ["ash", "birch", "cedar", "elm", "fir", "hazel"];
        const answers = names.map(async (name) => {
            const session = await client.createSession(given().session({ streaming: true }));
            const events = record(session);
            assert.equal(await ask(session, `[[delay:300]] ${name}`), `You said: ${name}`);
            assert.equal(await ask(session, `[[history]] ${name}`), `2 user messages: ${name} | ${name}`);
            return events.filter(({ type }) => type === "user.message").map(({ data }) => data.content);
        });
        for (const [index, prompts] of (await Promise.all(answers)).entries()) {
            assert.deepEqual(prompts, [`[[delay:300]] ${names[index]}`, `[[history]] ${names[index]}`]);
        }
    });

    it("aborts a running turn and goes on", async () => {
        const client = await given().client();
        const session = await client.createSession(given().session({ streaming: true }));
        const started = next(session, "assistant.message_delta");
        const aborted = next(session, "abort");
        const idle = next(session, "session.idle");
        await session.send({ prompt: "[[delay:20000]][[words:200]]" });
        await started;
        await session.abort();
        await Promise.all([aborted, idle]);
        assert.equal(await ask(session, "still there?"), "You said: still there?");
    });

    it("queues a prompt that comes during a turn", async () => {
        const client = await given().client();
        const session = await client.createSession(given().session({ streaming: true }));
        const events = record(session);
        const started = next(session, "assistant.message_delta");
        await session.send({ prompt: "[[delay:500]] first" });
        await started;
        const idle = next(session, "session.idle");
        await session.send({ prompt: "second" });
        await idle;
        const answers = events.filter(({ type }) => type === "assistant.message").map(({ data }) => data.content);
        assert.deepEqual(answers, ["You said: first", "You said: second"]);
    });
}

function describeCallbacks(given) {
    const add = defineTool("add", {
        description: "Adds two numbers",
        parameters: { type: "object", properties: { a: { type: "number" }, b: { type: "number" } }, required: ["a", "b"] },
        handler: ({ a, b }) => `${a} + ${b} = ${a + b}`,
    });

    it("calls a tool of the client", async () => {
        const client = await given().client();
        const session = await client.createSession(given().session({ tools: [add] }));
        assert.equal(await ask(session, '[[tool:add {"a":19,"b":23}]]'), "add returned: 19 + 23 = 42");
    });

    it("gives the model a tool's failure and goes on", async () => {
        const failing = defineTool("fail", {
            description: "Fails",
            parameters: { type: "object", properties: {} },
            handler: () => {
                throw new Error("out of order");
            },
        });
        const client = await given().client();
        const session = await client.createSession(given().session({ tools: [failing] }));
        assert.match(await ask(session, "[[tool:fail {}]]"), /^fail returned: .*(fail|error)/i);
        assert.equal(await ask(session, "next"), "You said: next");
    });

    it("asks the client's hooks", async () => {
        const called = [];
        const hooks = {
            onSessionStart: () => void called.push("start"),
            onUserPromptSubmitted: ({ prompt }) => void called.push(`prompt ${prompt.slice(0, 6)}`),
            onPreToolUse: ({ toolName }) => void called.push(`pre ${toolName}`),
            onPostToolUse: ({ toolName }) => void called.push(`post ${toolName}`),
        };
        const client = await given().client();
        const session = await client.createSession(given().session({ tools: [add], hooks }));
        await ask(session, '[[tool:add {"a":1,"b":2}]]');
        assert.deepEqual(called, ["start", "prompt [[tool", "pre add", "post add"]);
    });

    it("lets a hook deny a tool", async () => {
        const hooks = { onPreToolUse: () => ({ permissionDecision: "deny", permissionDecisionReason: "not on Sundays" }) };
        const client = await given().client();
        const session = await client.createSession(given().session({ tools: [add], hooks }));
        const answer = await ask(session, '[[tool:add {"a":1,"b":2}]]');
        assert.match(answer, /not on Sundays/);
    });

    it("asks for permission and runs what is allowed", async () => {
        const asked = [];
        const onPermissionRequest = (request, invocation) => {
            asked.push(request.kind);
            return approveAll(request, invocation);
        };
        const client = await given().client();
        const session = await client.createSession(given().session({ onPermissionRequest }));
        const answer = await ask(session, '[[tool:bash {"command":"echo allowed-$((40+2))","description":"says a number"}]]');
        assert.match(answer, /allowed-42/);
        assert.deepEqual(asked, ["shell"]);
    });

    it("does not run what is refused", async () => {
        const onPermissionRequest = () => ({ kind: "reject", feedback: "rather not" });
        const client = await given().client();
        const session = await client.createSession(given().session({ onPermissionRequest }));
        const answer = await ask(session, '[[tool:bash {"command":"echo ran-$((40+2))","description":"says a number"}]]');
        assert.doesNotMatch(answer, /ran-42/);
        assert.match(answer, /rather not|reject|denied|permission/i);
    });

    it("asks the user", async () => {
        const questions = [];
        const onUserInputRequest = ({ question, choices }) => {
            questions.push({ question, choices });
            return { answer: "blue", wasFreeform: true };
        };
        const client = await given().client();
        const session = await client.createSession(given().session({ onUserInputRequest }));
        const answer = await ask(session, '[[tool:ask_user {"question":"Which colour?","choices":["red","green"]}]]');
        assert.match(answer, /blue/);
        assert.deepEqual(questions, [{ question: "Which colour?", choices: ["red", "green"] }]);
    });
}

function describeLives(given) {
    it("resumes with the whole history after a disconnect", async () => {
        const client = await given().client();
        const session = await client.createSession(given().session());
        await ask(session, "one");
        await ask(session, "two");
        await session.disconnect();
        const again = await client.resumeSession(session.sessionId, given().session());
        assert.equal(await ask(again, "[[history]] three"), "3 user messages: one | two | three");
    });

    it("resumes from another client after the first is gone", async () => {
        const first = await given().client();
        const session = await first.createSession(given().session());
        await ask(session, "before");
        await first.stop();
        const second = await given().client();
        const again = await second.resumeSession(session.sessionId, given().session());
        assert.equal(await ask(again, "[[history]] after"), "2 user messages: before | after");
    });

    it("shares one session between two clients", async () => {
        const [alice, bob] = await Promise.all([given().client(), given().client()]);
        const hers = await alice.createSession(given().session({ streaming: true }));
        await ask(hers, "from alice");
        const his = await bob.resumeSession(hers.sessionId, given().session({ streaming: true }));
        const [seenByAlice, seenByBob] = [record(hers), record(his)];
        const idle = next(hers, "session.idle");
        assert.equal(await ask(his, "[[history]] from bob"), "2 user messages: from alice | from bob");
        await idle;
        const turn = (events) => events.filter(({ type }) => /^(user\.message|assistant\.)/.test(type)).map(({ id }) => id);
        assert.ok(turn(seenByBob).length > 5);
        assert.deepEqual(turn(seenByAlice), turn(seenByBob));
    });

    it("leaves a shared session to the other client when one disconnects", async () => {
        const [alice, bob] = await Promise.all([given().client(), given().client()]);
        const hers = await alice.createSession(given().session());
        await ask(hers, "from alice");
        const his = await bob.resumeSession(hers.sessionId, given().session());
        await alice.stop();
        assert.equal(await ask(his, "[[history]] from bob"), "2 user messages: from alice | from bob");
    });

    it("lets a turn go on when one of two clients is dropped during it", async () => {
        const [alice, bob] = await Promise.all([given().client(), given().client()]);
        const hers = await alice.createSession(given().session({ streaming: true }));
        await ask(hers, "from alice");
        const his = await bob.resumeSession(hers.sessionId, given().session({ streaming: true }));
        const running = next(his, "assistant.message_delta");
        const answered = next(his, ({ type, data }) => type === "assistant.message" && data.content === "You said: long");
        const idle = next(his, "session.idle");
        await hers.send({ prompt: "[[delay:1000]] long" });
        await running;
        await alice.forceStop();
        await Promise.all([answered, idle]);
    });

    it("deletes a session for good", async () => {
        const client = await given().client();
        const session = await client.createSession(given().session());
        await ask(session, "soon gone");
        await session.disconnect();
        await client.deleteSession(session.sessionId);
        const listed = await client.listSessions();
        assert.ok(!listed.some(({ sessionId }) => sessionId === session.sessionId));
        await assert.rejects(client.resumeSession(session.sessionId, given().session()), /Session not found/);
    });

    it("refuses a session that never was, in the words of the CLI", async () => {
        const connection = await given().raw();
        const sessionId = randomUUID();
        await assert.rejects(connection.request("session.send", { sessionId, prompt: "x" }), {
            code: -32603,
            message: `Request session.send failed with message: Session not found for sessionId: ${sessionId}`,
        });
    });
}

function describeQueries(given) {
    it("answers ping with its message", async () => {
        const client = await given().client();
        const pong = await client.ping("are you there");
        assert.equal(pong.message, "pong: are you there");
        assert.equal(pong.protocolVersion, 3);
    });

    it("says hello as the CLI does", async () => {
        const connection = await given().raw();
        assert.equal(connection.hello.ok, true);
        assert.equal(connection.hello.protocolVersion, 3);
    });

    it("reports its status", async () => {
        const client = await given().client();
        const status = await client.getStatus();
        assert.match(status.version, /^1\.0\./);
        assert.equal(status.protocolVersion, 3);
    });

    it("passes an unknown method's refusal on", async () => {
        const connection = await given().raw();
        await assert.rejects(connection.request("no.such.method", {}), { code: -32601 });
    });

    it("lists every session once, and finds the newest", async () => {
        const client = await given().client();
        const made = [];
        for (const prompt of ["alpha", "beta", "gamma", "delta"]) {
            const session = await client.createSession(given().session());
            await ask(session, prompt);
            made.push(session.sessionId);
        }
        const ids = (await client.listSessions()).map(({ sessionId }) => sessionId);
        for (const id of made) assert.equal(ids.filter((listed) => listed === id).length, 1, id);
        assert.equal(await client.getLastSessionId(), made.at(-1));
    });

    it("tells a session's metadata", async () => {
        const client = await given().client();
        const session = await client.createSession(given().session());
        await ask(session, "remember me");
        const metadata = await client.getSessionMetadata(session.sessionId);
        assert.equal(metadata.sessionId, session.sessionId);
        assert.equal(await client.getSessionMetadata(randomUUID()), undefined);
    });

    it("returns a session's past events", async () => {
        const client = await given().client();
        const session = await client.createSession(given().session());
        const live = record(session);
        await ask(session, "for the record");
        const events = await session.getEvents();
        const lasting = (list) => list.filter(({ ephemeral }) => !ephemeral).map(({ id }) => id);
        const ids = lasting(events);
        for (const id of lasting(live)) assert.ok(ids.includes(id));
        const texts = events.filter(({ type }) => type === "user.message").map(({ data }) => data.content);
        assert.deepEqual(texts, ["for the record"]);
    });

    it("switches the model for the next turn", async () => {
        const client = await given().client();
        const session = await client.createSession(given().session());
        await ask(session, "with the first");
        const events = record(session);
        await session.setModel("another");
        assert.equal(await ask(session, "[[history]] with the other"), "2 user messages: with the first | with the other");
        const [change] = events.filter(({ type }) => type === "session.model_change");
        assert.equal(change.data.newModel, "another");
        const { modelId } = await session.rpc.model.getCurrent();
        assert.equal(modelId, "another");
    });

    it("tells clients of their sessions' lives", async () => {
        const client = await given().client();
        const heard = [];
        client.onLifecycle(({ type, sessionId }) => heard.push(`${type} ${sessionId}`));
        const session = await client.createSession(given().session());
        await ask(session, "alive");
        await session.disconnect();
        await client.deleteSession(session.sessionId);
        for (const type of ["session.created", "session.deleted"]) {
            await eventually(type, () => heard.includes(`${type} ${session.sessionId}`));
        }
    });
}
