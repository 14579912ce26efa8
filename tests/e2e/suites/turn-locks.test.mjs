// One session, many clients: a turn belongs to the one that began it, whichever pilotfish the others came to.
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";

import { census, forked } from "../lib/census.mjs";
import { Fleet } from "../lib/fleet.mjs";
import { metric } from "../lib/metrics.mjs";
import { ModelTap } from "../lib/model-tap.mjs";
import { sessions as sessionsTable } from "../lib/settings.mjs";
import { bare } from "../lib/talk.mjs";
import { Seat, walled } from "../lib/tenants.mjs";
import { ask, eventually, next, PATIENCE, record, within } from "../lib/turns.mjs";

const CLIENTS = 20;
const ROUNDS = process.env.SUITE === "long" ? 12 : 3;
/** Who asked so much later may be served first: requests reach two proxies, and these the store, at their own speed. */
const TOLERANCE = 250;

const SETTINGS = {
    "one proxy": { proxies: 1 },
    "two proxies and Redis": { proxies: 2, redis: { ttl: "3s" } },
};

for (const [what, setting] of Object.entries(SETTINGS)) describe(`turn locks of ${what}`, { timeout: 8 * PATIENCE }, () => {
    let fleet, model, clients, members;
    let seats = [];
    afterEach(async () => {
        for (const seat of seats.splice(0)) await seat.stop();
        await model?.stop();
        await fleet?.stop();
        model = fleet = undefined;
    });

    /** Starts everything and lets `count` clients, by turns at each proxy, attach to one session that has had a turn. */
    async function start(keys, { count = 3, ...options } = {}) {
        const tables = sessionsTable({ ephemeral: "none", ...keys });
        fleet = await Fleet.start({ backends: 2, taps: true, target: "pilotfish", ...setting, ...options, tables });
        model = await ModelTap.start(fleet.model.url);
        clients = [];
        for (let at = 0; at < count; at++) clients.push(await fleet.client(proxyOf(at).address));
        const first = await clients[0].createSession(config());
        await ask(first, "begin");
        members = [first];
        for (const client of clients.slice(1)) members.push(await client.resumeSession(first.sessionId, config()));
        return members;
    }
    /** For what is the same whoever keeps the line. */
    const once = setting.redis ? it : () => {};
    const proxyOf = (at) => fleet.proxies[at % fleet.proxies.length];
    const config = () => fleet.session({ streaming: true, provider: { type: "openai", baseUrl: model.url } });
    const id = () => members[0].sessionId;
    const locked = (labels) => Promise.all(fleet.proxies.map((proxy) => metric(proxy, "pilotfish_turn_locks_total", labels))).then((each) => each.reduce((a, b) => a + b));

    /** The prompts that reached a CLI, in order: `{ at, connection, prompt, mode }`; one CLI has all of them. */
    function sends() {
        const tap = fleet.taps.filter(({ seen }) => seen.some(({ message }) => message.params?.sessionId === id()));
        assert.equal(tap.length, 1, "one home");
        const sent = tap[0].seen.filter(({ from, message }) => from === "client" && message.method === "session.send");
        return sent.map(({ at, connection, message: { params } }) => ({ at, connection, prompt: params.prompt, mode: params.mode }));
    }

    /** Fails if a prompt reached the CLI while another connection's turn ran there. */
    function assertApart() {
        for (const tap of fleet.taps) {
            let holder = null;
            for (const { connection, from, message: { method, params } } of tap.seen) {
                if (params?.sessionId !== id()) continue;
                if (from === "client" && method === "session.send") {
                    assert.ok(holder === null || holder === connection, `"${params.prompt}" came during a turn of another`);
                    holder = connection;
                }
                if (from === "server" && params.event?.type === "session.idle" && connection === holder) holder = null;
            }
        }
        assert.deepEqual(model.overlaps(), [], "by the word of the model");
    }

    const answersOf = (events) => events.filter(({ type }) => type === "assistant.message").map(({ data }) => data.content);
    const asked = (stored) => stored.filter(({ type }) => type === "user.message").map(({ data }) => bare(data.content));

    /** Begins a turn and returns once it runs: `{ answer }` is its end. */
    async function hold(session, delay, text = "held") {
        const running = next(session, "assistant.message_delta");
        const answer = ask(session, `[[delay:${delay}]] ${text} by one who takes their time`);
        answer.catch(() => {});
        await running;
        return { answer };
    }

    /** The refusal of a promise, and how long it took. */
    async function refusal(begin, code = -32013) {
        const began = performance.now();
        const error = await within(PATIENCE, "the refusal", begin().then(() => assert.fail("it was let in"), (error) => error));
        assert.equal(error.code, code, error.message);
        return { error, took: performance.now() - began };
    }

    /** Asks in the session of a client, and returns once its proxy has read that: what follows on a connection is read later. */
    async function lineUp(at, prompt) {
        const answer = ask(members[at], prompt);
        answer.catch(() => {});
        await clients[at].ping("read");
        return { answer };
    }

    it(`queue: ${CLIENTS} clients in a loop, each prompt answered once, one after the other, in the order of asking`, async (t) => {
        await start({ lock: "queue" }, { count: CLIENTS });
        const heard = members.map(record);
        const asks = [];
        const loop = async (session, number) => {
            for (let round = 0; round < ROUNDS; round++) {
                const entry = { number, prompt: `c${number} t${round}`, asked: performance.now() };
                asks.push(entry);
                assert.equal(await ask(session, entry.prompt), `You said: ${entry.prompt}`);
                entry.answered = performance.now();
            }
        };
        await within(6 * PATIENCE, "all turns", Promise.all(members.map(loop)));
        assertApart();
        const order = sends().map(({ prompt }) => prompt).filter((prompt) => prompt !== "begin");
        assert.deepEqual([...order].sort(), asks.map(({ prompt }) => prompt).sort(), "each reached the CLI once");
        const called = model.calls.map(({ prompt }) => /c\d+ t\d+/.exec(prompt)?.[0]).filter(Boolean);
        assert.deepEqual(called, order, "each was put to the model once");
        assertFair(order, asks, t);
        for (const [at, events] of heard.entries()) {
            await eventually(`client ${at} has heard everything`, () => answersOf(events).length >= order.length);
            assert.deepEqual(answersOf(events), order.map((prompt) => `You said: ${prompt}`), `client ${at} hears each answer once`);
            assert.deepEqual(events.filter(({ type }) => type === "session.error"), []);
        }
        assert.deepEqual(asked(await members.at(-1).getEvents()), ["begin", ...order]);
        assert.ok((await locked()) >= asks.length);
        assert.deepEqual(forked(fleet.clis[0].home), []);
    });

    function assertFair(order, asks, t) {
        const granted = order.map((prompt) => asks.find((entry) => entry.prompt === prompt));
        let worst = 0;
        for (const [at, entry] of granted.entries()) {
            for (const later of granted.slice(at + 1)) worst = Math.max(worst, entry.asked - later.asked);
        }
        t.diagnostic(`the most that one was served before another who had asked earlier: ${worst.toFixed(0)} ms`);
        assert.ok(worst <= TOLERANCE, `${worst} ms`);
        for (const [at, entry] of granted.entries()) {
            const before = granted.slice(0, at).filter(({ number }) => number === entry.number).length;
            const starving = members.findIndex((_, number) => granted.slice(0, at).filter((other) => other.number === number).length < before - 1);
            assert.equal(starving, -1, `client ${entry.number} had turn ${before + 1} when client ${starving} had had fewer than ${before}`);
        }
    }

    it("reject: losers are told at once who has it since when, and anybody gets it after the idle", async (t) => {
        const [holder, ...losers] = await start({ lock: "reject" }, { count: CLIENTS });
        const { answer } = await hold(holder, 4_000);
        const times = [];
        for (const loser of losers) {
            const { error, took } = await refusal(() => loser.sendAndWait({ prompt: "me too" }, PATIENCE));
            times.push(took);
            assert.equal(error.data.reason, "session_locked");
            assert.equal(error.data.retryable, true);
            const { holder: who, held_for_ms: since } = error.data;
            assert.ok(who !== undefined && since > 0 && since < 10_000, JSON.stringify(error.data));
        }
        const together = await Promise.all(losers.map((loser) => refusal(() => loser.sendAndWait({ prompt: "me too" }, PATIENCE))));
        times.push(...together.map(({ took }) => took));
        t.diagnostic(`the slowest of ${times.length} refusals took ${Math.max(...times).toFixed(1)} ms`);
        assert.ok(Math.max(...times) < 250, `${times.map((took) => took.toFixed(0))}`);
        assert.match(await answer, /^You said: held/);
        for (const loser of losers.slice(0, 3)) await eventually("it is free", () => ask(loser, "now me").then(() => true, (error) => (assert.equal(error.code, -32013), false)));
        const prompts = asked(await holder.getEvents());
        assert.ok(!prompts.includes("me too"), "nothing of the losers is ever said");
        assert.equal(prompts.filter((prompt) => prompt === "now me").length, 3);
        assertApart();
    });

    it("reject: all get through who ask until they do, each once", async () => {
        await start({ lock: "reject" }, { count: CLIENTS });
        const insist = async (session, number) => {
            const prompt = `only ${number}`;
            const answered = next(session, ({ type, data }) => type === "assistant.message" && data.content === `You said: ${prompt}`, 4 * PATIENCE);
            await eventually(`client ${number}`, () => session.send({ prompt }).catch(({ code }) => (assert.equal(code, -32013), false)), 4 * PATIENCE);
            await answered;
        };
        await Promise.all(members.map(insist));
        assertApart();
        const prompts = asked(await members[0].getEvents()).slice(1);
        assert.deepEqual([...prompts].sort(), members.map((_, number) => `only ${number}`).sort());
    });

    once("reject: the holder's own next prompt goes into the CLI's queue", async () => {
        const [holder, other] = await start({ lock: "reject" });
        const events = record(holder);
        await hold(holder, 1_500, "first");
        const idle = next(holder, "session.idle");
        await holder.send({ prompt: "second" });
        await refusal(() => other.send({ prompt: "me too" }));
        await idle;
        assert.deepEqual(answersOf(events).map((text) => text.split(" by ")[0]), ["You said: first", "You said: second"]);
        assert.equal(await eventually("it is free", () => ask(other, "third").catch(() => false)), "You said: third");
        assertApart();
    });

    it("off: it is as if the clients had come to the CLI itself", async () => {
        const script = async (sessions) => {
            const events = record(sessions[0]);
            const running = next(sessions[0], "assistant.message_delta");
            await sessions[0].send({ prompt: "[[delay:1500]] the first of some words" });
            await running;
            for (const session of sessions.slice(1)) await within(2_000, "the answer to the prompt", session.send({ prompt: "and one more" }));
            await eventually("all are answered", () => answersOf(events).length === sessions.length);
            await eventually("idle", () => events.at(-1).type === "session.idle");
            const told = events.filter(({ type }) => /^(user\.message|assistant\.message|session\.idle)$/.test(type));
            return told.map(({ type, data }) => [type, data.content, data.delivery]);
        };
        await start({ lock: "off" });
        const through = await script(members);
        const straight = [];
        for (let at = 0; at < members.length; at++) {
            const client = await fleet.client(fleet.clis[0].address);
            straight.push(at === 0 ? await client.createSession(config()) : await client.resumeSession(straight[0].sessionId, config()));
            if (at === 0) await ask(straight[0], "begin");
        }
        assert.deepEqual(through, await script(straight));
        assert.ok(through.some(([, , delivery]) => delivery === "queued"));
    });

    it("steer-own: the holder steers its turn, the others wait for its end", async () => {
        const [holder, other] = await start({ lock: "steer-own" });
        const events = record(holder);
        const { answer } = await hold(holder, 3_000, "first");
        const waiter = await lineUp(1, "from another");
        await holder.send({ prompt: "mind this too" });
        await answer;
        assert.equal(await waiter.answer, "You said: from another");
        const modes = new Map(sends().map(({ prompt, mode }) => [bare(prompt).split(" by ")[0], mode]));
        assert.equal(modes.get("mind this too"), "immediate");
        assert.notEqual(modes.get("first"), "immediate");
        assert.notEqual(modes.get("from another"), "immediate");
        await eventually("all is told", () => answersOf(events).includes("You said: from another"));
        const prompts = asked(await holder.getEvents()).map((prompt) => prompt.split(" by ")[0]);
        assert.deepEqual(prompts, ["begin", "first", "mind this too", "from another"]);
        const texts = events.map(({ type, data }) => (type === "session.idle" ? "idle" : type === "user.message" ? bare(data.content).split(" by ")[0] : "")).filter(Boolean);
        assert.ok(texts.indexOf("idle") > texts.indexOf("mind this too") && texts.indexOf("idle") < texts.indexOf("from another"), `${texts}`);
        assertApart();
    });

    it("comes free when the turn is aborted", async () => {
        const [holder, other] = await start({ lock: "queue" });
        await hold(holder, 60_000);
        const waiter = await lineUp(1, "next");
        await holder.abort();
        assert.equal(await within(10_000, "the next turn", waiter.answer), "You said: next");
        assertApart();
    });

    once("comes free when the backend dies", async () => {
        const [holder, other] = await start({ lock: "queue" });
        const { answer } = await hold(holder, 60_000);
        const waiter = await lineUp(1, "next");
        const home = fleet.taps.findIndex(({ seen }) => seen.some(({ message }) => message.params?.sessionId === id()));
        fleet.clis[home].child.killGroup("SIGKILL");
        await assert.rejects(answer);
        assert.equal(await within(20_000, "the next turn", waiter.answer), "You said: next");
        assert.equal(await eventually("free again", () => ask(holder, "and mine").catch(() => false)), "You said: and mine");
        assert.deepEqual(forked(fleet.clis[0].home), []);
    });

    once("comes free some time after its client is lost, though the turn runs on for the others", async (t) => {
        const [holder, other] = await start({ lock: "queue" }, { pool: 'linger = "1s"' });
        await hold(holder, 5_000);
        const events = record(other);
        const began = performance.now();
        const sent = other.send({ prompt: "next" });
        await clients[1].ping("read");
        await clients[0].forceStop();
        await within(3_500, "its prompt is taken, though the turn runs on", sent);
        t.diagnostic(`free after ${((performance.now() - began) / 1000).toFixed(2)} s`);
        assert.ok(performance.now() - began >= 950, "not before the linger is over");
        await eventually("it is answered", () => answersOf(events).includes("You said: next"));
        assert.deepEqual(answersOf(events), ["You said: held by one who takes their time", "You said: next"]);
    });

    once("goes to the next in line when one in line is lost", async () => {
        const [holder] = await start({ lock: "queue" });
        const { answer } = await hold(holder, 1_500);
        await lineUp(1, "never said");
        const waiter = await lineUp(2, "next");
        await clients[1].forceStop();
        await answer;
        assert.equal(await within(10_000, "the next turn", waiter.answer), "You said: next");
        assert.deepEqual(asked(await holder.getEvents()).filter((prompt) => prompt === "never said"), []);
    });

    once("refuses who has waited for lock_timeout, and says who has it", async (t) => {
        const [holder, other] = await start({ lock: "queue", lock_timeout: "1s" });
        const { answer } = await hold(holder, 2_500);
        const { error, took } = await refusal(() => other.send({ prompt: "too late" }));
        t.diagnostic(`${took.toFixed(0)} ms: ${error.message} ${JSON.stringify(error.data)}`);
        assert.ok(took >= 950 && took < 3_000, `${took} ms`);
        assert.equal(error.data.reason, "session_locked");
        assert.match(await answer, /^You said: held/);
        assert.equal(await ask(other, "in time"), "You said: in time");
        assert.ok(!asked(await holder.getEvents()).includes("too late"));
    });

    once("does not keep anything else from the others", async () => {
        const [holder, other] = await start({ lock: "queue" });
        const { answer } = await hold(holder, 3_000);
        const waiter = await lineUp(1, "next");
        assert.ok((await within(2_000, "its events", other.getEvents())).length > 0);
        assert.ok(await within(2_000, "its name", other.rpc.name.get()));
        const own = await clients[1].createSession(config());
        assert.equal(await within(PATIENCE, "another session", ask(own, "elsewhere")), "You said: elsewhere");
        await answer;
        assert.equal(await waiter.answer, "You said: next");
    });

    once("names no other tenant", async () => {
        const share = 'share = [{ session = "alice--board", with = ["bob"] }]';
        const options = walled({ alice: share, bob: "" }, { rule: "prefix", backends: 1, taps: true, ...setting, tables: sessionsTable({ ephemeral: "none", lock: "reject" }) });
        fleet = await Fleet.start(options);
        seats = [await Seat.take(fleet, "alice", proxyOf(0).address), await Seat.take(fleet, "bob", proxyOf(1).address)];
        const [alice, bob] = [await seats[0].client(), await seats[1].client()];
        const hers = await alice.createSession(fleet.session({ streaming: true, sessionId: "alice--board" }));
        await ask(hers, "begin");
        const his = await bob.resumeSession("alice--board", fleet.session({ streaming: true }));
        const { answer } = await hold(hers, 2_000);
        const { error } = await refusal(() => his.send({ prompt: "me too" }));
        assert.ok(!JSON.stringify([error.message, error.data]).replaceAll("alice--board", "").includes("alice"), JSON.stringify(error.data));
        await answer;
        const theirs = await hold(his, 2_000);
        const back = await refusal(() => hers.send({ prompt: "me too" }));
        assert.ok(!JSON.stringify([back.error.message, back.error.data]).includes("bob"));
        await theirs.answer;
    });

    if (setting.proxies > 1) {
        it("comes free when the holder's proxy is killed", async (t) => {
            const [holder, other] = await start({ lock: "queue" });
            await hold(holder, 4_000);
            const waiter = await lineUp(1, "next");
            const began = performance.now();
            fleet.proxies[0].child.killGroup("SIGKILL");
            await within(15_000, "the next turn", waiter.answer);
            t.diagnostic(`answered after ${((performance.now() - began) / 1000).toFixed(2)} s, with leases of 3 s`);
            assert.equal(await ask(other, "another"), "You said: another");
            assert.equal(census(fleet.taps.find(({ seen }) => seen.some(({ message }) => message.params?.sessionId === id()))).lives.has(id()), true);
        });

        it("is given back by a proxy that goes in good order", async () => {
            const [holder, other] = await start({ lock: "reject" }, { drain: '[shutdown]\ndrain_timeout = "2s"' });
            await hold(holder, 500);
            await fleet.proxies[0].child.stop();
            assert.equal(await eventually("free", () => ask(other, "mine").catch((error) => (assert.equal(error.code, -32013), false)), 2_500), "You said: mine");
        });
    }
});
