// Two tenants with unmodified SDKs on three real CLIs: whatever one tries on the other's sessions, he learns nothing, changes
// nothing, and cannot tell them from sessions that do not exist.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { after, before, describe, it } from "node:test";

import { CopilotSession } from "@github/copilot-sdk";

import { bare, differences, differencesOf, NAMES, raise, stop, targets, untouched } from "../lib/scene.mjs";
import { aboutOneSession, denied, methods, paramsOf } from "../lib/table.mjs";
import { ask, eventually, PATIENCE } from "../lib/turns.mjs";
import { MARK } from "../lib/victim.mjs";

/** Defines the whole suite for one rule of ownership. */
export function describeWall(rule, { storage = "shared" } = {}) {
    const names = NAMES[rule];
    describe(`the wall with session_ids = "${rule}", ${storage} storage`, { timeout: 20 * PATIENCE }, () => {
        const scene = { names, rule, storage };
        before(() => raise(scene));
        after(() => stop(scene));
        describeSdk(scene);
        describeTable(scene);
        describePlaces(scene);
        describeLooks(scene);
        describeTakeovers(scene);
        describeOutcome(scene);
    });
}

function describeSdk(scene) {
    /** How a call of the SDK ends, as text. */
    async function outcome(call) {
        try {
            return JSON.stringify({ value: (await call()) ?? null });
        } catch ({ message, code, data }) {
            return JSON.stringify({ message, code, data });
        }
    }

    const calls = {
        "resumeSession": ({ sdk, bob }, id) => sdk.resumeSession(id, bob.session()),
        "deleteSession": ({ sdk }, id) => sdk.deleteSession(id),
        "getSessionMetadata": ({ sdk }, id) => sdk.getSessionMetadata(id),
        "setForegroundSessionId": ({ sdk }, id) => sdk.setForegroundSessionId(id),
        "session.send": (scene, id) => forged(scene, id).send({ prompt: "[[history]]" }),
        "session.getEvents": (scene, id) => forged(scene, id).getEvents(),
        "session.abort": (scene, id) => forged(scene, id).abort(),
        "session.disconnect": (scene, id) => forged(scene, id).disconnect(),
        "session.setModel": (scene, id) => forged(scene, id).setModel("another"),
        "session.log": (scene, id) => forged(scene, id).log("was here"),
        "rpc.sessions.fork": ({ sdk }, id) => sdk.rpc.sessions.fork({ sessionId: id }),
        "rpc.sessions.close": ({ sdk }, id) => sdk.rpc.sessions.close({ sessionId: id }),
        "rpc.sessions.save": ({ sdk }, id) => sdk.rpc.sessions.save({ sessionId: id }),
        "rpc.sessions.open resume": ({ sdk }, id) => sdk.rpc.sessions.open({ kind: "resume", sessionId: id }),
        "rpc.sessions.open attach": ({ sdk }, id) => sdk.rpc.sessions.open({ kind: "attach", sessionId: id }),
        "rpc.sessions.bulkDelete": ({ sdk }, id) => sdk.rpc.sessions.bulkDelete({ sessionIds: [id] }),
        "rpc.sessions.getClientMetadata": ({ sdk }, id) => sdk.rpc.sessions.getClientMetadata({ sessionIds: [id] }),
        "rpc.sessions.checkInUse": ({ sdk }, id) => sdk.rpc.sessions.checkInUse({ sessionIds: [id] }),
        "rpc.sessions.enrichMetadata": ({ sdk }, id) => sdk.rpc.sessions.enrichMetadata({ sessions: [record(id)] }),
        "rpc.sessions.readPersistedEvents": ({ sdk }, id) => sdk.rpc.sessions.readPersistedEvents({ sessionId: id }),
    };

    /** A session of the SDK that nobody gave him. */
    const forged = ({ sdk }, id) => new CopilotSession(id, sdk.connection);

    for (const [name, call] of Object.entries(calls)) {
        it(`answers the SDK's ${name} about her sessions as about none`, async () => {
            assert.deepEqual(await differences(scene, name, (id) => outcome(() => call(scene, id))), []);
        });
    }

    it("answers all of the SDK's session.rpc about her sessions as about none", async (t) => {
        const paths = functions(forged(scene, "x").rpc);
        t.diagnostic(`${paths.length} functions`);
        const found = [];
        for (const at of paths) {
            const call = (id) => at.reduce((rpc, key) => rpc[key], forged(scene, id).rpc)(paramsOf(`session.${at.join(".")}`, scene.known));
            found.push(...(await differences(scene, at.join("."), (id) => outcome(() => call(id)))));
        }
        assert.ok(paths.length > 150, `${paths.length}`);
        assert.deepEqual(found, []);
    });

    it("refuses to create a session over hers", async () => {
        const refused = [];
        for (const id of targets(scene)) {
            const text = await outcome(() => scene.sdk.createSession(scene.bob.session({ sessionId: id })));
            assert.match(text, /"code":-32603/);
            refused.push(bare(text, id));
            await untouched(scene, "createSession");
        }
        assert.equal(new Set(refused).size, 1, `${refused}`);
    });

    it("lists his own sessions alone", async () => {
        const ids = (await scene.sdk.listSessions()).map(({ sessionId }) => sessionId);
        assert.deepEqual(ids.sort(), [...scene.own].sort());
        assert.ok(scene.own.includes(await scene.sdk.getLastSessionId()));
        assert.equal(await scene.sdk.getForegroundSessionId(), undefined);
    });
}

