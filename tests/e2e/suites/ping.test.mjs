// The SDK writes a request's header and body apart, and waits for the CLI's delayed acknowledgement in between: 44 ms a call.
// Pilotfish acknowledges at once, so that a call through it costs a small part of a direct one.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { percentile } from "../lib/turns.mjs";

const CALLS = 60;

describe("ping", () => {
    let fleet, viaProxy, straight;
    before(async () => {
        fleet = await Fleet.start({ backends: 1, target: "pilotfish" });
        viaProxy = await fleet.client();
        straight = await fleet.client(fleet.clis[0].address);
    });
    after(() => fleet?.stop());

    async function timed(client) {
        const start = performance.now();
        await client.ping("x");
        return performance.now() - start;
    }

    it("takes at most a fiftieth of the direct time", async (t) => {
        const [through, direct] = [[], []];
        for (let call = 0; call < CALLS; call++) {
            through.push(await timed(viaProxy));
            direct.push(await timed(straight));
        }
        const [fast, slow] = [percentile(through, 0.5), percentile(direct, 0.5)];
        t.diagnostic(`median through pilotfish ${fast.toFixed(2)} ms, direct ${slow.toFixed(2)} ms, ratio 1/${(slow / fast).toFixed(0)}`);
        assert.ok(fast <= slow / 50, `${fast} ms against ${slow} ms`);
    });
});
