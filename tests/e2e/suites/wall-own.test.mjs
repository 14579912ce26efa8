// The wall is in nobody's way: what an SDK does with sessions of its own goes as it does without tenants, for two of them at once.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { ToolSet } from "@github/copilot-sdk";

import { Fleet } from "../lib/fleet.mjs";
import { runScript } from "../lib/script.mjs";
import { Seat, walled } from "../lib/tenants.mjs";
import { ask, PATIENCE } from "../lib/turns.mjs";
import { describeEverything } from "./conversation.mjs";

for (const rule of ["prefix", "registry"]) {
    describe(`two tenants at once, session_ids = "${rule}"`, { timeout: 20 * PATIENCE, concurrency: 2 }, () => {
        let fleet;
        const seats = {};
        before(async () => {
            fleet = await Fleet.start(walled({ alice: "", bob: "" }, { rule, backends: 3 }));
            for (const name of ["alice", "bob"]) seats[name] = await Seat.take(fleet, name);
        });
        after(async () => {
            for (const seat of Object.values(seats)) await seat.stop();
            await fleet?.stop();
        });
        for (const name of ["alice", "bob"]) describe(name, { concurrency: 1 }, () => describeEverything(() => seats[name]));
    });
}

describe("parity with the CLI itself behind the wall", { timeout: 10 * PATIENCE }, () => {
    let expected, fleet;
    const seats = [];
    before(async () => {
        const bare = await Fleet.start({ backends: 1, target: "direct" });
        try {
            expected = await runScript(bare);
        } finally {
            await bare.stop();
        }
        fleet = await Fleet.start(walled({ alice: "", bob: "" }, { backends: 3 }));
        for (const name of ["alice", "bob"]) seats.push(await Seat.take(fleet, name));
    });
    after(async () => {
        for (const seat of seats) await seat.stop();
        await fleet?.stop();
    });

    function sameLists(what, actual, expected) {
        const at = expected.findIndex((value, index) => !isDeepStrictEqual(actual[index], value));
        if (at >= 0) assert.deepEqual(actual.slice(at, at + 2), expected.slice(at, at + 2), `${what}, from number ${at} on`);
        assert.equal(actual.length, expected.length, what);
    }

    it("gives two tenants at once the same results and events", async () => {
        for (const { results, events } of await Promise.all(seats.map((seat) => runScript(seat)))) {
            // Methods that the table does not know are refused here, in words of our own.
            const known = (list) => list.filter(([what]) => what !== "unknown method");
            sameLists("results", known(results), known(expected.results));
            for (const [name, list] of expected.events) sameLists(`events of session ${name}`, events.get(name), list);
        }
    });
});

/** What an application may set, as far as it does not reach beyond its session. */
const ORDINARY = {
    askUserVariant: "legacy",
    availableTools: new ToolSet().addBuiltIn("view"),
    capi: { enableWebSocketResponses: false },
    clientName: "an application",
    coauthorEnabled: false,
    commands: [{ name: "deploy", description: "Deploys", handler: () => {} }],
    contextTier: "default",
    customAgents: [{ name: "reviewer", description: "d", prompt: "Review it." }],
    customAgentsLocalOnly: true,
    defaultAgent: { excludedTools: ["bash"] },
    disabledMcpServers: ["other"],
    disabledSkills: ["other"],
    embeddingCacheStorage: "in-memory",
    enableCitations: false,
    enableConfigDiscovery: false,
    enableExperimentalMode: false,
    enableFileChangeTracking: false,
    enableFileHooks: false,
    enableHostGitOperations: false,
    enableMcpApps: true,
    enableOnDemandInstructionDiscovery: false,
    enableSessionStore: true,
    enableSessionTelemetry: false,
    enableSkills: true,
    excludedBuiltinAgents: ["explore"],
    excludedTools: ["bash"],
    featureFlags: { SOMETHING: true },
    githubMcpToolConfig: { enableAllTools: false },
    includeSubAgentStreamingEvents: false,
    includedBuiltinSkills: [],
    infiniteSessions: { enabled: false },
    largeOutput: { enabled: true, maxSizeBytes: 50_000 },
    manageScheduleEnabled: false,
    managedSettings: { permissions: { deny: [] } },
    mcpOAuthTokenStorage: "in-memory",
    mcpServers: {},
    memory: { enabled: false },
    modelCapabilities: {},
    onAutoModeSwitchRequest: () => "no",
    onElicitationRequest: () => ({ action: "cancel" }),
    onExitPlanModeRequest: () => ({ approved: true }),
    onMcpAuthRequest: () => ({ kind: "cancelled" }),
    organizationCustomInstructions: "Be brief.",
    reasoningEffort: "low",
    reasoningSummary: "none",
    remoteSession: "off",
    requestCanvasRenderer: false,
    requestExtensions: false,
    sessionLimits: { maxAiCredits: 1000 },
    skipCustomInstructions: true,
    skipEmbeddingRetrieval: true,
    systemMessage: { mode: "customize", sections: { tone: { action: (text) => `${text} Be kind.` } } },
    toolSearch: { enabled: false },
};

