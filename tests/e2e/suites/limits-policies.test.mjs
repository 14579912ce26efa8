// What happens at a limit on live sessions where nothing may be evicted, whose sessions may be, and what time alone does.
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";

import { census, locks, LockWatch } from "../lib/census.mjs";
import { Fleet } from "../lib/fleet.mjs";
import { metric } from "../lib/metrics.mjs";
import { sessions as sessionsTable } from "../lib/settings.mjs";
import { Talk } from "../lib/talk.mjs";
import { Seat, walled } from "../lib/tenants.mjs";
import { ask, eventually, next, PATIENCE, within } from "../lib/turns.mjs";

describe("at the limit on live sessions", { timeout: 5 * PATIENCE }, () => {
    let fleet;
    let seats = [];
    afterEach(async () => {
        for (const seat of seats.splice(0)) await seat.stop();
        await fleet?.stop();
    });

    const start = async (keys, options = {}) => {
        fleet = await Fleet.start({ backends: 1, taps: true, target: "pilotfish", ...options, tables: sessionsTable({ idle_timeout: "0s", ephemeral: "none", ...keys }) });
        return fleet.client();
    };
    const config = (extra) => fleet.session({ streaming: true, ...extra });
    const open = (client, number) => Talk.open(client, config(), number);
    const wire = () => census(fleet.taps[0]);
    const counted = (name, labels) => metric(fleet.proxy, name, labels);
    const waiting = (count) => eventually(`${count} wait`, async () => (await counted("pilotfish_admission_waiting")) === count);

    /** Fails unless the promise is refused for want of a seat; returns the error. */
    async function refused(promise, ms = 2_000) {
        const error = await within(ms, "the refusal", promise.then(() => assert.fail("it was let in"), (error) => error));
        assert.equal(error.code, -32014, error.message);
        assert.equal(error.data.reason, "capacity");
        assert.equal(error.data.retryable, true);
        assert.match(error.message, /session/i);
        return error;
    }

    describe("evict = reject", () => {
        it("refuses one more, new or stored, and says why", async (t) => {
            const client = await start({ max_live_sessions: 2, evict: "reject" });
            const stored = await open(client, "stored");
            await stored.say();
            await stored.session.disconnect();
            const [a, b] = [await open(client, "a"), await open(client, "b")];
            for (const talk of [a, b]) await talk.say();
            const { message } = await refused(client.createSession(config()));
            t.diagnostic(message);
            assert.match(message, /2/, "says how many there may be");
            await refused(client.resumeSession(stored.id, config()));
            assert.deepEqual(wire().closed, [], "nothing is evicted");
            for (const talk of [a, b]) await talk.check();
            await a.session.disconnect();
            stored.attach(await client.resumeSession(stored.id, config()));
            await stored.check();
            assert.equal(wire().peak, 2);
            b.unnoticed();
        });

        it("lets a second client into a session that lives", async () => {
            const client = await start({ max_live_sessions: 1, evict: "reject" });
            const talk = await open(client, "a");
            await talk.say();
            const second = await fleet.client();
            const same = await second.resumeSession(talk.id, config());
            assert.equal(await ask(same, "too"), "You said: too");
            await refused(second.createSession(config()));
            await client.stop();
            await refused(second.createSession(config()));
            await same.disconnect();
            await ask(await second.createSession(config()), "free now");
        });

        it("gives a seat back however its session ends", async () => {
            const client = await start({ max_live_sessions: 1, evict: "reject" });
            const deleted = await open(client, "deleted");
            await deleted.say();
            await client.deleteSession(deleted.id);
            await (await open(client, "after a deletion")).say();
            await client.forceStop();
            const second = await fleet.client();
            await eventually("the seat of the killed client", () => open(second, "after a kill").catch(() => null));
            await second.stop();
            const third = await fleet.client();
            await assert.rejects(third.resumeSession("never-was", config()), /Session not found/);
            await eventually("the seat of one that could not be opened", () => open(third, "after a failure").catch(() => null));
        });
    });

    describe("evict = queue", () => {
        it("lets them wait in line", async () => {
            const client = await start({ max_live_sessions: 2, evict: "queue", queue_timeout: "20s" });
            const [a, b] = [await open(client, "a"), await open(client, "b")];
            for (const talk of [a, b]) await talk.say();
            const arrived = [];
            const waiters = [];
            for (const number of ["c", "d", "e"]) {
                waiters.push(open(await fleet.client(), number).then((talk) => (arrived.push(number), talk)));
                await waiting(waiters.length);
            }
            assert.deepEqual(arrived, []);
            await a.session.disconnect();
            const c = await waiters[0];
            await c.say();
            assert.deepEqual(arrived, ["c"]);
            await waiting(2);
            await client.deleteSession(b.id);
            const d = await waiters[1];
            assert.deepEqual(arrived, ["c", "d"]);
            await c.session.disconnect();
            await (await waiters[2]).say();
            await d.say();
            assert.equal(wire().peak, 2);
            assert.deepEqual(wire().closed.filter((id) => ![a, b, c].some((talk) => talk.id === id)), [], "nothing is evicted");
            await waiting(0);
        });

        it("refuses whose time is over, and says where it stood", async (t) => {
            const client = await start({ max_live_sessions: 1, evict: "queue", queue_timeout: "1s" });
            const a = await open(client, "a");
            await a.say();
            const began = performance.now();
            const error = await refused(client.createSession(config()), 5_000);
            const took = performance.now() - began;
            t.diagnostic(`${took.toFixed(0)} ms: ${error.message} ${JSON.stringify(error.data)}`);
            assert.ok(took >= 950, `${took} ms`);
            const text = JSON.stringify([error.message, error.data]);
            assert.match(text, /position|in line|ahead/);
            assert.match(text, /1s|1 s|1000|deadline|waited/);
            await waiting(0);
            await a.check();
        });

        it("forgets who leaves the line", async () => {
            const client = await start({ max_live_sessions: 1, evict: "queue", queue_timeout: "20s" });
            const a = await open(client, "a");
            const gone = await fleet.client();
            const first = gone.createSession(config());
            first.catch(() => {});
            await waiting(1);
            const second = open(await fleet.client(), "second");
            await waiting(2);
            await gone.forceStop();
            await waiting(1);
            await a.session.disconnect();
            await (await second).say();
            assert.equal(wire().peak, 1);
        });

        it("keeps a client's other sessions going while one waits", async () => {
            const client = await start({ max_live_sessions: 1, evict: "queue", queue_timeout: "20s" });
            const a = await open(client, "a");
            const waiter = open(client, "b");
            await waiting(1);
            await a.say();
            await a.say();
            assert.equal((await client.ping("free")).message, "pong: free");
            await a.session.disconnect();
            await (await waiter).say();
        });
    });

    describe("with several tenants", () => {
        const raise = async (tenants, keys) => {
            const names = Object.keys(tenants);
            const tables = sessionsTable({ idle_timeout: "0s", ephemeral: "none", ...keys });
            fleet = await Fleet.start(walled(tenants, { rule: "registry", backends: 1, taps: true, tables }));
            seats = await Promise.all(names.map((name) => Seat.take(fleet, name)));
            return Promise.all(seats.map((seat) => seat.client()));
        };

        it("never evicts another one's session to please this one", async () => {
            const [alice, bob] = await raise({ alice: "", bob: "" }, { max_live_sessions: 3, queue_timeout: "500ms" });
            const hers = [await open(alice, "hers 1"), await open(alice, "hers 2"), await open(alice, "hers 3")];
            for (const talk of hers) await talk.say();
            await refused(bob.createSession(config()), 5_000);
            assert.deepEqual(wire().closed, []);
            await hers[2].session.disconnect();
            const his = [await open(bob, "his 1")];
            await his[0].say();
            his.push(await open(bob, "his 2"));
            await his[1].say();
            await his[0].say();
            const closed = new Set(wire().closed);
            for (const { id, number } of hers.slice(0, 2)) assert.ok(!closed.has(id), `${number} stays, though it is the oldest`);
            assert.ok(closed.has(his[0].id) && closed.has(his[1].id), "his own make room");
            for (const talk of [...hers.slice(0, 2), ...his]) await talk.check();
            for (const talk of [...hers.slice(0, 2), ...his]) talk.unnoticed();
            assert.equal(wire().peak, 3);
        });

        it("keeps each within its own limit", async () => {
            const [alice, bob] = await raise({ alice: "limits = { live_sessions = 2 }", bob: "" }, { max_live_sessions: 50 });
            const his = [await open(bob, "his 1"), await open(bob, "his 2"), await open(bob, "his 3")];
            for (const talk of his) await talk.say();
            const hers = [];
            for (const number of [1, 2, 3, 4, 5]) hers.push(await open(alice, `hers ${number}`));
            const mine = new Set(hers.map(({ id }) => id));
            for (const talk of [...hers, ...hers]) {
                await talk.say();
                const live = [...wire().lives.keys()].filter((id) => mine.has(id));
                assert.ok(live.length <= 2, `${live.length} of hers live`);
            }
            const closed = wire().closed;
            assert.ok(closed.length > 0 && closed.every((id) => mine.has(id)), "only hers make room");
            for (const talk of [...hers, ...his]) await talk.check();
        });

        it("tells nobody of the others' sessions", async () => {
            const [alice, bob] = await raise({ alice: "", bob: "" }, { max_live_sessions: 1, evict: "reject" });
            const hers = await open(alice, "hers");
            const { message, data } = await refused(bob.createSession(config()));
            for (const word of ["alice", hers.id]) assert.ok(!`${message} ${JSON.stringify(data)}`.includes(word));
        });
    });

    describe("idle_timeout", () => {
        it("parks who has been idle so long, and it wakes", async () => {
            const client = await start({ max_live_sessions: 50, idle_timeout: "1s" });
            const all = [await open(client, "a"), await open(client, "b")];
            for (const talk of all) await talk.say();
            await eventually("both are parked", async () => (await counted("pilotfish_sessions_parked")) === 2);
            assert.equal(wire().lives.size, 0);
            await eventually("nothing is locked", () => locks(fleet.clis[0].home).length === 0);
            assert.equal(await counted("pilotfish_session_evictions_total", { cause: "idle" }), 2);
            assert.equal(await counted("pilotfish_session_evictions_total", { cause: "limit" }), 0);
            for (const talk of all) await talk.check();
            for (const talk of all) talk.unnoticed();
            assert.equal(await counted("pilotfish_session_wakes_total"), 2);
        });

        it("does not touch a turn that takes longer", async () => {
            const client = await start({ max_live_sessions: 50, idle_timeout: "500ms" });
            const talk = await open(client, "slow");
            const watch = new LockWatch(fleet.clis[0].home);
            await talk.say(3_000);
            watch.stop();
            assert.deepEqual(wire().cut, []);
            await eventually("parked", () => wire().lives.size === 0);
            await talk.check();
            talk.unnoticed();
        });

        it("counts from the last word, also of a session that waits for its client", async () => {
            const client = await start({ max_live_sessions: 50, idle_timeout: "500ms" });
            let decide;
            const session = await client.createSession(config({ onPermissionRequest: () => new Promise((resolve) => (decide = resolve)) }));
            const requested = next(session, "permission.requested");
            const answer = ask(session, '[[tool:bash {"command":"echo hi-$((40+2))","description":"d"}]] x');
            await requested;
            const other = await open(client, "other");
            await other.say();
            await eventually("the other is parked", () => !wire().lives.has(other.id));
            assert.ok(wire().lives.has(session.sessionId));
            decide({ kind: "approve-once" });
            assert.match(await answer, /hi-42/);
        });
    });
});
