// Few sessions live at a CLI, many at the clients: who is idle the longest makes room, and is back when it is spoken to.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { afterEach, describe, it } from "node:test";

import { defineTool } from "@github/copilot-sdk";

import { census, forked, locks, LockWatch, reported } from "../lib/census.mjs";
import { Fleet } from "../lib/fleet.mjs";
import { metric } from "../lib/metrics.mjs";
import { operate } from "../lib/programs.mjs";
import { sessions as sessionsTable } from "../lib/settings.mjs";
import { assertUnnoticed, numbers, Talk } from "../lib/talk.mjs";
import { ask, eventually, next, PATIENCE, record, within } from "../lib/turns.mjs";

const LONG = process.env.SUITE === "long";

describe("a limit on live sessions", { timeout: 10 * PATIENCE }, () => {
    let fleet, watch;
    afterEach(async () => {
        watch?.stop();
        await fleet?.stop();
    });

    /** One CLI with so many seats, perhaps with further settings. */
    const start = async (seats, more = {}) => {
        const settings = sessionsTable({ max_live_sessions: seats, idle_timeout: "0s", ephemeral: "none", ...more });
        fleet = await Fleet.start({ backends: 1, taps: true, target: "pilotfish", tables: settings });
        watch = new LockWatch(home());
        return fleet.client();
    };
    const home = () => fleet.clis[0].home;
    const counted = (name, labels) => metric(fleet.proxy, name, labels);
    const parked = () => counted("pilotfish_sessions_parked");
    const lives = (id) => census(fleet.taps[0]).lives.has(id);
    const config = (extra) => fleet.session({ streaming: true, ...extra });
    const talks = (client, count, from = 0) => sequence(count, (at) => Talk.open(client, config(), from + at));

    /** Fails if more than `seats` ever lived at the CLI, by the wire and by the disk, or a busy one was closed. */
    function assertKept(seats, t) {
        const { peak, cut, closed } = census(fleet.taps[0]);
        t?.diagnostic(`most at a time: ${peak} on the wire, ${watch.peak} locks in ${watch.looks} looks; ${closed.length} evictions`);
        assert.ok(peak <= seats, `${peak} lived at once`);
        assert.ok(watch.peak <= seats, `${watch.peak} were locked at once`);
        assert.ok(watch.looks > 0);
        assert.deepEqual(cut, [], "no turn is cut");
        assert.deepEqual(forked(home()), []);
    }

    /** Speaks in other sessions until this one is closed at the CLI. */
    async function park(talk, others) {
        for (const other of others) await other.say();
        await eventually(`${talk.number} is parked`, () => !lives(talk.id));
    }

    it("lets 40 sessions speak in 5 seats, in random order, one after the other", async (t) => {
        const seats = 5;
        const first = await start(seats);
        const clients = [first, ...(await sequence(3, () => fleet.client()))];
        const all = await sequence(40, (at) => Talk.open(clients[at % clients.length], config(), at));
        for (const talk of all) await talk.say();
        const order = numbers(all.length);
        for (let turn = 0; turn < (LONG ? 400 : 40); turn++) await all[order.next().value].say();
        const straight = await fleet.raw(fleet.clis[0].address);
        const ids = all.map(({ id }) => id);
        assert.ok((await reported(straight, ids)).length <= seats, "by the word of the CLI");
        assert.equal(await parked(), all.length - (await reported(straight, ids)).length);
        for (const talk of all) await talk.check();
        for (const talk of all) talk.unnoticed();
        assertKept(seats, t);
        const { closed } = census(fleet.taps[0]);
        assert.equal(await counted("pilotfish_session_evictions_total", { cause: "limit" }), closed.length);
        const opened = fleet.taps[0].requests().filter(([method]) => method === "session.resume").length;
        assert.ok(opened >= 70, `${opened} wakes`);
        assert.equal(await counted("pilotfish_session_wakes_total"), opened);
        for (const client of clients) assert.equal((await client.ping("still here")).message, "pong: still here");
    });

    it("lets more of them speak at once than there are seats", async (t) => {
        const seats = 5;
        const first = await start(seats);
        const clients = [first, await fleet.client()];
        const all = await sequence(40, (at) => Talk.open(clients[at % clients.length], config(), at));
        const order = numbers(all.length, 7);
        const speaking = new Set();
        let left = LONG ? 600 : 100;
        const speak = async () => {
            while (left-- > 0) {
                let talk;
                do talk = all[order.next().value];
                while (speaking.has(talk));
                speaking.add(talk);
                await talk.say(100 + 20 * (left % 10));
                speaking.delete(talk);
            }
        };
        await Promise.all(Array.from({ length: 8 }, speak));
        for (const talk of all) await talk.check();
        for (const talk of all) talk.unnoticed();
        assertKept(seats, t);
    });

    it("never evicts the session in a turn, however long it has been quiet", async (t) => {
        const client = await start(2);
        const [busy] = await talks(client, 1);
        const running = next(busy.session, "assistant.message_delta");
        const answer = busy.say(4_000);
        await running;
        const others = await talks(client, 5, 1);
        for (const other of others) await other.say();
        assert.ok(lives(busy.id));
        assert.ok(census(fleet.taps[0]).closed.length >= 3, "the others make room for each other");
        assert.ok(!census(fleet.taps[0]).closed.includes(busy.id));
        await answer;
        for (const talk of [busy, ...others]) await talk.check();
        for (const talk of [busy, ...others]) talk.unnoticed();
        assertKept(2, t);
    });

    it("never evicts a session that waits for its client", async () => {
        const client = await start(2);
        let decide;
        const decision = new Promise((resolve) => (decide = resolve));
        const asking = await client.createSession(config({ onPermissionRequest: () => decision }));
        const requested = next(asking, "permission.requested");
        const answer = ask(asking, '[[tool:bash {"command":"echo hi-$((40+2))","description":"d"}]] x');
        await requested;
        const others = await talks(client, 4);
        for (const other of others) await other.say();
        assert.ok(lives(asking.sessionId));
        decide({ kind: "approve-once" });
        assert.match(await answer, /hi-42/);
        assertKept(2);
    });

    it("evicts who has been idle the longest", async () => {
        const client = await start(3);
        const [a, b, c] = await talks(client, 3);
        for (const talk of [a, b, c, a]) await talk.say();
        const [d] = await talks(client, 1, 3);
        assert.deepEqual(census(fleet.taps[0]).closed, [b.id]);
        await d.say();
        await b.say();
        assert.deepEqual(census(fleet.taps[0]).closed, [b.id, c.id]);
        assert.deepEqual([a, b, c, d].map(({ id }) => lives(id)), [true, true, false, true]);
    });

    it("wakes a session with all that belongs to it", async () => {
        const client = await start(1);
        const asked = [];
        const shout = defineTool("shout", { description: "Shouts", parameters: { type: "object", properties: {} }, skipPermission: true, handler: () => "LOUD" });
        const session = await client.createSession(
            config({
                tools: [shout],
                hooks: { onPreToolUse: ({ toolName }) => void asked.push(`hook ${toolName}`) },
                onPermissionRequest: () => (asked.push("permission"), { kind: "approve-once" }),
                onUserInputRequest: () => ({ answer: "blue", wasFreeform: true }),
            }),
        );
        const talk = new Talk(session, "the one");
        const [other] = await talks(client, 1);
        await talk.say();
        await park(talk, [other]);
        assert.match(await ask(session, "[[tool:shout {}]] now"), /LOUD/, "its tool");
        assert.deepEqual(asked, ["hook shout"], "its hook");
        await park(talk, [other]);
        assert.match(await ask(session, '[[tool:bash {"command":"echo hi-$((40+2))","description":"d"}]] x'), /hi-42/);
        assert.ok(asked.includes("permission"), "its permission handler");
        await park(talk, [other]);
        assert.match(await ask(session, '[[tool:ask_user {"question":"Which colour?"}]] x'), /blue/, "its user");
        talk.unnoticed();
    });

    it("wakes a session with what its client has set", async () => {
        const client = await start(1);
        const refused = [];
        const session = await client.createSession(config({ onPermissionRequest: (request) => (refused.push(request), { kind: "reject" }) }));
        const talk = new Talk(session, "the one");
        const [other] = await talks(client, 1);
        await talk.say();
        await session.rpc.permissions.setApproveAll({ enabled: true });
        await session.rpc.mode.set({ mode: "plan" });
        await session.rpc.name.set({ name: "a name of its own" });
        await session.rpc.model.switchTo({ modelId: "other-model", reasoningEffort: "low" });
        const settings = () => Promise.all([session.rpc.mode.get(), session.rpc.name.get(), session.rpc.model.getCurrent()]);
        const before = await settings();
        assert.equal(before[2].modelId, "other-model");
        const marked = record(session);
        await park(talk, [other]);
        assert.deepEqual(await settings(), before, "and any call wakes it");
        assert.ok(lives(session.sessionId));
        await session.rpc.mode.set({ mode: "interactive" });
        await park(talk, [other]);
        assert.match(await ask(session, '[[tool:bash {"command":"echo hi-$((40+2))","description":"d"}]] x'), /hi-42/);
        assert.deepEqual(refused, [], "everything is approved as before");
        assertUnnoticed(marked, "nothing of it is told");
    });

    it("parks and wakes a session for both of its clients", async () => {
        const one = await start(1);
        const two = await fleet.client();
        const mine = await one.createSession(config());
        await ask(mine, "first");
        const yours = await two.resumeSession(mine.sessionId, config());
        const heard = [record(mine), record(yours)];
        const [other] = await talks(one, 1);
        const told = [];
        for (const [session, listener, text] of [[mine, yours, "from one"], [yours, mine, "from two"]]) {
            await park({ id: mine.sessionId, number: "it" }, [other]);
            const idle = next(listener, "session.idle");
            assert.equal(await ask(session, text), `You said: ${text}`);
            await idle;
            told.push(`You said: ${text}`);
        }
        for (const events of heard) {
            assert.deepEqual(events.filter(({ type }) => type === "assistant.message").map(({ data }) => data.content), told);
            assertUnnoticed(events, "a client");
        }
        assert.equal(await ask(yours, "[[history]] last"), "4 user messages: first | from one | from two | last");
        assertKept(1);
    });

    it("lists parked sessions, and tells of each", async () => {
        const client = await start(2);
        const all = await talks(client, 6);
        for (const talk of all) await talk.say();
        assert.equal(await parked(), 4);
        const before = census(fleet.taps[0]).closed.length;
        const listed = (await client.listSessions()).map(({ sessionId }) => sessionId);
        for (const { id } of all) assert.equal(listed.filter((other) => other === id).length, 1);
        assert.equal(await client.getLastSessionId(), all.at(-1).id);
        assert.equal(census(fleet.taps[0]).closed.length, before, "that wakes none");
        assert.equal(await parked(), 4);
        for (const { id } of all) assert.equal((await client.getSessionMetadata(id))?.sessionId, id);
        for (const talk of all) await talk.check();
        assertKept(2);
    });

    it("lets a client leave a parked session, and come back to it", async () => {
        const client = await start(1);
        const [talk, other] = await talks(client, 2);
        await talk.say();
        await park(talk, [other]);
        assert.equal(await parked(), 1);
        await talk.session.disconnect();
        assert.equal(await parked(), 0);
        const second = await fleet.client();
        talk.attach(await second.resumeSession(talk.id, config()));
        await talk.check();
        await other.check();
        assertKept(1);
    });

    it("deletes a parked session for good", async () => {
        const client = await start(1);
        const [talk, other] = await talks(client, 2);
        await talk.say();
        await park(talk, [other]);
        await client.deleteSession(talk.id);
        assert.ok(!(await client.listSessions()).some(({ sessionId }) => sessionId === talk.id));
        assert.ok(!fs.existsSync(path.join(home(), "session-state", talk.id, "events.jsonl")));
        await assert.rejects(client.resumeSession(talk.id, config()), /Session not found/);
        await other.check();
        assert.equal(await parked(), 0);
    });

    it("parks a session that has never had a turn", async () => {
        const client = await start(1);
        const all = await talks(client, 3);
        for (const talk of [all[2], all[0], all[1]]) await talk.say();
        for (const talk of all) await talk.check();
        for (const talk of all) talk.unnoticed();
        assertKept(1);
    });

    it("gives the parked sessions of a killed client to the next one", async () => {
        const lost = await start(2);
        const second = await fleet.client();
        const all = await talks(lost, 6);
        for (const talk of all) await talk.say();
        assert.equal(await parked(), 4);
        await lost.forceStop();
        for (const talk of all) talk.attach(await second.resumeSession(talk.id, config()));
        for (const talk of all) await talk.check();
        assertKept(2);
        await second.forceStop();
        await eventually("none is parked", async () => (await parked()) === 0);
        await eventually("none is locked", () => locks(home()).length === 0);
    });

    it("answers whatever comes in the moment of an eviction", async (t) => {
        const client = await start(2);
        const second = await fleet.client();
        const all = [...(await talks(client, 3)), ...(await talks(second, 3, 3))];
        // Each speaks again the moment its turn is over, which is the moment that another one wants its seat.
        const speak = async (talk) => {
            for (let turn = 0; turn < (LONG ? 60 : 12); turn++) {
                await talk.say();
                if (turn % 4 === 3) assert.equal((await talk.session.getEvents()).filter(({ type }) => type === "user.message").length, talk.said.length);
            }
        };
        await within(8 * PATIENCE, "all of it", Promise.all(all.map(speak)));
        for (const talk of all) await talk.check();
        for (const talk of all) talk.unnoticed();
        assertKept(2, t);
        assert.ok(census(fleet.taps[0]).closed.length > 6);
    });

    it("is kept on each of several CLIs, and in the whole pool", async (t) => {
        const settings = sessionsTable({ max_live_sessions: 3, max_live_sessions_total: 5, idle_timeout: "0s", ephemeral: "none" });
        fleet = await Fleet.start({ backends: 2, taps: true, target: "pilotfish", tables: settings });
        watch = new LockWatch(home());
        const client = await fleet.client();
        const all = await talks(client, 16);
        const order = numbers(all.length, 3);
        for (let turn = 0; turn < 40; turn++) await all[order.next().value].say();
        for (const talk of all) await talk.check();
        const each = fleet.taps.map(census);
        t.diagnostic(`most at a time: ${each.map(({ peak }) => peak)}; at the end ${each.map(({ lives }) => lives.size)}`);
        for (const { peak, cut } of each) assert.deepEqual([peak <= 3, cut], [true, []]);
        assert.ok(each[0].lives.size + each[1].lives.size <= 5);
        assert.ok(watch.peak <= 5, `${watch.peak} were locked at once`);
        assert.deepEqual([...watch.doubled], []);
    });

    describe("while backends come and go", () => {
        const startTwo = async (seats, more = {}) => {
            const settings = sessionsTable({ max_live_sessions: seats, idle_timeout: "0s", ephemeral: "none" });
            fleet = await Fleet.start({ backends: 2, taps: true, target: "pilotfish", tables: settings, ...more });
            watch = new LockWatch(home());
            return fleet.client();
        };

        /** Fails unless neither CLI ever had more than `seats`, and no session had two homes. */
        function assertBothKept(seats) {
            for (const tap of fleet.taps) assert.ok(census(tap).peak <= seats, `${census(tap).peak} lived at once`);
            assert.deepEqual([...watch.doubled], []);
            assert.deepEqual(forked(home()), []);
        }

        it("is kept by those that a drained backend sends away, and parked ones delay no drain", async (t) => {
            const client = await startTwo(3);
            const all = await talks(client, 10);
            for (const talk of all) await talk.say();
            const began = performance.now();
            const { code, stderr } = await operate(fleet.proxy, "drain", "cli-1", "--wait", "--timeout", "20s");
            assert.equal(code, 0, stderr);
            t.diagnostic(`drained after ${(performance.now() - began).toFixed(0)} ms`);
            assert.equal(census(fleet.taps[0]).lives.size, 0);
            for (const talk of all) await talk.check();
            assert.equal(census(fleet.taps[0]).lives.size, 0, "nobody wakes there");
            assert.equal((await operate(fleet.proxy, "undrain", "cli-1")).code, 0);
            for (const talk of all) await talk.say();
            for (const talk of all) talk.unnoticed();
            assertBothKept(3);
        });

        it("is kept by those that lose their home", async () => {
            const client = await startTwo(3);
            const all = await talks(client, 10);
            for (const talk of all) await talk.say();
            fleet.clis[0].child.killGroup("SIGKILL");
            await fleet.clis[0].child.exited;
            for (const talk of all) await talk.say();
            for (const talk of all) await talk.check();
            for (const talk of all) talk.unnoticed();
            assert.ok(census(fleet.taps[1]).peak <= 3);
            assert.deepEqual(forked(home()), []);
        });

        it("leaves parked sessions untouched by a restart of their CLI", async () => {
            const client = await startTwo(2, { backends: 1 });
            const all = await talks(client, 6);
            for (const talk of all) await talk.say();
            fleet.clis[0].child.killGroup("SIGKILL");
            await fleet.clis[0].child.exited;
            await fleet.revive(0);
            for (const talk of all) await talk.check();
            for (const talk of all) talk.unnoticed();
            assert.equal((await client.ping("still here")).message, "pong: still here");
        });
    });

    it("wakes a session once for all that comes to it at once, from both of its clients", async () => {
        const one = await start(1);
        const two = await fleet.client();
        const mine = await one.createSession(config());
        await ask(mine, "first");
        const yours = await two.resumeSession(mine.sessionId, config());
        const [other] = await talks(one, 1);
        await park({ id: mine.sessionId, number: "it" }, [other]);
        const before = await counted("pilotfish_session_wakes_total");
        const answers = await Promise.all([mine, yours].flatMap((session) => [session.getEvents(), session.rpc.name.get(), session.rpc.mode.get(), session.getEvents()]));
        for (const at of [0, 3, 4, 7]) assert.deepEqual(answers[at].filter(({ type }) => type === "user.message").map(({ data }) => data.content), ["first"]);
        assert.equal(await counted("pilotfish_session_wakes_total"), before + 1);
        await park({ id: mine.sessionId, number: "it" }, [other]);
        const idle = next(mine, "session.idle");
        const large = "0123456789abcdef".repeat(16 * 1024);
        assert.equal(await ask(yours, large), `You said: ${large}`, "a large one is kept until it is awake");
        await idle;
        assertKept(1);
    });

    it("lets either client of a parked session wait for a seat", async () => {
        const one = await start(1);
        const two = await fleet.client();
        const mine = await one.createSession(config());
        await ask(mine, "first");
        const yours = await two.resumeSession(mine.sessionId, config());
        const [other] = await talks(one, 1);
        await park({ id: mine.sessionId, number: "it" }, [other]);
        for (const [session, listener] of [[mine, yours], [yours, mine]]) {
            const before = await counted("pilotfish_session_wakes_total");
            const running = next(other.session, "assistant.message_delta");
            const turn = other.say(2_000);
            await running;
            const idle = next(listener, "session.idle");
            assert.equal(await ask(session, "patience"), "You said: patience");
            await Promise.all([turn, idle]);
            assert.equal(await counted("pilotfish_session_wakes_total"), before + 1, "it waited, and was woken once");
            await park({ id: mine.sessionId, number: "it" }, [other]);
        }
        assertKept(1);
    });

    it("takes an abort of a parked session as what it is: nothing to abort", async () => {
        const client = await start(1);
        const [talk, other] = await talks(client, 2);
        await talk.say();
        await park(talk, [other]);
        await talk.session.abort();
        await talk.check();
        talk.unnoticed();
    });
});

async function sequence(count, make) {
    const made = [];
    for (let at = 0; at < count; at++) made.push(await make(at));
    return made;
}