/** What reaches beyond the session; an operator can allow those that name something. */
const GUARDED = {
    additionalDirectories: ["/etc"],
    canvasProvider: { id: "x" },
    cloud: {},
    configDirectory: "/etc",
    extensionSdkPath: "/etc",
    instructionDirectories: ["/etc"],
    largeOutput: { enabled: true, outputDirectory: "/etc" },
    mcpOAuthTokenStorage: "persistent",
    "mcpServers of programs": { mcpServers: { x: { type: "stdio", command: "true", args: [], tools: ["*"] } } },
    "mcpServers elsewhere": { mcpServers: { x: { type: "http", url: "http://127.0.0.1:9/mcp", tools: ["*"] } } },
    "customAgents with servers": { customAgents: [{ name: "x", prompt: "p", mcpServers: { x: { type: "stdio", command: "true", args: [], tools: [] } } }] },
    pluginDirectories: ["/etc"],
    "provider elsewhere": { provider: { type: "openai", baseUrl: "http://127.0.0.1:9/v1" } },
    remoteSession: "on",
    requestExtensions: true,
    skillDirectories: ["/etc"],
    workingDirectory: "/etc",
};

const options = (table) => Object.entries(table).map(([name, value]) => [name, name.includes(" ") ? value : { [name]: value }]);

describe("options of the SDK behind the wall", { timeout: 10 * PATIENCE }, () => {
    let fleet, alice, carol, folder;
    before(async () => {
        folder = fs.mkdtempSync("/tmp/pilotfish-roots-");
        const generous = `roots = ["${folder}"]\nmcp_urls = ["http://127.0.0.1:9"]\nstdio_mcp = true\ncommands = ["env"]`;
        fleet = await Fleet.start(walled({ alice: "", carol: generous }, { backends: 1 }));
        [alice, carol] = [await Seat.take(fleet, "alice"), await Seat.take(fleet, "carol")];
    });
    after(async () => {
        await alice?.stop();
        await carol?.stop();
        await fleet?.stop();
        fs.rmSync(folder, { recursive: true, force: true });
    });
    afterEach(() => Promise.all([alice.dropClients(), carol.dropClients()]));

    it("lets an application set all that stays inside its session", async () => {
        const client = await alice.client();
        const refused = [];
        for (const [name, option] of options(ORDINARY)) {
            try {
                const session = await client.createSession(alice.session(option));
                const again = await client.resumeSession(session.sessionId, alice.session(option));
                await again.disconnect();
            } catch ({ message, code }) {
                refused.push({ name, code, message });
            }
        }
        assert.deepEqual(refused, []);
    });

    it("lets it set all of them at once, and talk", async () => {
        const client = await alice.client();
        // The limits would stand before the prompt, and the model repeats it.
        const session = await client.createSession(alice.session({ ...ORDINARY, sessionLimits: undefined }));
        assert.equal(await ask(session, "with everything"), "You said: with everything");
    });

    it("takes the SDK's mode for servers of many users", async () => {
        const client = await alice.client({ mode: "empty" });
        const session = await client.createSession(alice.session({ availableTools: new ToolSet().addBuiltIn("view") }));
        assert.equal(await ask(session, "isolated"), "You said: isolated");
        await session.disconnect();
        const again = await client.resumeSession(session.sessionId, alice.session({ availableTools: new ToolSet().addBuiltIn("view") }));
        assert.equal(await ask(again, "[[history]] again"), "2 user messages: isolated | again");
    });

    it("refuses what reaches beyond the session, and says which key", async () => {
        const client = await alice.client();
        const passed = [];
        for (const [name, option] of options(GUARDED)) {
            const error = await client.createSession(alice.session(option)).then(() => null, (error) => error);
            const right = error?.code === -32602 && error.data?.reason === "param_denied" && /^params\.\S+ is not allowed here: /.test(error.message);
            if (!right) passed.push({ name, error: error && { code: error.code, message: error.message, data: error.data } });
        }
        assert.deepEqual(passed, []);
    });

    it("lets an operator allow a tenant's folders and servers", async () => {
        const client = await carol.client();
        const below = path.join(folder, "work");
        fs.mkdirSync(below);
        const session = await client.createSession(
            carol.session({
                workingDirectory: below,
                additionalDirectories: [folder],
                mcpServers: {
                    program: { type: "stdio", command: "true", args: [], tools: ["*"] },
                    elsewhere: { type: "http", url: "http://127.0.0.1:9/mcp", tools: ["*"] },
                },
            }),
        );
        assert.match(await ask(session, '[[tool:bash {"command":"pwd","description":"d"}]]'), new RegExp(below));
        await assert.rejects(client.createSession(carol.session({ workingDirectory: "/etc" })), { code: -32602 });
        await assert.rejects(client.createSession(carol.session({ workingDirectory: `${folder}/../` })), { code: -32602 });
    });

    it("runs harmless slash commands, and others where an operator allows them", async () => {
        const run = async (seat, name) => {
            const client = await seat.client();
            const session = await client.createSession(seat.session({ sessionId: `${seat.name}--${randomUUID()}` }));
            return session.rpc.commands.invoke({ name }).then(() => "ran", ({ code, data }) => `${code} ${data?.reason}`);
        };
        assert.deepEqual(
            [await run(alice, "usage"), await run(alice, "env"), await run(alice, "allow-all"), await run(alice, "//Allow-All"), await run(carol, "env")],
            ["ran", "-32602 param_denied", "-32602 param_denied", "-32602 param_denied", "ran"],
        );
    });

    it("takes attachments of its own workspace alone", async () => {
        const client = await alice.client();
        const session = await client.createSession(alice.session());
        const file = path.join(session.workspacePath, "mine.txt");
        fs.writeFileSync(file, "one\ntwo\n");
        const send = (attachment) => session.sendAndWait({ prompt: "look", attachments: [attachment] }, PATIENCE);
        assert.match((await send({ type: "file", path: file })).data.content, /^You said: /);
        for (const at of ["/etc/passwd", `${session.workspacePath}/../../config.json`, "mine.txt"]) {
            await assert.rejects(send({ type: "file", path: at }), { code: -32602 }, at);
        }
    });
});
