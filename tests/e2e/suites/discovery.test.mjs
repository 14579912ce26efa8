// Real CLIs on addresses of their own, found by a real name server whose answers change under live sessions and turns.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, it } from "node:test";

import { Dnsmasq, service } from "../lib/dnsmasq.mjs";
import { Fleet } from "../lib/fleet.mjs";
import { operate, startCli, startModel, startProxy } from "../lib/programs.mjs";
import { ask, eventually, next, PATIENCE, record } from "../lib/turns.mjs";

const hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];

describe("backends that DNS finds", { timeout: 10 * PATIENCE }, () => {
    let fleet, dns;
    afterEach(async () => {
        await fleet?.stop();
        await dns?.stop();
    });

    /** CLIs on these addresses with one home and one port, and pilotfish, which asks dnsmasq for `told` of them. */
    async function start(told) {
        fleet = new Fleet();
        fleet.directory = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-e2e-"));
        fleet.home = path.join(fleet.directory, "home");
        fs.mkdirSync(fleet.home);
        fleet.model = await startModel();
        let port = 0;
        for (const [index, host] of hosts.entries()) {
            fleet.clis.push(await cli(`cli-${index + 1}`, host, port));
            port = fleet.clis[0].port;
        }
        dns = await Dnsmasq.start(fleet.directory, named(told));
        const config = `
[admin]
bind = "127.0.0.1:0"
[[listener]]
name = "sdk"
bind = "127.0.0.1:0"
pool = "copilot"
[pool.copilot]
storage = "shared"
discovery = { dns = "${service}", port = ${port}, resolvers = ["127.0.0.1:${dns.port}"], min_ttl = "200ms", timeout = "1s" }
[pool.copilot.health]
interval = "500ms"
timeout = "1s"
rise = 1
slow_start = "0s"
`;
        fleet.proxies.push(await startProxy({ config, directory: fleet.directory }));
        fleet.address = fleet.proxy.address;
        await until(Object.fromEntries(told.map((number) => [`cli-${number}`, "up"])));
    }

    const cli = (name, host, port) => startCli({ name, home: fleet.home, model: fleet.model, host, port });
    const named = (numbers) => Object.fromEntries(numbers.map((number) => [`cli-${number}`, hosts[number - 1]]));
    const pool = async () => (await (await fetch(`http://${fleet.proxy.admin}/status`)).json()).pools[0];
    const metrics = async () => (await fetch(`http://${fleet.proxy.admin}/metrics`)).text();

    /** Waits until the backends are these, in these states. */
    function until(wanted) {
        const seen = async () => Object.fromEntries((await pool()).backends.map(({ name, state }) => [name, state]).sort());
        return eventually(JSON.stringify(wanted), async () => JSON.stringify(await seen()) === JSON.stringify(wanted));
    }

    /** Waits until the name server was asked twice more with this outcome. */
    async function asked(outcome) {
        const count = async () => Number(new RegExp(`discovery_updates_total\\{outcome="${outcome}",pool="copilot"\\} (\\d+)`).exec(await metrics())[1]);
        const before = await count();
        await eventually(`asked: ${outcome}`, async () => (await count()) >= before + 2);
    }

    /** The backends that have sessions, by name. */
    const spread = async () => Object.fromEntries((await pool()).backends.map(({ name, sessions }) => [name, sessions]));

    /** The backend that a new session is placed at. */
    async function placed(client, sessionId) {
        const before = await spread();
        const session = await client.createSession(fleet.session({ sessionId, streaming: true }));
        const after = await spread();
        const [home] = Object.keys(after).filter((name) => after[name] > (before[name] ?? 0));
        return { session, home };
    }

    function assertWhole(events) {
        const bad = events.filter(({ type }) => /^session\.(error|shutdown)$|^abort$/.test(type));
        assert.deepEqual(bad, []);
        const ids = events.map(({ id }) => id);
        assert.equal(new Set(ids).size, ids.length, "no event twice");
    }

    const long = (word) => `[[delay:4000]] ${word} is a long story with many words`;
    const told = (word) => `You said: ${word} is a long story with many words`;

    it("come, leave, change their addresses, and nobody's turn is cut", async () => {
        await start([1, 2]);
        const client = await fleet.client();
        const sessions = [];
        for (let number = 0; sessions.filter(({ home }) => home === "cli-1").length < 2 || !sessions.some(({ home }) => home === "cli-2"); number++) {
            assert.ok(number < 30, "ids spread over both");
            sessions.push({ ...(await placed(client, `found-${number}`)), id: `found-${number}` });
            sessions.at(-1).events = record(sessions.at(-1).session);
            await ask(sessions.at(-1).session, `first of ${number}`);
        }
        const [one, idle] = sessions.filter(({ home }) => home === "cli-1");
        const two = sessions.find(({ home }) => home === "cli-2");
        const begin = async ({ session }, word) => {
            const running = next(session, "assistant.message_delta");
            const answer = ask(session, long(word));
            await running;
            return answer;
        };

        // One more joins.
        const first = [begin(one, "one"), begin(two, "two")];
        await dns.set(named([1, 2, 3]));
        await until({ "cli-1": "up", "cli-2": "up", "cli-3": "up" });
        assert.deepEqual(await Promise.all(first), [told("one"), told("two")]);

        // One leaves in the middle of a turn: it is drained, and then it is gone.
        const second = begin(one, "three");
        await next(one.session, "assistant.message_delta");
        await dns.set(named([2, 3]));
        await until({ "cli-1": "draining", "cli-2": "up", "cli-3": "up" });
        assert.equal(await second, told("three"));
        await until({ "cli-2": "up", "cli-3": "up" });
        assert.ok(!(await metrics()).includes('backend="cli-1"'), "its series are gone");
        assert.equal(await ask(one.session, "one again"), "You said: one again");
        assert.equal(await ask(idle.session, "idle again"), "You said: idle again");

        // It comes back, with the same place.
        await dns.set(named([1, 2, 3]));
        await until({ "cli-1": "up", "cli-2": "up", "cli-3": "up" });

        // Its process ends, and another one of that name comes at another address: an id that hashes there still does.
        const before = await placed(client, "placed-by-name-before");
        await before.session.disconnect();
        const moved = await cli("cli-1", "127.0.0.9", fleet.clis[0].port);
        const third = begin(two, "four");
        await fleet.clis[0].child.stop();
        fleet.clis[0] = moved;
        await dns.set({ ...named([2, 3]), "cli-1": "127.0.0.9" });
        await eventually("its new address", async () => (await pool()).backends.some(({ name, address, state }) => name === "cli-1" && address.startsWith("127.0.0.9:") && state === "up"));
        assert.equal(await third, told("four"));
        const again = await placed(client, "placed-by-name-before");
        assert.equal(again.home, before.home);
        for (const { events } of sessions) assertWhole(events);
    });

    it("stay as they are while the name server has nothing to say, or says nothing", async () => {
        await start([1, 2]);
        const client = await fleet.client();
        const { session, home } = await placed(client, "steady");
        const events = record(session);
        await ask(session, "first");
        const answers = [];
        for (const [number, [outcome, change]] of [["no_name", () => dns.set({})], ["timeout", () => dns.hang()]].entries()) {
            const running = next(session, "assistant.message_delta");
            const answer = ask(session, long(`story ${number}`));
            await running;
            await change();
            await asked(outcome);
            await until({ "cli-1": "up", "cli-2": "up" });
            answers.push(await answer);
        }
        assert.deepEqual(answers, [told("story 0"), told("story 1")]);
        dns.wake();
        await dns.set(named([1, 2]));
        await asked("ok");
        assert.equal((await spread())[home], 1);
        const { discovery } = await pool();
        assert.equal(discovery.source, `dns ${service}`);
        assert.ok(discovery.last_failure, "what was wrong is told");
        assertWhole(events);
        const { code, stdout } = await operate(fleet.proxy, "drain", "cli-1", "--wait", "--timeout", "10s");
        assert.equal(code, 0, stdout);
    });
});
