// A tenant whose users are apart: each has sessions of his own within it, and may share one with a user by name.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { Seat, tokenOf, walled } from "../lib/tenants.mjs";
import { ask, PATIENCE } from "../lib/turns.mjs";

const USERS = ["ann", "ben"];
const NAMES = [...USERS, "otto"];

describe("users of one tenant who are apart", { timeout: 10 * PATIENCE }, () => {
    let fleet;
    const seats = {};
    const sessions = {};
    before(async () => {
        const token = (user) => `{ env = "TOKEN_OF_${user}", user = "${user}" }`;
        const table = (name, users) => `[[tenant]]\nname = "${name}"\nusers = "apart"\ntokens = [${users.map(token)}]`;
        fleet = await Fleet.start(
            walled(
                {},
                {
                    pool: `session_id_template = "{tenant}--{user}--"`,
                    tables: `${table("team", USERS)}\nshare = [{ session = "team--ann--board", with = ["team/ben"] }]\n${table("other", ["otto"])}`,
                    backends: 2,
                    env: Object.fromEntries(NAMES.map((user) => [`TOKEN_OF_${user}`, tokenOf(user)])),
                },
            ),
        );
        for (const name of NAMES) {
            seats[name] = await Seat.take(fleet, name);
            seats[name].sdk = await seats[name].client();
        }
    });
    after(async () => {
        for (const seat of Object.values(seats)) await seat.stop();
        await fleet?.stop();
    });

    it("have sessions of their own", async () => {
        for (const user of USERS) {
            const named = await seats[user].sdk.createSession(fleet.session({ sessionId: `team--${user}--diary` }));
            const free = await seats[user].sdk.createSession(fleet.session());
            for (const session of [named, free]) assert.equal(await ask(session, `of ${user}`), `You said: of ${user}`);
            sessions[user] = [named, free].map(({ sessionId }) => sessionId);
        }
        for (const user of USERS) {
            const listed = (await seats[user].sdk.listSessions()).map(({ sessionId }) => sessionId);
            assert.deepEqual(listed.sort(), [...sessions[user]].sort());
        }
        assert.deepEqual(await seats.otto.sdk.listSessions(), []);
    });

    it("do not reach each other's", async () => {
        const all = Object.entries(sessions).flatMap(([owner, ids]) => ids.map((id) => [owner, id]));
        for (const [name, { sdk }] of Object.entries(seats)) {
            for (const [, id] of all.filter(([owner]) => owner !== name)) {
                await assert.rejects(sdk.resumeSession(id, fleet.session()), /Session not found/, `${name} ${id}`);
                await assert.rejects(sdk.createSession(fleet.session({ sessionId: id })), /Session not found/, `${name} ${id}`);
                await assert.rejects(sdk.deleteSession(id), /Session file not found/, `${name} ${id}`);
                assert.equal(await sdk.getSessionMetadata(id), undefined, `${name} ${id}`);
            }
        }
        await assert.rejects(seats.ben.sdk.createSession(fleet.session({ sessionId: "team--ann--new" })), /Session not found/);
        for (const [name, seat] of Object.entries(seats)) {
            assert.deepEqual(seat.heard(all.filter(([owner]) => owner !== name).map(([, id]) => id)), [], name);
        }
    });

    it("share one by name", async () => {
        const hers = await seats.ann.sdk.createSession(fleet.session({ sessionId: "team--ann--board" }));
        await ask(hers, "from ann");
        const his = await seats.ben.sdk.resumeSession("team--ann--board", fleet.session());
        assert.equal(await ask(his, "[[history]] from ben"), "2 user messages: from ann | from ben");
        await assert.rejects(seats.otto.sdk.resumeSession("team--ann--board", fleet.session()), /Session not found/);
        await assert.rejects(seats.ben.sdk.deleteSession("team--ann--board"));
    });
});
