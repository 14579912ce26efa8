// Several pilotfish before the same CLIs: whichever a client comes to, the session has one home, one owner, and one history.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterEach, describe, it } from "node:test";

import { defineTool } from "@github/copilot-sdk";

import { census, forked, LockWatch } from "../lib/census.mjs";
import { Fleet } from "../lib/fleet.mjs";
import { operate } from "../lib/programs.mjs";
import { sessions as sessionsTable } from "../lib/settings.mjs";
import { assertUnnoticed, Talk } from "../lib/talk.mjs";
import { Seat, walled } from "../lib/tenants.mjs";
import { ask, eventually, next, PATIENCE, record } from "../lib/turns.mjs";

describe("several proxies", { timeout: 5 * PATIENCE }, () => {
    let fleet, watch;
    let seats = [];
    afterEach(async () => {
        watch?.stop();
        for (const seat of seats.splice(0)) await seat.stop();
        await fleet?.stop();
    });

    const start = async (keys = {}, options = {}) => {
        fleet = await Fleet.start({ backends: 3, taps: true, target: "pilotfish", proxies: 2, redis: { ttl: "3s" }, ...options, tables: sessionsTable({ ephemeral: "none", ...keys }) });
        watch = new LockWatch(fleet.clis[0].home);
    };
    const clients = () => Promise.all(fleet.proxies.map(({ address }) => fleet.client(address)));
    const config = (extra) => fleet.session({ streaming: true, ...extra });
    const homes = (id) => fleet.taps.flatMap((tap, at) => (census(tap).lives.has(id) ? [at] : []));
    const answersOf = (events) => events.filter(({ type }) => type === "assistant.message").map(({ data }) => data.content);

    function assertNoFork() {
        assert.deepEqual(forked(fleet.clis[0].home), []);
        assert.deepEqual([...watch.doubled], []);
    }

    it("place a session alike, and share it", async () => {
        await start();
        const [one, two] = await clients();
        for (let number = 0; number < 12; number++) {
            const [first, second] = number % 2 ? [one, two] : [two, one];
            const mine = await first.createSession(config());
            await ask(mine, "first");
            const yours = await second.resumeSession(mine.sessionId, config());
            assert.equal(homes(mine.sessionId).length, 1);
            const heard = [record(mine), record(yours)];
            const idle = next(mine, "session.idle");
            assert.equal(await ask(yours, "[[history]] second"), "2 user messages: first | second");
            await idle;
            assert.deepEqual(answersOf(heard[0]), answersOf(heard[1]));
        }
        assertNoFork();
    });

    it("meet a session where it lives, though its place by the hash is elsewhere", async () => {
        await start();
        const [one, two] = await clients();
        const talks = [];
        for (let number = 0; number < 12; number++) {
            talks.push(await Talk.open(one, config(), number));
            await talks.at(-1).say();
        }
        const moved = talks.filter(({ id }) => homes(id)[0] === 0);
        assert.ok(moved.length > 0);
        const { code, stderr } = await operate(fleet.proxies[0], "drain", "cli-1", "--wait");
        assert.equal(code, 0, stderr);
        for (const talk of moved) {
            const [home] = homes(talk.id);
            assert.notEqual(home, 0);
            const same = talk.share(await two.resumeSession(talk.id, config()));
            await same.say();
            assert.deepEqual(homes(talk.id), [home], "the other one does not know of the drain");
        }
        for (const talk of talks) await talk.check();
        for (const talk of talks) talk.unnoticed();
        assertNoFork();
    });

    it("move a shared session together, or not at all", async (t) => {
        await start();
        const [one, two] = await clients();
        const shared = [];
        for (let number = 0; number < 12; number++) {
            const talk = await Talk.open(one, config(), number);
            await talk.say();
            shared.push([talk, talk.share(await two.resumeSession(talk.id, config()))]);
        }
        const there = shared.filter(([{ id }]) => homes(id)[0] === 0);
        assert.ok(there.length > 0);
        const drained = operate(fleet.proxies[0], "drain", "cli-1", "--wait", "--timeout", "5s");
        const both = operate(fleet.proxies[1], "drain", "cli-1", "--wait", "--timeout", "5s");
        t.diagnostic(`drained at both: ${(await Promise.all([drained, both])).map(({ code, stderr }) => `${code} ${stderr.trim()}`).join("; ")}`);
        for (const [mine, yours] of shared) {
            // An SDK that prompts before it has heard the idle of the other's turn takes that for its own turn's end.
            const idle = next(yours.session, "session.idle");
            await mine.say();
            await idle;
            await yours.say();
            assert.equal(homes(mine.id).length, 1, `session ${mine.number} has one home`);
            await yours.check();
        }
        for (const [mine, yours] of shared) for (const talk of [mine, yours]) talk.unnoticed();
        assertNoFork();
    });

    it("agree on the home when all come at once", async () => {
        await start();
        const all = (await Promise.all([clients(), clients(), clients()])).flat();
        const first = await all[0].createSession(config());
        await ask(first, "first");
        for (let round = 0; round < 10; round++) {
            const stored = await all[0].createSession(config());
            await ask(stored, "first");
            await stored.disconnect();
            await eventually("it lives nowhere", () => homes(stored.sessionId).length === 0);
            const sessions = await Promise.all(all.map((client) => client.resumeSession(stored.sessionId, config())));
            assert.equal(homes(stored.sessionId).length, 1);
            assert.equal(await ask(sessions[round % all.length], "[[history]] next"), "2 user messages: first | next");
            for (const session of sessions) await session.disconnect();
        }
        assertNoFork();
    });

    it("survive the death of a home together", async () => {
        await start();
        const [one, two] = await clients();
        const shared = [];
        for (let number = 0; number < 9; number++) {
            const talk = await Talk.open(one, config(), number);
            await talk.say();
            shared.push([talk, talk.share(await two.resumeSession(talk.id, config()))]);
        }
        fleet.clis[0].child.killGroup("SIGKILL");
        await fleet.clis[0].child.exited;
        for (const [mine, yours] of shared) {
            await mine.say();
            await yours.say();
            await mine.check();
        }
        const left = fleet.taps.slice(1).map((tap) => census(tap).lives);
        for (const [{ id, number }] of shared) assert.equal(left.filter((lives) => lives.has(id)).length, 1, `session ${number}`);
        assertNoFork();
    });

    it("evict only what nobody else has at the other", async (t) => {
        await start({ max_live_sessions: 2 }, { backends: 1 });
        const [one, two] = await clients();
        const talk = await Talk.open(one, config(), "shared");
        await talk.say();
        const yours = talk.share(await two.resumeSession(talk.id, config()));
        for (let number = 0; number < 4; number++) await (await Talk.open(number % 2 ? one : two, config(), number)).say();
        for (const each of [talk, yours, talk]) await each.say();
        await yours.check();
        for (const each of [talk, yours]) each.unnoticed();
        t.diagnostic(`at most ${census(fleet.taps[0]).peak} lived at once`);
        assertNoFork();
    });

    it("know the same owners", async () => {
        const tables = sessionsTable({ ephemeral: "none" });
        fleet = await Fleet.start(walled({ alice: "", bob: "" }, { rule: "registry", backends: 2, taps: true, proxies: 2, redis: { ttl: "3s" }, tables }));
        watch = new LockWatch(fleet.clis[0].home);
        const [first, second] = fleet.proxies.map(({ address }) => address);
        for (const [name, address] of [["alice", first], ["bob", second], ["alice", second]]) seats.push(await Seat.take(fleet, name, address));
        const [alice, bob, again] = await Promise.all(seats.map((seat) => seat.client()));
        const hers = await alice.createSession(config({ sessionId: "diary" }));
        await ask(hers, "secret");
        await assert.rejects(bob.resumeSession("diary", config()), /Session not found/);
        await assert.rejects(bob.createSession(config({ sessionId: "diary" })), /Session not found/);
        assert.ok(!(await bob.listSessions()).some(({ sessionId }) => sessionId === "diary"));
        const same = await again.resumeSession("diary", config());
        assert.equal(await ask(same, "[[history]] more"), "2 user messages: secret | more");
        const contested = randomUUID();
        const made = await Promise.all([alice, bob].map((client) => client.createSession(config({ sessionId: contested })).then(() => "made", ({ message }) => message)));
        assert.equal(made.filter((text) => text === "made").length, 1, `${made}`);
        await hers.disconnect();
        await same.disconnect();
        await again.deleteSession("diary");
        const his = await eventually("the name is free", () => bob.createSession(config({ sessionId: "diary" })).catch(() => null));
        assert.equal(await ask(his, "[[history]] mine"), "1 user messages: mine");
    });

    it("list and delete each other's sessions", async () => {
        await start();
        const [one, two] = await clients();
        const session = await one.createSession(config());
        await ask(session, "soon gone");
        assert.equal((await two.listSessions()).filter(({ sessionId }) => sessionId === session.sessionId).length, 1);
        await session.disconnect();
        await two.deleteSession(session.sessionId);
        assert.ok(!(await one.listSessions()).some(({ sessionId }) => sessionId === session.sessionId));
        await assert.rejects(one.resumeSession(session.sessionId, config()), /Session not found/);
    });

    it("hear nothing of each other where nothing is shared", async () => {
        await start();
        const [one, two] = await clients();
        const heard = [];
        const mine = await one.createSession(config({ onEvent: (event) => heard.push(event) }));
        const yours = await two.createSession(config());
        await ask(yours, "for your ears");
        await ask(mine, "for mine");
        assert.ok(!JSON.stringify(heard).includes("for your ears"));
        assertUnnoticed(heard, "mine");
    });

    it("give a client that was lost in the middle of a turn its session at the other one, with its tools", async (t) => {
        await start();
        const [lost, other] = await clients();
        const tool = (text) => defineTool("lookup", { description: "Looks up", parameters: { type: "object", properties: {} }, skipPermission: true, handler: () => text });
        const session = await lost.createSession(config({ tools: [tool("a")] }));
        await ask(session, "before");
        const running = next(session, "assistant.message_delta");
        await session.send({ prompt: "[[delay:9000]] said to the end" });
        await running;
        await lost.forceStop();
        const began = performance.now();
        const back = await other.resumeSession(session.sessionId, config({ tools: [tool("b")] }));
        t.diagnostic(`back after ${(performance.now() - began).toFixed(0)} ms`);
        const events = record(back);
        await eventually("the turn ends", () => events.some(({ type }) => type === "session.idle"), 20_000);
        assert.match(await ask(back, "[[tool:lookup {}]] x"), /b/);
        const said = await back.getEvents();
        assert.deepEqual(answersOf(said).filter((text) => text.includes("said to the end")), ["You said: said to the end"]);
        assert.ok(!said.some(({ type }) => type === "abort"), "it was not cut");
        assertNoFork();
    });
});
