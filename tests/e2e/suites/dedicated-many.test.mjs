// Twenty users, eight places: each has a real CLI of its own with its own home, token and user, whatever happens to the others.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";

import { approveAll } from "@github/copilot-sdk";

import { Dedicated, environmentOf } from "../lib/dedicated.mjs";
import { copilot } from "../lib/programs.mjs";
import { table } from "../lib/settings.mjs";
import { Talk } from "../lib/talk.mjs";
import { ask, eventually, PATIENCE } from "../lib/turns.mjs";

const people = Array.from({ length: 20 }, (_, number) => `corp/u${number + 1}`);
const most = 8;
const root = process.getuid() === 0;
const token = (who, version = 1) => `gho_${version}-of-${who.replace("/", "-")}`;

describe("twenty users with a CLI of their own each", { timeout: 20 * PATIENCE }, () => {
    let fleet;
    const talks = new Map();
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-e2e-"));
    const tokenFile = (who) => path.join(folder, "tokens", who.replace("/", "."));

    before(async () => {
        fs.mkdirSync(path.join(folder, "tokens"));
        for (const who of people) fs.writeFileSync(tokenFile(who), `${token(who)}\n`, { mode: 0o600 });
        // Whoever has a file `crash` in its home has a CLI that ends at once.
        const command = path.join(folder, "copilot-that-may-crash");
        fs.writeFileSync(command, `#!/bin/sh\n[ -e "$COPILOT_HOME/crash" ] && exit 9\nexec ${copilot} "$@"\n`, { mode: 0o755 });
        fleet = await Dedicated.start({
            directory: folder,
            people,
            isolation: "user",
            command: [command, "--headless", "--port", "{port}", "--no-auto-update"],
            instances: {
                max_instances: most,
                idle_stop: "20s",
                queue_timeout: "60s",
                token_file: path.join(folder, "tokens", "{tenant}.{user}"),
                token_check: "500ms",
                ...(root && { uid_range: "21000-21019" }),
            },
            limits: { open_files: 2048 },
            tables: table("pool.own.supervise.restart_backoff", { min: "100ms", max: "1s" }),
        });
    });
    after(() => fleet?.stop());

    const running = async () => (await fleet.status()).instances.filter(({ pid }) => pid !== undefined);

    it("each gets its own process, home, token and user", async () => {
        const seen = new Map();
        const look = async (who) => {
            const { pid } = await fleet.instanceOf(who);
            const environment = environmentOf(pid);
            assert.equal(environment.COPILOT_GITHUB_TOKEN, token(who));
            assert.equal(environment.COPILOT_HOME, fleet.home(who));
            assert.equal(environment.HOME, fleet.home(who));
            for (const other of people.filter((other) => other !== who)) {
                assert.ok(!Object.values(environment).some((value) => value.includes(`${token(other)}\0`) || value === token(other)));
            }
            const uid = fs.statSync(`/proc/${pid}`).uid;
            assert.match(fs.readFileSync(`/proc/${pid}/limits`, "utf8"), /Max open files\s+2048\s+2048/);
            assert.equal(fs.statSync(fleet.home(who)).mode & 0o777, 0o700);
            assert.equal(fs.statSync(fleet.home(who)).uid, uid);
            assert.ok(!fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("gho_"));
            seen.set(who, { pid, uid });
        };
        for (let first = 0; first < people.length; first += most) {
            await Promise.all(
                people.slice(first, first + most).map(async (who) => {
                    const client = await fleet.clientOf(who);
                    talks.set(who, await Talk.open(client, fleet.session({ sessionId: "diary", onPermissionRequest: approveAll }), who));
                    await talks.get(who).say();
                    await look(who);
                }),
            );
            assert.ok((await running()).length <= most);
        }
        assert.equal(new Set([...seen.values()].map(({ pid }) => pid)).size, people.length);
        if (root) assert.equal(new Set([...seen.values()].map(({ uid }) => uid)).size, people.length);
        for (const who of people) {
            const events = fs.readFileSync(path.join(fleet.home(who), "session-state", "diary", "events.jsonl"), "utf8");
            assert.ok(events.includes(`of ${who}`));
            assert.ok(!people.some((other) => other !== who && events.includes(`of ${other}"`)));
        }
    });

    it("no file of one can be read with the uid of another", { skip: !root && "needs root" }, () => {
        const uidOf = (who) => fs.statSync(fleet.home(who)).uid;
        for (const [number, who] of people.entries()) {
            const other = people[(number + 1) % people.length];
            const uid = uidOf(other);
            const look = spawnSync("find", [fleet.home(who)], { uid, gid: uid, encoding: "utf8" });
            assert.ok(look.status !== 0 && look.stdout.trim() === fleet.home(who), look.stdout + look.stderr);
            const file = path.join(fleet.home(who), "session-state", "diary", "events.jsonl");
            assert.notEqual(spawnSync("cat", [file], { uid, gid: uid }).status, 0);
            const own = spawnSync("cat", [file], { uid: uidOf(who), gid: uidOf(who) });
            assert.equal(own.status, 0, String(own.stderr));
        }
        const foreign = spawnSync("find", [folder, "-uid", String(uidOf(people[0])), "-not", "-path", `${fleet.home(people[0])}*`], { encoding: "utf8" });
        assert.equal(foreign.stdout, "", "somebody left a file outside of its home");
    });

    it("an agent's shell sees its own home and nobody else's", { skip: !root && "needs root" }, async () => {
        const [who, other] = people;
        const script = `id -u; echo $HOME; ls ${fleet.home(other)}; touch $TMPDIR/mine && echo made; cat /proc/$PPID/environ`;
        const said = await ask(talks.get(who).session, `[[tool:bash ${JSON.stringify({ command: script, description: "look" })}]]`);
        for (const wanted of [String(fs.statSync(fleet.home(who)).uid), fleet.home(who), "made", "Permission denied"]) {
            assert.ok(said.includes(wanted), said);
        }
        assert.ok(fs.existsSync(path.join(fleet.home(who), "tmp", "mine")));
        talks.delete(who);
    });

    it("idle ones are stopped and come back with their sessions", async () => {
        await eventually("all are asleep", async () => (await running()).length === 0, 3 * PATIENCE);
        for (const who of people.slice(1, 4)) {
            await talks.get(who).say();
            await talks.get(who).check();
            talks.get(who).unnoticed();
        }
    });

    it("a changed secret starts one again at its next idle point, unnoticed", async () => {
        const who = people[4];
        const talk = talks.get(who);
        await talk.say();
        const { pid } = await fleet.instanceOf(who);
        fs.writeFileSync(tokenFile(who), `${token(who, 2)}\n`);
        await talk.say(2000);
        assert.ok(fs.existsSync(`/proc/${pid}`), "not in the middle of a turn");
        await eventually("the old one is gone", () => !fs.existsSync(`/proc/${pid}`));
        await talk.say();
        assert.equal(environmentOf((await fleet.instanceOf(who)).pid).COPILOT_GITHUB_TOKEN, token(who, 2));
        await talk.check();
        talk.unnoticed();
    });

    it("one that crashes again and again harms no other", async () => {
        const [who, ...others] = people.slice(5, 11);
        await talks.get(who).say();
        const crash = path.join(fleet.home(who), "crash");
        fs.writeFileSync(crash, "");
        process.kill((await fleet.instanceOf(who)).pid, "SIGKILL");
        await fleet.phaseOf(who, "failing");
        for (const other of others) await talks.get(other).say();
        const pids = new Map(await Promise.all(others.map(async (other) => [other, (await fleet.instanceOf(other)).pid])));
        const create = async () => (await fleet.clientOf(who)).createSession(fleet.session());
        await assert.rejects(create, /the CLI of this identity ended \d+ times in a row \(exit code 9\)/);
        for (const other of others) {
            await talks.get(other).say();
            assert.equal((await fleet.instanceOf(other)).pid, pids.get(other));
            talks.get(other).unnoticed();
        }
        fs.rmSync(crash);
        await eventually("it is well again", async () => {
            try {
                return await create();
            } catch {
                return undefined;
            }
        });
    });

    it("a killed pilotfish leaves nothing behind, and sessions go on after its restart", async () => {
        const who = people[12];
        await talks.get(who).say();
        const said = [...talks.get(who).said];
        const pids = (await running()).map(({ pid }) => pid);
        assert.ok(pids.length > 0);
        process.kill(fleet.proxy.child.pid, "SIGKILL");
        await eventually("every CLI has ended", () => pids.every((pid) => !fs.existsSync(`/proc/${pid}`)));
        await fleet.dropClients();
        await fleet.startProxy();
        const client = await fleet.clientOf(who);
        const session = await client.resumeSession("diary", fleet.session());
        const talk = new Talk(session, who, said);
        await talk.say();
        await talk.check();
    });
});
