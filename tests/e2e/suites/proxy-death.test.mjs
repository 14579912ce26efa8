// One of two pilotfish is killed with 50 live sessions: whoever comes to the other one goes on, at one home each.
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";

import { defineTool } from "@github/copilot-sdk";

import { census, forked, locks, LockWatch } from "../lib/census.mjs";
import { Fleet } from "../lib/fleet.mjs";
import { sessions as sessionsTable } from "../lib/settings.mjs";
import { Talk } from "../lib/talk.mjs";
import { eventually, next, PATIENCE, percentile } from "../lib/turns.mjs";

const SESSIONS = 50;
const CLIENTS = 5;
/** Leases: one that shows itself, and (in the long run) the default. */
const TTLS = process.env.SUITE === "long" ? [3, 15] : [3];

describe("the death of one of two proxies", { timeout: 10 * PATIENCE }, () => {
    let fleet, watch;
    afterEach(async () => {
        watch?.stop();
        await fleet?.stop();
    });

    const start = async (ttl, keys = {}) => {
        const tables = sessionsTable({ ephemeral: "none", ...keys });
        fleet = await Fleet.start({ backends: 3, taps: true, target: "pilotfish", proxies: 2, redis: { ttl: `${ttl}s` }, tables });
        watch = new LockWatch(fleet.clis[0].home);
        return Promise.all(fleet.proxies.map(({ address }) => Promise.all(Array.from({ length: CLIENTS }, () => fleet.client(address)))));
    };
    const config = (extra) => fleet.session({ streaming: true, ...extra });
    const shout = (number) => defineTool("shout", { description: "Shouts", parameters: { type: "object", properties: {} }, skipPermission: true, handler: () => `LOUD ${number}` });

    /** Fails unless each session lives at one CLI only, by the wire, the disk, and its own history. */
    function assertOneHome(talks) {
        const counts = fleet.taps.map((tap) => census(tap).lives);
        for (const { id, number } of talks) {
            assert.equal(counts.filter((lives) => lives.has(id)).length, 1, `session ${number} lives at one CLI`);
            assert.equal(locks(fleet.clis[0].home).filter((lock) => lock.startsWith(`${id}/`)).length, 1, `one process has session ${number}`);
        }
        assert.deepEqual([...watch.doubled], [], "no session was locked by two");
        assert.deepEqual(forked(fleet.clis[0].home), []);
        for (const talk of talks) assert.ok(!talk.events.some(({ type, data }) => type === "session.resume" && data.alreadyInUse), `session ${talk.number}`);
    }

    /** Resumes a session as soon as it can be; returns how long that took since `from`. */
    async function comeBack(talk, client, limit, from, extra) {
        const refused = [];
        const session = await eventually(
            `session ${talk.number} is resumed`,
            () => client.resumeSession(talk.id, config(extra)).catch((error) => (refused.push(`${error.code} ${error.message}`), false)),
            from + limit - performance.now(),
        ).catch((error) => assert.fail(`${error.message}: ${refused.at(-1)}`));
        talk.attach(session);
        return performance.now() - from;
    }

    for (const ttl of TTLS) {
        it(`all of ${SESSIONS} sessions are resumed at the other within ${ttl} + 1 s`, async (t) => {
            const [lost, others] = await start(ttl);
            const talks = [];
            for (let number = 0; number < SESSIONS; number++) {
                talks.push(await Talk.open(lost[number % CLIENTS], config({ tools: [shout(number)] }), number));
                await talks.at(-1).say();
            }
            const homes = fleet.taps.map((tap) => census(tap).lives.size);
            // Some are in the middle of a turn: that turn ends with its client, what was stored before stays.
            const cut = talks.slice(0, 5);
            for (const talk of cut) {
                const running = next(talk.session, "assistant.message_delta");
                talk.session.send({ prompt: `[[delay:20000]] cut off in the middle` }).catch(() => {});
                await running;
            }
            fleet.proxies[0].child.killGroup("SIGKILL");
            await fleet.proxies[0].child.exited;
            const from = performance.now();
            const times = await Promise.all(talks.map((talk, at) => comeBack(talk, others[at % CLIENTS], ttl * 1_000 + 1_000, from, { tools: [shout(at)] })));
            t.diagnostic(`homes before: ${homes}; back after ${percentile(times, 0.5).toFixed(0)} ms (median), ${Math.max(...times).toFixed(0)} ms (last)`);
            for (const talk of talks.slice(cut.length)) await talk.check();
            for (const [number, talk] of talks.entries()) {
                const answer = (await talk.session.sendAndWait({ prompt: "[[tool:shout {}]] x" }, PATIENCE))?.data.content;
                assert.match(answer, new RegExp(`LOUD ${number}$`), "its tool is the new client's");
            }
            assertOneHome(talks);
        });
    }

    it("does not touch the sessions of the other", async () => {
        const [lost, others] = await start(3);
        const mine = [];
        for (let number = 0; number < 6; number++) mine.push(await Talk.open(others[number % CLIENTS], config(), `kept ${number}`));
        const shared = [];
        for (let number = 0; number < 4; number++) {
            const talk = await Talk.open(lost[number % CLIENTS], config(), `shared ${number}`);
            await talk.say();
            shared.push(talk.share(await others[number % CLIENTS].resumeSession(talk.id, config())));
        }
        const all = [...mine, ...shared];
        for (const talk of all) await talk.say();
        for (const talk of shared) talk.alone();
        const running = next(all[0].session, "assistant.message_delta");
        const turns = all.map((talk) => talk.say(1_500));
        await running;
        fleet.proxies[0].child.killGroup("SIGKILL");
        await fleet.proxies[0].child.exited;
        await Promise.all(turns);
        // Past the end of the dead one's leases.
        const end = performance.now() + 5_000;
        do for (const talk of all) await talk.say();
        while (performance.now() < end);
        for (const talk of all) await talk.check();
        for (const talk of all) talk.unnoticed();
        assertOneHome(all);
    });

    it("finds its parked sessions, too", async () => {
        const [lost, others] = await start(3, { max_live_sessions: 2 });
        const talks = [];
        for (let number = 0; number < 12; number++) {
            talks.push(await Talk.open(lost[number % CLIENTS], config(), number));
            await talks.at(-1).say();
        }
        fleet.proxies[0].child.killGroup("SIGKILL");
        await fleet.proxies[0].child.exited;
        const from = performance.now();
        for (const [at, talk] of talks.entries()) await comeBack(talk, others[at % CLIENTS], 4_000 + PATIENCE, from);
        for (const talk of talks) await talk.check();
        assert.deepEqual(forked(fleet.clis[0].home), []);
        assert.deepEqual([...watch.doubled], []);
    });

    it("or its sleep for longer than its leases leaves nothing with two homes", async (t) => {
        const [asleep, others] = await start(2);
        const talks = [];
        for (let number = 0; number < 8; number++) {
            talks.push(await Talk.open(asleep[number % CLIENTS], config(), number));
            await talks.at(-1).say();
        }
        const old = talks.map(({ session }) => session);
        await fleet.proxies[0].child.pause();
        const from = performance.now();
        const times = await Promise.all(talks.map((talk, at) => comeBack(talk, others[at % CLIENTS], 3_000, from)));
        t.diagnostic(`resumed after ${Math.max(...times).toFixed(0)} ms`);
        for (const talk of talks) await talk.say();
        await eventually("its leases are over", () => performance.now() > from + 3_000);
        const ends = talks.map(({ session }) => next(session, "session.idle"));
        ends.forEach((end) => end.catch(() => {}));
        const replies = old.map((session) => session.send({ prompt: "from the sleeper" }).then(() => "said", ({ code }) => code));
        fleet.proxies[0].child.signal("SIGCONT");
        const told = await Promise.all(replies);
        t.diagnostic(`after it woke up: ${told}`);
        // It may be let in again, at the one home, or be refused; nothing else.
        for (const [at, reply] of told.entries()) {
            assert.ok(["said", -32016, -32012].includes(reply), `${reply}`);
            if (reply === "said") await ends[at];
        }
        for (const talk of talks) await talk.say();
        assertOneHome(talks);
    });
});