/** The ways to all functions in an object of functions. */
function functions(node, at = []) {
    return Object.entries(node).flatMap(([key, value]) => (typeof value === "function" ? [[...at, key]] : functions(value, [...at, key])));
}

const record = (sessionId) => ({ sessionId, startTime: "2026-01-01T00:00:00.000Z", modifiedTime: "2026-01-01T00:00:00.000Z", isRemote: false });

function describeTable(scene) {
    it("answers every method of the table about her sessions as about none, byte for byte", async (t) => {
        // Whether an id is taken shows when one makes it: `describeTakeovers` has these.
        const asked = aboutOneSession.filter(({ name }) => name !== "session.create");
        t.diagnostic(`${asked.length} methods`);
        const found = [];
        for (const { name } of asked) {
            found.push(...(await differencesOf(scene, name, (id) => ({ sessionId: id, ...paramsOf(name, scene.known) }))));
            found.push(...(await differencesOf(scene, name, (id) => ({ sessionId: id }))));
        }
        assert.ok(asked.length > 250);
        assert.deepEqual(found, []);
    });

    it("answers them as the CLI answers about a session of his that does not exist", async (t) => {
        const { owned, absent } = scene.names;
        if (owned === undefined) return t.skip("only a name says that it would be his");
        const found = [];
        for (const { name } of aboutOneSession.filter(({ name, shared }) => name !== "session.create" && shared !== "deny")) {
            const params = (id) => ({ sessionId: id, ...paramsOf(name, scene.known) });
            const [own, foreign] = [await scene.raw.exchange(name, params(owned)), await scene.raw.exchange(name, params(absent[0]))];
            const [expected, answer] = [bare(own.text, owned), bare(foreign.text, absent[0])];
            if (answer !== expected) found.push({ name, answer, expected });
        }
        assert.deepEqual(found, []);
    });

    it("refuses what is denied, with and without her id", async () => {
        const found = [];
        for (const { name } of denied) {
            for (const id of [undefined, ...targets(scene)]) {
                const { message, text } = await scene.raw.exchange(name, { sessionId: id, ...paramsOf(name, scene.known) });
                const right = message.error?.code === -32601 && message.error.data?.reason === "denied_by_policy";
                if (!right) found.push({ name, id, text });
            }
            await untouched(scene, name);
        }
        assert.deepEqual(found, []);
    });
}

