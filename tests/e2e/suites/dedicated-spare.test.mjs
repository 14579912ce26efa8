// A CLI that was started before anybody needed it becomes somebody's own.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, describe, it } from "node:test";

import { approveAll } from "@github/copilot-sdk";

import { Dedicated, descendants, environmentOf } from "../lib/dedicated.mjs";
import { metric } from "../lib/metrics.mjs";
import { ask, eventually, PATIENCE } from "../lib/turns.mjs";

const people = Array.from({ length: 8 }, (_, number) => `p${number + 1}`);
const token = (who) => `gho_token-of-${who}`;
const root = process.getuid() === 0;

/** From nothing to the answer to the first request of somebody whom the fleet does not know yet. */
async function firstAnswer(fleet, who) {
    const start = performance.now();
    const client = await fleet.clientOf(who);
    await client.createSession(fleet.session({ sessionId: "first" }));
    return performance.now() - start;
}

/** Starts a fleet in whose folder everybody has a token. */
function fleetWith(instances) {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-e2e-"));
    fs.mkdirSync(path.join(directory, "tokens"));
    for (const who of people) fs.writeFileSync(path.join(directory, "tokens", who), `${token(who)}\n`, { mode: 0o600 });
    const token_file = path.join(directory, "tokens", "{tenant}");
    return Dedicated.start({ directory, people, instances: { max_instances: 10, idle_stop: "0s", token_file, ...(root && { uid_range: "20000-20099" }), ...instances } });
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

describe("a warm spare", { timeout: 10 * PATIENCE }, () => {
    let fleet;
    before(async () => {
        fleet = await fleetWith({ warm_spares: 1 });
    });
    afterEach(() => fleet.dropClients());
    after(() => fleet?.stop());

    it("answers a new tenant within 0.3 of the time of a cold start", async () => {
        const cold = await fleetWith({});
        const times = { cold: [], warm: [] };
        try {
            for (const who of people.slice(0, 4)) {
                times.cold.push(await firstAnswer(cold, who));
                await spareReady(fleet);
                times.warm.push(await firstAnswer(fleet, who));
            }
        } finally {
            await cold.stop();
        }
        console.log(`first answer: cold ${times.cold.map(Math.round)} ms, warm ${times.warm.map(Math.round)} ms`);
        assert.ok(median(times.warm) <= 0.3 * median(times.cold), JSON.stringify(times));
        assert.equal(await metric(fleet.proxy, "pilotfish_instance_starts_total", { outcome: "warm" }), 4);
    });

    it("has the home, the token and the user of its owner, and nothing of anybody else", async () => {
        await spareReady(fleet);
        const [who, other] = ["p5", "p1"];
        const client = await fleet.clientOf(who);
        const session = await client.createSession(fleet.session({ sessionId: "inside", onPermissionRequest: approveAll }));
        const script = `cat /proc/$PPID/environ; echo home=$COPILOT_HOME,$HOME; id -u; cat ${fleet.home(other)}/config.json`;
        const said = await ask(session, `[[tool:bash ${JSON.stringify({ command: script, description: "look" })}]]`);
        assert.ok(said.includes(`home=${fleet.home(who)},${fleet.home(who)}`), said);
        const uid = fs.statSync(fleet.home(who)).uid;
        if (root) assert.ok(uid >= 20000 && said.includes("Permission denied") && said.split(/\\n|\n/).includes(String(uid)), said);
        assert.ok(fs.existsSync(path.join(fleet.home(who), "session-state", "inside")));
        const { pid } = await fleet.instanceOf(who);
        // The CLI keeps its token from the shells that it starts.
        const environment = environmentOf(pid);
        assert.equal(environment.COPILOT_GITHUB_TOKEN, token(who));
        assert.deepEqual([environment.COPILOT_HOME, environment.HOME], [fleet.home(who), fleet.home(who)]);
        assert.ok(!Object.keys(environment).some((name) => name.includes("SPARE")));
        const users = fs.readdirSync(`/proc/${pid}/task`).map((task) => /^Uid:\s+(.*)$/m.exec(fs.readFileSync(`/proc/${pid}/task/${task}/status`, "utf8"))[1]);
        assert.deepEqual([...new Set(users)], [[uid, uid, uid, uid].join("\t")]);
        const command = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8");
        assert.ok(!command.includes("gho_"));
    });

    it("ends with its guard, even when pilotfish sees nothing of that", async () => {
        await spareReady(fleet);
        await firstAnswer(fleet, "p6");
        await eventually("there is no spare", async () => !((await fleet.status()).instances ?? []).some(({ phase }) => phase === "spare"));
        const pids = [(await fleet.instanceOf("p6")).pid];
        const cold = people.find((who) => who === "p7");
        await firstAnswer(fleet, cold);
        pids.push((await fleet.instanceOf(cold)).pid);
        process.kill(fleet.proxy.child.pid, "SIGSTOP");
        try {
            for (const pid of pids) {
                const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
                process.kill(Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]), "SIGKILL");
            }
            // Its new parent, pilotfish or whoever, may be too busy to take it in.
            const ended = (pid) => !fs.existsSync(`/proc/${pid}`) || /^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, "utf8"));
            await eventually("both have ended", () => pids.every(ended));
        } finally {
            process.kill(fleet.proxy.child.pid, "SIGCONT");
        }
    });

    it("is not left behind by a killed pilotfish", async () => {
        await spareReady(fleet);
        const pids = descendants(fleet.proxy.child.pid);
        assert.ok(pids.length > 4);
        process.kill(fleet.proxy.child.pid, "SIGKILL");
        await eventually("all of it has ended", () => pids.every((pid) => !fs.existsSync(`/proc/${pid}`)));
    });
});

/** Waits until a spare of the fleet is ready. */
async function spareReady(fleet) {
    await eventually("a spare is ready", async () => ((await fleet.status()).instances ?? []).some(({ phase }) => phase === "spare"));
}
