// A session that alice's config shares with bob: both hear one turn, and bob cannot end it.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { Seat, walled } from "../lib/tenants.mjs";
import { ask, next, PATIENCE, record } from "../lib/turns.mjs";

const BOARD = "alice--board";

describe("a shared session", { timeout: 10 * PATIENCE }, () => {
    let fleet;
    const seats = {};
    before(async () => {
        const share = `share = [{ session = "${BOARD}", with = ["bob"] }]`;
        fleet = await Fleet.start(walled({ alice: share, bob: "", carol: "" }, { backends: 3 }));
        for (const name of ["alice", "bob", "carol"]) seats[name] = await Seat.take(fleet, name);
    });
    after(async () => {
        for (const seat of Object.values(seats)) await seat.stop();
        await fleet?.stop();
    });
    afterEach(() => Promise.all(Object.values(seats).map((seat) => seat.dropClients())));

    async function attachBoth() {
        const [alice, bob] = await Promise.all([seats.alice.client(), seats.bob.client()]);
        const hers = await alice.createSession(fleet.session({ sessionId: BOARD, streaming: true }));
        await ask(hers, "from alice");
        const his = await bob.resumeSession(BOARD, fleet.session({ streaming: true }));
        return { alice, bob, hers, his };
    }

    it("is open to the other tenant, and both hear one turn", async () => {
        const { hers, his } = await attachBoth();
        const [seenByAlice, seenByBob] = [record(hers), record(his)];
        const idle = next(hers, "session.idle");
        assert.equal(await ask(his, "[[history]] from bob"), "2 user messages: from alice | from bob");
        await idle;
        const turn = (events) => events.filter(({ type }) => /^(user\.message|assistant\.)/.test(type)).map(({ id }) => id);
        assert.ok(turn(seenByBob).length > 5);
        assert.deepEqual(turn(seenByAlice), turn(seenByBob));
    });

    it("is in both tenants' lists and in no third one's", async () => {
        const { alice, bob } = await attachBoth();
        const carol = await seats.carol.client();
        const sees = async (client) => (await client.listSessions()).some(({ sessionId }) => sessionId === BOARD);
        assert.deepEqual([await sees(alice), await sees(bob), await sees(carol)], [true, true, false]);
        await assert.rejects(carol.resumeSession(BOARD, fleet.session()), /Session not found/);
    });

    it("cannot be ended by the guest", async () => {
        const { bob, hers } = await attachBoth();
        await assert.rejects(bob.deleteSession(BOARD));
        const connection = await seats.bob.raw();
        const ends = {
            "session.delete": { sessionId: BOARD },
            "session.destroy": { sessionId: BOARD },
            "session.shutdown": { sessionId: BOARD },
            "session.suspend": { sessionId: BOARD },
            "sessions.close": { sessionId: BOARD },
            "sessions.delete": { sessionId: BOARD },
            "sessions.bulkDelete": { sessionIds: [BOARD] },
        };
        const ended = [];
        for (const [method, params] of Object.entries(ends)) {
            const { message, text } = await connection.exchange(method, params);
            const refused = message.error ?? message.result?.freedBytes?.[BOARD] === 0;
            if (!refused) ended.push(text);
        }
        assert.deepEqual(ended, []);
        assert.match(await ask(hers, "[[history]] still there"), /from alice \| still there$/);
    });

    it("goes on for its owner when the guest leaves, and comes back to the guest", async () => {
        const { bob, hers, his } = await attachBoth();
        await his.disconnect();
        assert.match(await ask(hers, "alone"), /^You said: alone/);
        const again = await bob.resumeSession(BOARD, fleet.session());
        assert.match(await ask(again, "[[history]] back"), /alone \| back$/);
    });

    it("gives the guest nothing else of hers", async () => {
        const { alice, bob } = await attachBoth();
        const other = await alice.createSession(fleet.session({ sessionId: `${BOARD}-2` }));
        await ask(other, "private");
        await assert.rejects(bob.resumeSession(`${BOARD}-2`, fleet.session()), /Session not found/);
        await assert.rejects(bob.createSession(fleet.session({ sessionId: "alice--another" })), /Session not found/);
        assert.deepEqual(seats.bob.heard([`"${BOARD}-2"`]), []);
    });
});