/** The other places where an id can stand. `own` is a session of his. */
const PLACES = {
    "sessions.open kind resume": (id) => ["sessions.open", { kind: "resume", sessionId: id }],
    "sessions.open kind attach": (id) => ["sessions.open", { kind: "attach", sessionId: id }],
    "sessions.open kind remote": (id) => ["sessions.open", { kind: "remote", remoteSessionId: id }],
    "sessions.open kind handoff": (id) => ["sessions.open", { kind: "handoff", metadata: { sessionId: id, remoteSessionIds: [id] } }],
    "sessions.open without a kind": (id) => ["sessions.open", { sessionId: id }],
    "sessions.open with her as parent": (id, { session }) => ["sessions.open", { kind: "create", options: { ...session, detachedFromSpawningParentSessionId: id } }],
    "session.mode.set with her plan": (id, { own }) => ["session.mode.set", { sessionId: own, mode: "plan", inheritPlanBaseFromSessionId: id }],
    "getClientMetadata": (id) => ["sessions.getClientMetadata", { sessionIds: [id] }],
    "getClientMetadata beside his": (id, { own }) => ["sessions.getClientMetadata", { sessionIds: [own, id, own, id] }],
    "checkInUse": (id) => ["sessions.checkInUse", { sessionIds: [id] }],
    "checkInUse beside his": (id, { own }) => ["sessions.checkInUse", { sessionIds: [own, id] }],
    "enrichMetadata": (id) => ["sessions.enrichMetadata", { sessions: [record(id)] }],
    "enrichMetadata beside his": (id, { own }) => ["sessions.enrichMetadata", { sessions: [record(own), record(id)] }],
    "bulkDelete": (id) => ["sessions.bulkDelete", { sessionIds: [id] }],
    "bulkDelete twice": (id) => ["sessions.bulkDelete", { sessionIds: [id, id] }],
    "pruneOld": (id) => ["sessions.pruneOld", { olderThanDays: 0, excludeSessionIds: [id] }],
    "sessions.delete": (id) => ["sessions.delete", { sessionId: id, sessionPath: `/tmp/${id}` }],
    "findByPrefix": (id) => ["sessions.findByPrefix", { prefix: id }],
    "findByPrefix with a part": (id) => ["sessions.findByPrefix", { prefix: id.slice(0, 8) }],
    "findByTaskId": (id) => ["sessions.findByTaskId", { taskId: id }],
    "transferRemoteControl": (id) => ["sessions.transferRemoteControl", { toSessionId: id, expectedFromSessionId: id }],
    "stopRemoteControl": (id) => ["sessions.stopRemoteControl", { expectedSessionId: id }],
    "session.resume by a part of the id": (id, { session }) => ["session.resume", { sessionId: id.slice(0, 8), ...session }],
    "session.delete by a part of the id": (id) => ["session.delete", { sessionId: id.slice(0, 8) }],
    "sessions.open by a part of the id": (id) => ["sessions.open", { kind: "resume", sessionId: id.slice(0, 8) }],
    "session.resume in capitals": (id, { session }) => ["session.resume", { sessionId: id.toUpperCase(), ...session }],
    "session.getMessages in capitals": (id) => ["session.getMessages", { sessionId: id.toUpperCase() }],
};

