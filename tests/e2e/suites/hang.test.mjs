// A CLI that accepts and never answers (SIGSTOP) leaves the rotation in bounded time and comes back after SIGCONT.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { ask, eventually, PATIENCE, within } from "../lib/turns.mjs";

/** Milliseconds; the config below says the same. */
const INTERVAL = 500;
const TIMEOUT = 500;
const FALL = 3;
/** The probes' jitter, and what a loaded machine adds to reading the metrics. */
const SLACK = 500;

describe("SIGSTOP of a backend", { timeout: 5 * PATIENCE }, () => {
    let fleet;
    before(async () => {
        const health = { interval: `${INTERVAL}ms`, timeout: `${TIMEOUT}ms`, rise: 1, fall: FALL };
        fleet = await Fleet.start({ backends: 3, taps: true, target: "pilotfish", health });
        await eventually("all are up", () => up(3));
    });
    after(() => fleet?.stop());

    /** Whether so many backends are in rotation. */
    async function up(count) {
        const text = await (await fetch(`http://${fleet.proxy.admin}/metrics`)).text();
        const states = text.split("\n").filter((line) => line.startsWith("pilotfish_backend_up{"));
        assert.equal(states.length, 3, text);
        return states.filter((line) => line.endsWith(" 1")).length === count;
    }

    it("takes it out within interval x fall + timeout", async (t) => {
        const stopped = performance.now();
        fleet.clis[1].child.signal("SIGSTOP");
        await eventually("two are up", () => up(2));
        const took = performance.now() - stopped;
        t.diagnostic(`out of rotation after ${took.toFixed(0)} ms`);
        assert.ok(took <= INTERVAL * FALL + TIMEOUT + SLACK, `${took} ms`);
    });

    it("gives it no new session", async () => {
        const created = () => fleet.taps[1].requests().filter(([method]) => method === "session.create").length;
        const before = created();
        const client = await fleet.client();
        for (let number = 0; number < 9; number++) {
            const session = await client.createSession(fleet.session());
            assert.equal(await ask(session, `hello ${number}`), `You said: hello ${number}`);
        }
        assert.equal(created(), before);
    });

    it("takes it back after SIGCONT", async () => {
        fleet.clis[1].child.signal("SIGCONT");
        await within(INTERVAL * 2 + TIMEOUT + 5 * SLACK, "all are up", eventually("all are up", () => up(3)));
        const created = () => fleet.taps[1].requests().filter(([method]) => method === "session.create").length;
        const before = created();
        const client = await fleet.client();
        await eventually("a new session on it", async () => {
            await client.createSession(fleet.session());
            return created() > before;
        });
    });
});
