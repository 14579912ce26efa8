// The SDK writes a request's header and body apart, and waits for the CLI's delayed acknowledgement in between: 44 ms a call.
// Pilotfish acknowledges at once, so that a call through it costs a small part of a direct one.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { tunnelled } from "../lib/tunnel.mjs";
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

    // Through a tunnel it is two programs more, and TLS.
    const part = tunnelled ? 20 : 50;

    it(`takes at most 1/${part} of the direct time`, async (t) => {
        const [through, direct] = [[], []];
        for (let call = 0; call < CALLS; call++) {
            through.push(await timed(viaProxy));
            direct.push(await timed(straight));
        }
        const [fast, slow] = [percentile(through, 0.5), percentile(direct, 0.5)];
        t.diagnostic(`median through pilotfish ${fast.toFixed(2)} ms, direct ${slow.toFixed(2)} ms, ratio 1/${(slow / fast).toFixed(0)}`);
        assert.ok(fast <= slow / part, `${fast} ms against ${slow} ms`);
    });
});