function describePlaces(scene) {
    for (const [name, place] of Object.entries(PLACES)) {
        it(`answers ${name} about her sessions as about none`, async () => {
            const known = { ...scene.known, own: scene.own[0] };
            const exchange = async (id) => {
                const { text } = await scene.raw.exchange(...place(id, known));
                const parts = bare(text, id, id.toUpperCase(), id.slice(0, 8), id.slice(0, 8).toUpperCase());
                // A session of his own has an id of its own each time.
                return place(id, known)[1].kind === "create" ? JSON.stringify(Object.keys(JSON.parse(parts).error ?? {})) : parts;
            };
            assert.deepEqual(await differences(scene, name, exchange), []);
        });
    }

    it("keeps her out of an escaped, a doubled and a hidden key", async () => {
        const [own] = scene.own;
        for (const id of [scene.names.absent[0], ...targets(scene)]) {
            for (const body of [
                `{"jsonrpc":"2.0","id":-1,"method":"session.getMessages","params":{"session\\u0049d":"${id}"}}`,
                `{"jsonrpc":"2.0","id":-2,"method":"session.getMessages","params":{"sessionId":"${own}","sessionId":"${id}"}}`,
                `{"jsonrpc":"2.0","id":-3,"method":"session.getMessages","params":{"sessionId":"${own}","session\\u0049d":"${id}"}}`,
                `{"jsonrpc":"2.0","id":-4,"method":"session.getMessages","params":{"sessionId":"${own}"},"params":{"sessionId":"${id}"}}`,
                `{"jsonrpc":"2.0","id":-5,"method":"session.getMessages","params":["${id}"]}`,
            ]) {
                const connection = await scene.bob.raw();
                connection.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
                const { error } = await eventually("an answer", () => connection.received.find((message) => message.id <= 0 || message.id === null));
                assert.ok(error, body);
                await connection.close();
            }
            await untouched(scene, "tricks with keys");
        }
    });
}

function describeLooks(scene) {
    const looks = {
        "session.list": {},
        "sessions.list": { source: "all", includeDetached: true },
        "session.getLastId": {},
        "sessions.getLastForContext": { context: { cwd: "/" } },
        "sessions.listNonEmptySessionIds": {},
        "sessions.getSizes": {},
        "session.getForeground": {},
        "auth.getStatus": {},
        "status.get": {},
        "models.list": {},
        "tools.list": {},
        "commands.list": {},
        "plugins.list": {},
    };
    for (const [method, params] of Object.entries(looks)) {
        it(`shows nothing of hers in ${method}`, async () => {
            const { text } = await scene.raw.exchange(method, params);
            for (const word of [MARK, ...scene.victim.ids]) assert.ok(!text.includes(word), `${word} in ${text}`);
        });
    }

    it("shows all of his in every list", async () => {
        const lists = { "session.list": {}, "sessions.list": {}, "sessions.getSizes": {}, "sessions.listNonEmptySessionIds": { limit: 1000 } };
        for (const [method, params] of Object.entries(lists)) {
            const { text } = await scene.raw.exchange(method, params);
            for (const id of scene.own) assert.ok(text.includes(id), `${id} in ${method}: ${text}`);
        }
    });

    describe("when hers are newer than his", () => {
        const newest = {
            "session.getLastId": {},
            "sessions.getLastForContext": {},
            "sessions.listNonEmptySessionIds": {},
            "sessions.listNonEmptySessionIds with a limit": { limit: 1 },
            "sessions.list": { metadataLimit: 1 },
        };
        const answers = {};
        const look = async () => {
            for (const [name, params] of Object.entries(newest)) answers[name] = [...(answers[name] ?? []), bare((await scene.raw.exchange(name.split(" ")[0], params)).text)];
        };
        before(async () => {
            // At his newest, then with five of hers that are newer.
            const session = await scene.sdk.createSession(scene.bob.session({ sessionId: scene.names.his(100) }));
            scene.own.push(session.sessionId);
            await ask(session, "the newest");
            await look();
            for (let number = 0; number < 5; number++) await scene.victim.live({ keep: true });
            await look();
        });
        for (const name of Object.keys(newest)) {
            it(`answers ${name} as if they were not there`, () => {
                const [alone, later] = answers[name];
                if (scene.storage === "local" && name.includes("listNonEmpty")) {
                    // Bare ids of several disks have no order: only their number can be compared.
                    const count = (text) => JSON.parse(text).result.sessionIds.length;
                    return assert.equal(count(later), count(alone));
                }
                assert.equal(later, alone);
                assert.ok(alone.includes(scene.own.at(-1)), alone);
            });
        }
    });

    it("finds his own by a prefix that hers has too", async () => {
        const { sessionId } = scene.victim.sessions.free;
        const his = sessionId.slice(0, 8) + randomUUID().slice(8);
        const find = async () => (await scene.raw.request("sessions.findByPrefix", { prefix: sessionId.slice(0, 8) })).sessionId;
        assert.equal(await find(), undefined);
        const session = await scene.sdk.createSession(scene.bob.session({ sessionId: his }));
        scene.own.push(his);
        await ask(session, "mine");
        assert.equal(await find(), his);
    });
}

