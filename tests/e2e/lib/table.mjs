// The table of methods, and params that make each of them do something where it is let.
import fs from "node:fs";
import path from "node:path";

import { root } from "./programs.mjs";

/** Every method that a client can call. */
export const methods = JSON.parse(fs.readFileSync(path.join(root, "src/wire/methods.json"), "utf8"));

/** The methods that no tenant may call. */
export const denied = methods.filter(({ shared, name }) => shared === "deny" && !name.startsWith("$/"));

/** The methods that carry the id of one session as `params.sessionId`. */
export const aboutOneSession = methods.filter(({ ids = [] }) => ids.some((place) => /^params\.sessionId\??$/.test(place)));

/** Where the runtime asks for more than an id. `known` has what an attacker may have learnt elsewhere. */
export const paramsOf = (method, known) => PARAMS[method]?.(known) ?? {};

const PARAMS = {
    "session.create": ({ session }) => session,
    "session.resume": ({ session }) => session,
    "session.send": () => ({ prompt: "[[history]]" }),
    "session.sendMessages": () => ({ messages: [{ prompt: "[[history]]" }] }),
    "session.abort": () => ({ reason: "user" }),
    "session.shutdown": () => ({ type: "routine" }),
    "session.commands.invoke": () => ({ name: "usage" }),
    "session.commands.execute": () => ({ commandName: "usage", args: "" }),
    "session.commands.enqueue": () => ({ command: "/usage" }),
    "session.debug.collectLogs": ({ folder }) => ({ destination: { kind: "directory", path: folder }, include: { eventLog: true, processLogs: true } }),
    "session.eventLog.read": () => ({ max: 1000, includeEphemeral: true }),
    "session.eventLog.registerInterest": () => ({ eventType: "mcp.oauth_required" }),
    "session.fleet.start": () => ({ prompt: "[[history]]" }),
    "session.gitHubAuth.setCredentials": () => ({ credentials: { kind: "token", token: "ghp_none" } }),
    "session.history.rewind": () => ({ eventId: "x" }),
    "session.history.truncate": () => ({ eventId: "x" }),
    "session.log": () => ({ message: "was here" }),
    "session.metadata.setWorkingDirectory": () => ({ workingDirectory: "/" }),
    "session.metadata.updateClientMetadata": () => ({ metadata: { was: "here" } }),
    "session.mode.set": () => ({ mode: "autopilot" }),
    "session.model.setReasoningEffort": () => ({ reasoningEffort: "low" }),
    "session.model.switchTo": () => ({ modelId: "another" }),
    "session.name.set": () => ({ name: "bob was here" }),
    "session.options.update": () => ({ skipCustomInstructions: true }),
    "session.permissions.configure": () => ({ approveAllToolPermissionRequests: true }),
    "session.permissions.handlePendingPermissionRequest": ({ permission }) => ({ requestId: permission, result: { kind: "approve-once" } }),
    "session.permissions.setApproveAll": () => ({ enabled: true }),
    "session.permissions.setMode": () => ({ mode: "allow-all" }),
    "session.plan.update": () => ({ content: "bob's plan" }),
    "session.provider.add": ({ session }) => ({ providers: [{ name: "his", ...session.provider }] }),
    "session.queue.insertAt": () => ({ position: 0, message: { prompt: "[[history]]" } }),
    "session.queue.removeAt": () => ({ position: 0 }),
    "session.shell.exec": ({ folder }) => ({ command: `touch ${folder}/shell` }),
    "session.shell.executeUserRequested": ({ folder }) => ({ command: `touch ${folder}/user-shell` }),
    "session.tasks.startAgent": () => ({ agentType: "general-purpose", prompt: "[[history]]" }),
    "session.tools.execute": ({ folder }) => ({ toolName: "bash", arguments: { command: `touch ${folder}/tool`, description: "d" } }),
    "session.tools.handlePendingToolCall": ({ call }) => ({ requestId: call, result: { textResultForLlm: "from bob", resultType: "success" } }),
    "session.ui.ephemeralQuery": () => ({ question: "[[history]]" }),
    "session.ui.handlePendingUserInput": ({ permission }) => ({ requestId: permission, response: { answer: "from bob", wasFreeform: true } }),
    "session.workspaces.createFile": () => ({ path: "bob.txt", content: "was here" }),
    "session.workspaces.readFile": () => ({ path: "notes.txt" }),
    "session.workspaces.removePath": () => ({ path: "notes.txt" }),
    "sessions.fork": () => ({ name: "copy" }),
    "sessions.getMetadata": () => ({}),
    "sessions.open": ({ session }) => ({ kind: "resume", options: session }),
};
