// Alice with her sessions and bob at the wall: the scene of the wall's suites, and what both answers are compared with.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";

import { Fleet } from "./fleet.mjs";
import { Seat, walled } from "./tenants.mjs";
import { eventually } from "./turns.mjs";
import { Victim } from "./victim.mjs";

/** The ids that the suite uses, by the rule of the pool. `absent` are as good as hers to him; `owned` is his to make. */
export const NAMES = {
    prefix: {
        hers: { named: "alice--diary", asking: "alice--asking", calling: "alice--calling" },
        absent: ["alice--nowhere", "zoe--nowhere", randomUUID()],
        owned: "bob--nowhere",
        his: (number) => `bob--${number}`,
    },
    registry: {
        hers: { named: "diary4alice", asking: "asking4alice", calling: "calling4alice" },
        absent: ["nowhere", "alice--nowhere", randomUUID()],
        his: (number) => `mine-${number}`,
    },
};

/** What an answer looks like without the ids that were in the question. */
export const bare = (text, ...ids) => ids.reduce((text, id) => text.replaceAll(id, "(id)"), text.replace(/"id":\d+/, '"id":0'));

/** Fills a scene of which `names`, `rule` and `storage` are given. */
export async function raise(scene) {
    const { names, rule, storage } = scene;
    scene.fleet = await Fleet.start(walled({ alice: "", bob: "" }, { rule, storage, backends: 3, taps: true }));
    scene.folder = fs.mkdtempSync(path.join(scene.fleet.directory, "loot-"));
    scene.alice = await Seat.take(scene.fleet, "alice");
    scene.victim = await Victim.settle(scene.alice, names.hers, scene.fleet);
    scene.before = await scene.victim.still();
    // What comes over later connections is his.
    scene.marks = scene.fleet.taps.map(({ connections }) => connections);
    scene.bob = await Seat.take(scene.fleet, "bob");
    const { permission, call } = scene.victim;
    const { model, provider } = scene.fleet.session();
    scene.known = { permission, call, folder: scene.folder, session: { model, provider } };
    await settleBob(scene);
}

/** Gives bob a connection to every CLI and a session on each, so that all they broadcast reaches him. */
async function settleBob(scene) {
    const { bob, fleet, names } = scene;
    scene.sdk = await bob.client();
    scene.raw = await bob.raw();
    scene.heard = [];
    scene.sdk.onLifecycle((event) => scene.heard.push(event));
    scene.own = await fleet.reachAll(async (number) => {
        const { sessionId } = await scene.sdk.createSession(bob.session({ sessionId: names.his(number) }));
        await scene.raw.request("session.resume", { sessionId, ...scene.known.session });
        return sessionId;
    });
    for (const id of scene.own) await scene.raw.request("session.send", { sessionId: id, prompt: "mine" });
    await eventually("he has his own", async () => {
        const listed = (await scene.sdk.listSessions()).map(({ sessionId }) => sessionId);
        return scene.own.every((id) => listed.includes(id));
    });
}

export async function stop({ fleet, alice, bob }) {
    await alice?.stop();
    await bob?.stop();
    await fleet?.stop();
}

/** Her ids that an attack may name: at rest and in a turn. */
export const targets = ({ victim }) => Object.values(victim.sessions).map(({ sessionId }) => sessionId);

/** Fails unless her sessions are as they were. */
export async function untouched(scene, what) {
    const now = await scene.victim.history();
    if (!isDeepStrictEqual(now, scene.before.history)) assert.deepEqual(now, scene.before.history, `after ${what}`);
}

/** Asks about each of her sessions and about absent ones, and returns how the answers differ. */
export async function differences(scene, what, exchange, { absent = scene.names.absent } = {}) {
    const ids = [...absent, ...targets(scene)];
    const answers = await Promise.all(ids.map(async (id) => bare(await exchange(id), id)));
    const [expected] = answers;
    const found = ids.map((id, index) => ({ what, id, answer: answers[index], expected })).filter(({ answer }) => answer !== expected);
    await untouched(scene, what);
    return found;
}

/** Does the same for a request, by the bytes of its answer. */
export const differencesOf = (scene, method, params, options) =>
    differences(scene, method, async (id) => (await scene.raw.exchange(method, params(id))).text, options);