function describeTakeovers(scene) {
    it("makes no session over hers, and answers alike each time", async () => {
        const answers = [];
        for (const id of targets(scene)) {
            for (const more of [scene.known.session, { ...scene.known.session, streaming: true }, { resume: true }]) {
                const { message, text } = await scene.raw.exchange("session.create", { sessionId: id, ...more });
                assert.ok(message.error, text);
                answers.push(bare(text, id));
            }
            const { message, text } = await scene.raw.exchange("sessions.open", { kind: "create", options: { sessionId: id, ...scene.known.session } });
            assert.ok(message.error ?? message.result?.status === "not_found", text);
        }
        assert.equal(new Set(answers).size, 1, answers.join("\n"));
        await untouched(scene, "session.create");
    });

    it("makes none under her name either", async (t) => {
        if (!scene.names.hers.named.includes("--")) return t.skip("names say nothing");
        const create = async (id) => bare((await scene.raw.exchange("session.create", { sessionId: id, ...scene.known.session })).text, id);
        const [first, ...others] = await Promise.all(["alice--diary", "alice--new", "alice--", "--", "zoe--new"].map(create));
        for (const answer of others) assert.equal(answer, first);
    });

    it("gives nobody a part of her id to stand on", async () => {
        // The CLI takes a unique beginning of a UUID for the whole in resume and delete.
        const { sessionId } = scene.victim.sessions.free;
        for (const id of [sessionId.slice(0, 7), sessionId.slice(0, 8), sessionId.slice(0, 13), sessionId.slice(0, 35)]) {
            const made = await scene.raw.exchange("session.create", { sessionId: id, ...scene.known.session });
            await scene.raw.exchange("session.destroy", { sessionId: id });
            await scene.raw.exchange("sessions.close", { sessionId: id });
            const resumed = await scene.raw.exchange("session.resume", { sessionId: id, ...scene.known.session });
            const deleted = await scene.raw.exchange("session.delete", { sessionId: id });
            assert.ok(!resumed.text.includes(sessionId), `${made.text} ${resumed.text} ${deleted.text}`);
            assert.notEqual(deleted.message.result?.success, true, `${made.text} ${deleted.text}`);
            assert.ok(made.message.error, made.text);
        }
        await untouched(scene, "resume and delete by a part of the id");
    });
}

