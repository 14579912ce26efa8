// What docker-compose.yml describes, as processes: it comes up in order, SDKs talk through both pilotfish, Prometheus sees them, the
// board's questions have answers, and a stop in order loses no turn.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";

import { approveAll, CopilotClient, RuntimeConnection } from "@github/copilot-sdk";

import { read } from "../lib/deployment.mjs";
import { metric } from "../lib/metrics.mjs";
import { startModel } from "../lib/programs.mjs";
import { Talk } from "../lib/talk.mjs";
import { Topology } from "../lib/topology.mjs";
import { ask, eventually, next, PATIENCE, within } from "../lib/turns.mjs";

const SESSIONS = 12;
/** Panels whose subjects do not occur here: there are no tenants, no CLI that pilotfish started, and no discovery. */
const EMPTY = [
    "Refused by the wall between tenants", "Memory of supervised backends", "Backends that discovery tells of", "Answers to discovery",
    "What they changed",
];

describe("the topology of docker-compose.yml", { timeout: 8 * PATIENCE }, () => {
    let directory, model, topology, proxies;
    const clients = [];
    before(async () => {
        directory = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-topology-"));
        model = await startModel();
        topology = await Topology.start({
            directory,
            environment: { CLI_TOKEN: randomBytes(16).toString("hex") },
            more: { COPILOT_OFFLINE: "true", COPILOT_PROVIDER_BASE_URL: model.url, COPILOT_MODEL: "demo" },
        });
        proxies = topology.named("pilotfish-").map((service) => ({ ...service, address: `${service.host}:4321`, admin: `${service.host}:4320` }));
    });
    after(async () => {
        await Promise.all(clients.map((client) => client.forceStop()));
        await topology?.stop();
        await model?.child.stop();
        fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    });

    const session = (extra = {}) => ({ model: "demo", provider: { type: "openai", baseUrl: model.url }, onPermissionRequest: approveAll, ...extra });
    const connect = async ({ address }) => {
        const client = new CopilotClient({ connection: RuntimeConnection.forUri(address) });
        clients.push(client);
        await client.start();
        return client;
    };

    it("has two pilotfish, three CLIs on one home, Redis and Prometheus, all healthy", async () => {
        assert.deepEqual([...topology.services.keys()], ["cli-1", "cli-2", "cli-3", "pilotfish-1", "pilotfish-2", "redis", "prometheus"]);
        for (const service of topology.services.values()) assert.ok(await service.healthy(), service.name);
        const homes = new Set(topology.named("cli-").map(({ env }) => env.COPILOT_HOME));
        assert.deepEqual([...homes], [path.join(directory, "volumes/copilot-home")]);
        for (const proxy of proxies) {
            await eventually("three CLIs are up", async () => (await metric(proxy, "pilotfish_backend_up")) === 3);
            assert.equal(await metric(proxy, "pilotfish_store_up"), 1);
        }
    });

    it("has CLIs that ask for the token", async () => {
        const [cli] = topology.named("cli-");
        const client = new CopilotClient({ connection: RuntimeConnection.forUri(`${cli.host}:4321`, { connectionToken: "another one" }) });
        await assert.rejects(client.start(), /AUTHENTICATION_FAILED/);
        await client.forceStop();
    });

    it("lets conversations go on at either pilotfish", async () => {
        const [one, two] = await Promise.all(proxies.map(connect));
        for (let number = 0; number < SESSIONS; number++) {
            const [here, there] = number % 2 ? [one, two] : [two, one];
            const talk = await Talk.open(here, session(), number);
            await talk.say();
            const id = talk.id;
            await talk.session.disconnect();
            talk.alone().attach(await there.resumeSession(id, session()));
            await talk.say();
            await talk.check();
        }
        const used = await Promise.all(topology.named("cli-").map(({ name }) => metric(proxies[0], "pilotfish_backend_served_sessions", { backend: name })));
        assert.ok(used.every((count) => count > 0), `${used}`);
    });

    it("is seen by Prometheus, and the board's questions have answers", async () => {
        const prometheus = topology.services.get("prometheus");
        const query = async (expression) => {
            const url = `http://${prometheus.host}:9090/api/v1/query?query=${encodeURIComponent(expression)}`;
            const answer = await (await fetch(url)).json();
            assert.equal(answer.status, "success", `${expression}: ${answer.error}`);
            return answer.data.result;
        };
        const instances = async () => (await query('up{job="pilotfish"} == 1')).map(({ metric }) => metric.instance).sort();
        const wanted = proxies.map(({ admin }) => admin).sort();
        await eventually("both are scraped", async () => `${await instances()}` === `${wanted}`);
        await eventually("they were scraped with the conversations", async () => Number((await query("sum(pilotfish_turns_total)"))[0]?.value[1]) >= 3 * SESSIONS);
        const rules = await (await fetch(`http://${prometheus.host}:9090/api/v1/rules`)).json();
        assert.equal(rules.data.groups[0].rules.length, read("conf/prometheus/rules.yml").match(/- alert:/g).length);
        const firing = rules.data.groups[0].rules.filter(({ state }) => state === "firing").map(({ name }) => name);
        assert.deepEqual(firing, []);
        // Quantiles and rates want two scrapes.
        await eventually("a second scrape", async () => Number((await query("min(count_over_time(pilotfish_build_info[1m]))"))[0]?.value[1]) >= 2);
        const board = JSON.parse(read("conf/grafana/dashboards/pilotfish.json"));
        const empty = [];
        for (const { title, targets = [] } of board.panels) {
            for (const { expr } of targets) {
                const filled = expr.replace(/"\$(instance|pool)"/g, '".*"').replaceAll("$__rate_interval", "1m");
                if ((await query(filled)).length === 0) empty.push(title);
            }
        }
        assert.deepEqual(empty, EMPTY);
    });

    it("stops in order and loses no turn", async () => {
        const turns = [];
        for (const proxy of proxies) {
            const client = await connect(proxy);
            for (let number = 0; number < 3; number++) {
                const running = await client.createSession(session({ streaming: true }));
                const begun = next(running, "assistant.message_delta");
                const text = `turn ${number} of ${proxy.name} takes many words and some time`;
                const answer = ask(running, `[[delay:5000]] ${text}`);
                answer.catch(() => {});
                turns.push({ text, answer, begun });
            }
        }
        await Promise.all(turns.map(({ begun }) => begun));
        const stopped = topology.stop();
        for (const { text, answer } of turns) assert.equal(await answer, `You said: ${text}`);
        const ends = await within(2 * PATIENCE, "the stop", stopped);
        for (const [name, { code, signal }] of ends) {
            assert.notEqual(signal, "SIGKILL", `${name} had to be killed`);
            if (name.startsWith("pilotfish")) assert.equal(code, 0, name);
        }
        const order = [...ends.keys()];
        const last = Math.max(...proxies.map(({ name }) => order.indexOf(name)));
        for (const name of ["cli-1", "cli-2", "cli-3", "redis"]) assert.ok(order.indexOf(name) > last, `${order}`);
    });
});
