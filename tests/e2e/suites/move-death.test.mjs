// A CLI is killed ten times under conversations, at moments of chance: idle sessions go on elsewhere, busy ones say so and go on.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { ask, eventually, next, PATIENCE, record, within } from "../lib/turns.mjs";

const KILLS = 10;
const SESSIONS = 8;

describe("ten deaths", { timeout: 10 * PATIENCE }, () => {
    let fleet, client;
    before(async () => {
        fleet = await Fleet.start({ backends: 3, taps: true, target: "pilotfish", health: { interval: "500ms" } });
        client = await fleet.client();
    });
    after(() => fleet?.stop());

    const ended = (answer) => answer.then((text) => ({ text }), (error) => ({ error, at: performance.now() }));

    it("are survived by every session", async (t) => {
        const talks = [];
        for (let number = 0; number < SESSIONS; number++) {
            const session = await client.createSession(fleet.session({ streaming: true }));
            await ask(session, `first of ${number}`);
            talks.push({ number, session, done: [`first of ${number}`], events: record(session) });
        }
        let seed = 20261125;
        const chance = (below) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
        const latency = [];
        for (let kill = 0; kill < KILLS; kill++) {
            const victim = kill % 3;
            // Every other session is in a turn when the blow falls.
            const busy = talks.filter((_, at) => (at + kill) % 2 === 0);
            const idle = talks.filter((talk) => !busy.includes(talk));
            const turns = busy.map((talk) => {
                const prompt = `[[delay:1500]] turn ${kill} of ${talk.number}`;
                return { talk, prompt, running: next(talk.session, "assistant.turn_start"), answer: ended(ask(talk.session, prompt)) };
            });
            await Promise.all(turns.map(({ running }) => running));
            await new Promise((resolve) => setTimeout(resolve, chance(600)));
            fleet.clis[victim].child.signal("SIGKILL");
            await eventually("the dead one's connections are gone", () => fleet.taps[victim].backendGone);
            const gone = performance.now();
            await Promise.all(
                idle.map(async (talk) => {
                    const began = performance.now();
                    await within(3_000, `call of idle session ${talk.number}`, talk.session.getEvents());
                    latency.push(performance.now() - began);
                }),
            );
            for (const { talk, prompt, answer } of turns) {
                const outcome = await within(PATIENCE, "the turn's end", answer);
                if (outcome.error) {
                    assert.match(outcome.error.message, /backend/, outcome.error.message);
                    assert.ok(outcome.at - gone < 1_000, `rejected after ${outcome.at - gone} ms`);
                    // The SDK rejects at the error; the idle event behind it would be taken for the end of the next prompt.
                    const last = (type) => talk.events.findLastIndex((event) => event.type === type);
                    await eventually("the idle behind the error", () => last("session.idle") > last("session.error"));
                } else talk.done.push(prompt);
            }
            for (const talk of talks) {
                const prompt = `after ${kill} of ${talk.number}`;
                assert.equal(await ask(talk.session, prompt), `You said: ${prompt}`);
                talk.done.push(prompt);
            }
            await fleet.revive(victim);
            fleet.taps[victim].backendGone = undefined;
            await eventually("it is back", async () => (await fleet.backendsUp()) === 3);
        }
        t.diagnostic(`idle sessions' next call after a death: at most ${Math.max(...latency).toFixed(0)} ms`);
        for (const { number, session, done, events } of talks) {
            const ids = events.map(({ id }) => id);
            assert.equal(new Set(ids).size, ids.length, `session ${number}: no event twice`);
            const told = (await session.getEvents()).filter(({ type }) => type === "user.message").map(({ data }) => data.content);
            for (const prompt of done) assert.equal(told.filter((text) => text === prompt).length, 1, `session ${number}: ${prompt}`);
            assert.deepEqual(told.filter((text) => done.includes(text)), done, `session ${number}: in order`);
            assert.equal(new Set(told).size, told.length, `session ${number}: nothing ran twice`);
        }
    });

    it("do not lose a session that has not said a word yet", async () => {
        const sessions = [];
        for (let number = 0; number < 6; number++) sessions.push(await client.createSession(fleet.session()));
        for (const victim of [0, 1]) {
            fleet.clis[victim].child.signal("SIGKILL");
            await fleet.clis[victim].child.exited;
        }
        for (const [number, session] of sessions.entries()) {
            assert.equal(await ask(session, `word ${number}`), `You said: word ${number}`);
        }
    });
});