function describeOutcome(scene) {
    it("tells him nothing of her sessions' lives", async () => {
        const ids = [await scene.victim.live(), await scene.victim.live({ sessionId: `${scene.names.hers.named}-2` })];
        const { sessionId } = await scene.sdk.createSession(scene.bob.session());
        await eventually("his own lifecycle", () => scene.heard.some((event) => event.sessionId === sessionId));
        // One answer from each CLI comes after whatever it broadcast before.
        await scene.raw.request("session.list", {});
        const text = JSON.stringify(scene.heard);
        for (const id of [...ids, ...scene.victim.ids]) assert.ok(!text.includes(id));
        assert.deepEqual(scene.bob.heard(ids), []);
    });

    it("keeps to her the sessions that the CLI names itself", async () => {
        const { client, eyes, sessions, more } = scene.victim;
        const forked = await client.rpc.sessions.fork({ sessionId: sessions.named.sessionId, name: `${MARK} copy` });
        const opened = await eyes.request("sessions.open", { kind: "create", options: scene.known.session });
        const created = await eyes.request("session.create", scene.known.session);
        const ids = [forked, opened, created].map(({ sessionId }) => sessionId);
        more.push(...ids);
        for (const id of ids) {
            assert.match(id, /^[\w-]+$/);
            for (const method of ["session.getMessages", "session.resume", "session.send", "sessions.fork", "session.delete", "session.getMetadata"]) {
                const params = (sessionId) => ({ sessionId, ...paramsOf(method, scene.known) });
                const [answer, none] = await Promise.all([id, scene.names.absent[0]].map(async (id) => bare((await scene.raw.exchange(method, params(id))).text, id)));
                assert.equal(answer, none, `${method} ${id}`);
            }
        }
        const copy = await client.resumeSession(forked.sessionId, scene.alice.session());
        assert.match(await ask(copy, "[[history]] copied"), new RegExp(`^2 user messages: ${MARK}-in-the-prompt \\| copied$`));
        const listed = await scene.sdk.listSessions();
        assert.deepEqual(listed.filter(({ sessionId }) => ids.includes(sessionId)), []);
    });

    it("gives an id that she has given up to him without her past", async (t) => {
        if (scene.rule !== "registry") return t.skip("her names stay hers");
        const id = await scene.victim.live();
        const session = await scene.sdk.createSession(scene.bob.session({ sessionId: id }));
        scene.own.push(id);
        assert.equal(await ask(session, "[[history]] his"), "1 user messages: his");
        await assert.rejects(scene.victim.client.resumeSession(id, scene.alice.session()), /Session not found/);
        scene.victim.more = scene.victim.more.filter((other) => other !== id);
    });

    it("leaves her pending requests to her", async () => {
        assert.deepEqual(await scene.victim.state(), scene.before.state);
        const [permission, call] = await scene.victim.release();
        assert.match(permission, /alice says no|reject|denied/i);
        assert.doesNotMatch(permission, /ran-42/);
        assert.equal(call, "slow returned: from alice");
    });

    it("leaves her sessions whole: she goes on where she was", async () => {
        for (const answer of await scene.victim.goOn()) assert.match(answer, new RegExp(`^2 user messages: ${MARK}-in-the-prompt \\| still here$`));
        const { client, sessions, seat } = scene.victim;
        for (const { sessionId } of [sessions.named, sessions.free]) {
            assert.equal((await client.listSessions()).filter((listed) => listed.sessionId === sessionId).length, 1);
        }
        await sessions.named.disconnect();
        const again = await client.resumeSession(sessions.named.sessionId, seat.session());
        assert.match(await ask(again, "[[history]] and again"), /^3 user messages: .* \| still here \| and again$/);
    });

    it("runs nothing for him on the host", () => {
        assert.deepEqual(fs.readdirSync(scene.folder), []);
    });

    it("keeps all CLIs and pilotfish running", () => {
        const children = [...scene.fleet.clis, ...scene.fleet.proxies].map(({ child }) => child);
        assert.deepEqual(children.map(({ running }) => running), children.map(() => true));
    });

    it("lets no frame of his that names her session, and no denied method, reach a CLI", () => {
        const hers = [...scene.victim.ids, ...scene.names.absent];
        const names = new Set(denied.map(({ name }) => name));
        const found = [];
        for (const [index, tap] of scene.fleet.taps.entries()) {
            for (const { connection, from, message, text } of tap.seen) {
                if (from !== "client" || connection < scene.marks[index]) continue;
                // What pilotfish itself asks, to delete her unnamed sessions whose client went long ago.
                if (String(message.id ?? "").startsWith("pilotfish-errand-")) continue;
                if (names.has(message.method) || hers.some((id) => text.includes(id))) found.push(text.slice(0, 300));
            }
        }
        assert.deepEqual(found, []);
    });

    it("lets nothing of hers reach him in any frame", () => {
        assert.deepEqual(scene.bob.heard([MARK, ...scene.victim.ids]), []);
        assert.ok(scene.bob.tap.seen.length > 1000);
    });

    it("has tried what issue 3 names", () => {
        const tried = new Set(scene.bob.tap.seen.filter(({ from }) => from === "client").map(({ message }) => message.method));
        const missed = methods.filter(({ name, route }) => !tried.has(name) && (route === "session" || route === "gather"));
        assert.deepEqual(missed.map(({ name }) => name), []);
        assert.ok(tried.size > 300, `${tried.size}`);
    });
}
