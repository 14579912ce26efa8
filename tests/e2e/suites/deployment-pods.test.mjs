// What conf/kubernetes relies on, without a cluster: its config follows the SRV records of a headless service, and a CLI's pod that
// leaves them and waits in its preStop loses no turn and no session.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";

import { approveAll, CopilotClient, RuntimeConnection } from "@github/copilot-sdk";

import { dockerfile } from "../lib/compose.mjs";
import { manifest, manifests, read, rendered, secretsOf } from "../lib/deployment.mjs";
import { HeadlessService } from "../lib/headless-service.mjs";
import { metric } from "../lib/metrics.mjs";
import { Child } from "../lib/processes.mjs";
import { copilot, operate, root, startModel, startProxy } from "../lib/programs.mjs";
import { freePort, Redis } from "../lib/redis.mjs";
import { Talk } from "../lib/talk.mjs";
import { eventually, next, PATIENCE, within } from "../lib/turns.mjs";

const CONFIG = "conf/kubernetes/pilotfish.toml";
const DOMAIN = "pilotfish.svc.cluster.test";
const TALKS = 9;

describe("pods of CLIs", { timeout: 8 * PATIENCE }, () => {
    let directory, model, redis, dns, proxy, client, preStop;
    const token = randomBytes(16).toString("hex");
    const pods = new Map();
    const talks = [];
    before(async () => {
        directory = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-pods-"));
        const set = manifest(manifests(rendered(directory)), "StatefulSet", "copilot-cli");
        preStop = set.spec.template.spec.containers[0].lifecycle.preStop.exec.command;
        [model, redis] = await Promise.all([startModel(), Redis.start(directory)]);
        const [, service] = /dns = "(.*)"/.exec(read(CONFIG));
        dns = await HeadlessService.start(`${service}.${DOMAIN}`);
        await Promise.all([0, 1, 2].map(add));
        await dns.tell([...pods.values()]);
        const config = read(CONFIG)
            .replace("0.0.0.0:4320", "127.0.0.1:0")
            .replace("0.0.0.0:4321", "127.0.0.1:0")
            .replace("redis:6379", redis.address)
            .replace(`dns = "${service}"`, `dns = "${dns.service}"\nresolvers = ["${dns.address}"]`);
        proxy = await startProxy({ config, directory, env: Object.fromEntries(secretsOf(CONFIG).map((name) => [name, token])) });
        client = new CopilotClient({ connection: RuntimeConnection.forUri(proxy.address, { connectionToken: token }) });
        await client.start();
    });
    after(async () => {
        await client?.forceStop();
        await proxy?.child.stop();
        await Promise.all([...pods.values()].map(({ child }) => child.stop()));
        await dns?.stop();
        await redis?.stop();
        await model?.child.stop();
        fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    });

    /** Starts the CLI of a pod as its image does. Pods have addresses of their own, and ports, too: there is one network here. */
    async function add(number) {
        const name = `copilot-cli-${number}`;
        const [host, port] = [`127.0.73.${number + 10}`, await freePort()];
        const adapt = (word, at, all) => ({ "--host": host, "--port": String(port) })[all[at - 1]] ?? word;
        const home = path.join(directory, "home");
        fs.mkdirSync(home, { recursive: true });
        const env = { COPILOT_HOME: home, COPILOT_CONNECTION_TOKEN: token, COPILOT_OFFLINE: "true", COPILOT_PROVIDER_BASE_URL: model.url, COPILOT_MODEL: "demo" };
        const child = new Child(name, copilot, dockerfile("conf/docker/copilot-cli.Dockerfile").cmd.map(adapt), { cwd: home, env });
        pods.set(name, { name, host, port, child });
        await child.line(/listening on port/);
    }

    const session = (extra = {}) => ({ model: "demo", provider: { type: "openai", baseUrl: model.url }, onPermissionRequest: approveAll, streaming: true, ...extra });
    const sessionsAt = (name) => metric(proxy, "pilotfish_sessions", { backend: name });

    it("are found by their names", async () => {
        await eventually("it is ready with three backends", async () => {
            const { code, stdout } = await operate(proxy, "status");
            return code === 0 && [0, 1, 2].every((number) => stdout.includes(`copilot-cli-${number}: up`));
        });
        for (let number = 0; number < TALKS; number++) talks.push(await Talk.open(client, session(), number));
        for (const talk of talks) await talk.say();
    });

    it("stop without a lost turn or session", async () => {
        const stopped = pods.get("copilot-cli-1");
        await eventually("it has some of the sessions", async () => (await sessionsAt(stopped.name)) > 0);
        const begun = talks.map(({ session }) => next(session, "assistant.message_delta"));
        const answers = talks.map((talk) => talk.say(4_000));
        for (const answer of answers) answer.catch(() => {});
        await Promise.all(begun);
        pods.delete(stopped.name);
        await dns.tell([...pods.values()]);
        const [script, , seconds] = preStop;
        const waiting = new Child("preStop", path.join(root, "conf/docker", script), [String(stopped.port), seconds]);
        await Promise.race([Promise.all(answers), waiting.exited]);
        assert.ok(waiting.running, "it waits for the turns");
        await Promise.all(answers);
        assert.equal((await within(2 * PATIENCE, "the preStop", waiting.exited)).code, 0);
        await stopped.child.stop();
        for (const talk of talks) {
            await talk.say();
            talk.unnoticed();
        }
        const { stdout } = await operate(proxy, "status");
        assert.ok(!stdout.includes(stopped.name), stdout);
    });

    it("take sessions when they are new", async () => {
        await add(3);
        await dns.tell([...pods.values()]);
        await eventually("it is up", async () => (await operate(proxy, "status")).stdout.includes("copilot-cli-3: up"));
        await eventually("it has a session", async () => {
            const talk = await Talk.open(client, session(), talks.length);
            talks.push(talk);
            await talk.say();
            return (await sessionsAt("copilot-cli-3")) > 0;
        });
        for (const talk of talks) await talk.check();
    });
});
