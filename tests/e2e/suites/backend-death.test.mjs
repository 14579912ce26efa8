// A CLI is killed while requests are open and turns are running: nobody hangs, nobody else notices.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { ask, eventually, next, PATIENCE, percentile, record, within } from "../lib/turns.mjs";

const SESSIONS = 24;
const OPEN_REQUESTS = 20;
const BACKEND_LOST = -32011;

describe("SIGKILL of a backend", { timeout: 5 * PATIENCE }, () => {
    let fleet, client, others, victim, hit, spared;
    before(async () => {
        fleet = await Fleet.start({ backends: 3, taps: true, target: "pilotfish" });
        [client, others] = await Promise.all([fleet.client(), fleet.client()]);
        const turns = [];
        for (let number = 0; number < SESSIONS; number++) turns.push(await startTurn(number));
        await Promise.all(turns.map(({ running }) => running));
        const counts = fleet.taps.map((tap) => turns.filter((turn) => isHome(tap, turn)).length);
        victim = counts.indexOf(Math.max(...counts));
        hit = turns.filter((turn) => isHome(fleet.taps[victim], turn));
        spared = turns.filter((turn) => !hit.includes(turn));
    });
    after(() => fleet?.stop());

    /** Starts a turn of some seconds in a session of its own; `running` is there at its first delta. */
    async function startTurn(number) {
        const session = await (number % 2 ? client : others).createSession(fleet.session({ streaming: true }));
        const running = next(session, "assistant.message_delta");
        const idle = next(session, "session.idle");
        const events = record(session);
        await session.send({ prompt: `[[delay:10000]] turn ${number}` });
        return { session, number, events, running, idle };
    }

    const isHome = (tap, { session }) => tap.requests().some(([, id]) => id === session.sessionId);

    const texts = ({ events }) => events.filter(({ type }) => type === "assistant.message").map(({ data }) => data.content);
    const errors = ({ events }) => events.filter(({ type }) => type === "session.error");

    it("answers every open request with backend_lost within 100 ms", async (t) => {
        const tap = fleet.taps[victim];
        fleet.clis[victim].child.signal("SIGSTOP");
        const asked = () => tap.requests().filter(([method]) => method === "session.getMessages").length;
        const before = asked();
        const answers = Array.from({ length: OPEN_REQUESTS }, (_, index) => {
            const answer = hit[index % hit.length].session.getEvents();
            return answer.then(
                () => assert.fail("a stopped CLI has answered"),
                (error) => ({ error, at: performance.now() }),
            );
        });
        await eventually("all requests are with the backend", () => asked() - before === OPEN_REQUESTS);
        const killed = performance.now();
        fleet.clis[victim].child.signal("SIGKILL");
        const settled = await within(1_000, "all answers", Promise.all(answers));
        for (const { error } of settled) {
            assert.equal(error.code, BACKEND_LOST, error.message);
            assert.equal(error.data.reason, "backend_lost");
            assert.equal(error.data.executed, "unknown");
        }
        // The kernel closes a killed process's sockets only after it has freed its memory (15 to 110 ms for an idle CLI,
        // measured in November 2026); nobody can answer before that.
        const latency = percentile(settled.map(({ at }) => at - tap.backendGone), 0.99);
        t.diagnostic(`p99 from the end of the backend's connections to the answer: ${latency.toFixed(1)} ms`);
        t.diagnostic(`from SIGKILL to that end: ${(tap.backendGone - killed).toFixed(1)} ms`);
        assert.ok(latency <= 100, `${latency} ms`);
    });

    it("ends every cut turn with an error and idle", async () => {
        await within(1_000, "idle of all cut turns", Promise.all(hit.map(({ idle }) => idle)));
        for (const turn of hit) {
            const ends = turn.events.map(({ type }) => type).filter((type) => /^session\.(error|idle)$/.test(type));
            assert.deepEqual(ends, ["session.error", "session.idle"], `turn ${turn.number}`);
        }
    });

    it("keeps the clients' connections", async () => {
        for (const connected of [client, others]) {
            assert.equal((await within(1_000, "ping", connected.ping("still here"))).message, "pong: still here");
        }
    });

    it("lets the other backends' turns end as if nothing had been", async () => {
        await Promise.all(spared.map(({ idle }) => idle));
        for (const turn of spared) {
            assert.deepEqual(texts(turn), [`You said: turn ${turn.number}`]);
            assert.deepEqual(errors(turn), []);
        }
    });

    it("gives new sessions to the others", async () => {
        const seen = fleet.taps[victim].requests().length;
        for (let number = 0; number < 6; number++) {
            const session = await client.createSession(fleet.session());
            assert.equal(await ask(session, `new ${number}`), `You said: new ${number}`);
        }
        assert.equal(fleet.taps[victim].requests().length, seen);
    });

    it("resumes a cut session elsewhere on the shared home", async () => {
        const [{ session }] = hit;
        const again = await client.resumeSession(session.sessionId, fleet.session());
        assert.equal(await ask(again, "hello again"), "You said: hello again");
    });

    it("uses the backend again once it is back", async () => {
        const tap = fleet.taps[victim];
        const seen = tap.requests().length;
        await fleet.revive(victim);
        await eventually("a new session on the revived backend", async () => {
            await client.createSession(fleet.session());
            return tap.requests().length > seen;
        });
    });
});
