// A tenant with something to lose: sessions full of canaries, two of them with a request pending, and the means to see whether
// anybody touched them.
import { randomBytes, randomUUID } from "node:crypto";

import { defineTool } from "@github/copilot-sdk";

import { ask, eventually, next } from "./turns.mjs";

/** What must not be found anywhere else; each canary holds it. */
export const MARK = `canary${randomBytes(6).toString("hex")}`;

const canary = (where) => `${MARK}-in-the-${where}`;

export class Victim {
    /** `named` and `free`: sessions at rest with an id of her choice and one of the SDK's; `asking` and `calling`: in a turn. */
    sessions = {};
    /** The ids of those that she had for a while. */
    more = [];
    #decide;
    #return;

    /** Sets up everything; `names` are the ids of `named`, `asking` and `calling`. */
    static async settle(seat, names, fleet) {
        const victim = new Victim();
        victim.seat = seat;
        victim.client = await seat.client();
        await victim.#rest("named", names.named);
        await victim.#rest("free");
        await victim.#ask(names.asking);
        await victim.#call(names.calling);
        // The SDK writes each message in two parts, which costs 40 ms on a socket that collects: looking is done without it.
        victim.eyes = await seat.raw();
        // Her links to all backends are there before anybody else's.
        await fleet.reachAll(() => victim.live({ keep: true }));
        return victim;
    }

    /** All her ids. */
    get ids() {
        return [...Object.values(this.sessions).map(({ sessionId }) => sessionId), ...this.more];
    }

    async #rest(name, sessionId) {
        const secret = defineTool("secret", { description: "Tells it", parameters: { type: "object", properties: {} }, handler: () => canary("tool") });
        const session = await this.client.createSession(this.seat.session({ sessionId, tools: [secret], streaming: true }));
        await ask(session, `[[tool:secret {}]] ${canary("prompt")}`);
        await session.rpc.name.set({ name: canary("name") });
        await session.rpc.workspaces.createFile({ path: "notes.txt", content: canary("file") });
        await session.rpc.plan.update({ content: canary("plan") });
        this.sessions[name] = session;
    }

    async #ask(sessionId) {
        const decision = new Promise((resolve) => (this.#decide = resolve));
        const session = await this.client.createSession(this.seat.session({ sessionId, onPermissionRequest: () => decision }));
        const requested = next(session, "permission.requested");
        await session.send({ prompt: `[[tool:bash {"command":"echo ran-$((40+2)) ${canary("command")}","description":"d"}]]` });
        this.permission = (await requested).data.requestId;
        this.sessions.asking = session;
    }

    async #call(sessionId) {
        const outcome = new Promise((resolve) => (this.#return = resolve));
        const slow = defineTool("slow", { description: "Waits", parameters: { type: "object", properties: {} }, skipPermission: true, handler: () => outcome });
        const session = await this.client.createSession(this.seat.session({ sessionId, tools: [slow] }));
        const requested = next(session, "external_tool.requested");
        await session.send({ prompt: "[[tool:slow {}]]" });
        this.call = (await requested).data.requestId;
        this.sessions.calling = session;
    }

    /** Ends the pending requests and returns what the model was told: nobody else has decided. */
    async release() {
        const { asking, calling } = this.sessions;
        const ended = [asking, calling].map((session) => next(session, "assistant.message"));
        this.#decide({ kind: "reject", feedback: "alice says no" });
        this.#return("from alice");
        return (await Promise.all(ended)).map(({ data }) => data.content);
    }

    /** What can be seen of her sessions, to be compared with what it was before. */
    async state() {
        const states = await Promise.all(Object.entries(this.sessions).map(async ([name, session]) => [name, await stateOf(session)]));
        return Object.fromEntries(states);
    }

    /** The ids of all events that last, session by session: cheap enough to look after every attack. */
    async history() {
        const lasting = async ({ sessionId }) => {
            const { events } = await this.eyes.request("session.getMessages", { sessionId });
            return events.filter(({ ephemeral }) => !ephemeral).map(({ type, id }) => `${type} ${id}`);
        };
        return Promise.all(Object.values(this.sessions).map(lasting));
    }

    /** Waits until her sessions have come to rest and returns `state` and `history` of then. */
    async still() {
        let before = "";
        return eventually("her sessions are still", async () => {
            const now = { state: await this.state(), history: await this.history() };
            const same = JSON.stringify(now) === before;
            before = JSON.stringify(now);
            return same && now;
        });
    }

    /** Goes on in the sessions at rest; fails when they have lost anything. Returns what the model knows of each. */
    async goOn() {
        const { named, free } = this.sessions;
        return Promise.all([named, free].map((session) => ask(session, "[[history]] still here")));
    }

    /** The life of one more session, of which nobody else should hear; `keep` spares it its end. Returns its id. */
    async live({ sessionId = randomUUID(), keep = false } = {}) {
        const session = await this.client.createSession(this.seat.session({ sessionId, streaming: true }));
        this.more.push(sessionId);
        await ask(session, canary("short-life"));
        await session.disconnect();
        if (!keep) await this.client.deleteSession(sessionId);
        return sessionId;
    }
}

async function stateOf({ rpc }) {
    const [{ name }, mode, model, permissions, plan, files, queue, tasks, pending] = await Promise.all([
        rpc.name.get(),
        rpc.mode.get(),
        rpc.model.getCurrent(),
        rpc.permissions.getMode(),
        rpc.plan.read(),
        rpc.workspaces.listFiles(),
        rpc.queue.pendingItems(),
        rpc.tasks.list(),
        rpc.permissions.pendingRequests(),
    ]);
    return { name, mode, model: model.modelId, permissions, plan: plan.content, files, queue, tasks, pending };
}
