// SIGTERM while turns run: they end with their answers, whoever is new is refused, and the exit code is 0.
import assert from "node:assert/strict";
import net from "node:net";
import { afterEach, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { ask, eventually, next, PATIENCE, within } from "../lib/turns.mjs";

const TURNS = 20;
const DRAINING = -32017;

describe("SIGTERM of pilotfish", { timeout: 5 * PATIENCE }, () => {
    let fleet;
    afterEach(() => fleet?.stop());

    /** Starts `count` turns that take `ms` and returns, once all are running, the promises of their answers. */
    async function runningTurns(count, ms) {
        const client = await fleet.client();
        const turns = [];
        for (let number = 0; number < count; number++) {
            const session = await client.createSession(fleet.session({ streaming: true }));
            turns.push({ session, number });
        }
        const running = turns.map(({ session }) => next(session, "assistant.message_delta"));
        for (const turn of turns) {
            turn.answer = ask(turn.session, `[[delay:${ms}]] turn ${turn.number} of many words that take their time`);
            turn.answer.catch(() => {});
        }
        await Promise.all(running);
        return turns;
    }

    it("cuts no turn that ends in time", async () => {
        fleet = await Fleet.start({ backends: 3, target: "pilotfish" });
        const turns = await runningTurns(TURNS, 4_000);
        fleet.proxy.child.signal("SIGTERM");
        await eventually("new connections are refused", () => refused(fleet.proxy.door));
        const answers = await Promise.all(turns.map(({ answer }) => answer));
        for (const { number } of turns) {
            assert.equal(answers[number], `You said: turn ${number} of many words that take their time`);
        }
        assert.deepEqual(await within(10_000, "exit", fleet.proxy.child.exited), { code: 0, signal: null });
    });

    it("fails readiness first", async () => {
        fleet = await Fleet.start({ backends: 1, target: "pilotfish" });
        const ready = async () => (await fetch(`http://${fleet.proxy.admin}/readyz`)).status;
        await eventually("ready", async () => (await ready()) === 200);
        const [turn] = await runningTurns(1, 3_000);
        fleet.proxy.child.signal("SIGTERM");
        await eventually("not ready", async () => (await ready()) === 503);
        assert.equal((await fetch(`http://${fleet.proxy.admin}/livez`)).status, 200);
        await turn.answer;
        assert.equal((await fleet.proxy.child.exited).code, 0);
    });

    it("leaves at once when nothing runs", async () => {
        fleet = await Fleet.start({ backends: 1, target: "pilotfish" });
        const client = await fleet.client();
        await ask(await client.createSession(fleet.session()), "hello");
        fleet.proxy.child.signal("SIGTERM");
        assert.deepEqual(await within(3_000, "exit", fleet.proxy.child.exited), { code: 0, signal: null });
    });

    it("answers what is left at the deadline and exits", async () => {
        fleet = await Fleet.start({ backends: 1, target: "pilotfish", drain: `[shutdown]\ndrain_timeout = "1s"` });
        const [{ session, answer }] = await runningTurns(1, 20_000);
        const idle = next(session, "session.idle");
        const end = assert.rejects(answer);
        await fleet.clis[0].child.pause();
        const open = assert.rejects(session.getEvents(), { code: DRAINING });
        fleet.proxy.child.signal("SIGTERM");
        await within(4_000, "answers", Promise.all([open, idle, end]));
        assert.deepEqual(await within(4_000, "exit", fleet.proxy.child.exited), { code: 0, signal: null });
    });

    it("leaves at once at the second signal", async () => {
        fleet = await Fleet.start({ backends: 1, target: "pilotfish" });
        await runningTurns(1, 20_000);
        fleet.proxy.child.signal("SIGTERM");
        await eventually("new connections are refused", () => refused(fleet.proxy.door));
        fleet.proxy.child.signal("SIGTERM");
        await within(2_000, "exit", fleet.proxy.child.exited);
    });
});

function refused(address) {
    const [host, port] = address.split(":");
    return new Promise((resolve) => {
        const socket = net.connect({ host, port: Number(port) });
        socket.once("connect", () => (socket.destroy(), resolve(false)));
        socket.once("error", () => resolve(true));
    });
}
