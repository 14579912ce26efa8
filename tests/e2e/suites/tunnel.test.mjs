// The Node SDK through `pilotfish tunnel`: who it is by its certificate, what it is told of wrong ones, and certificates that change.
// All the other suites go through a tunnel with TUNNEL=mtls.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, describe, it } from "node:test";

import { Fleet } from "../lib/fleet.mjs";
import { pilotfish } from "../lib/programs.mjs";
import { walled } from "../lib/tenants.mjs";
import { certify, startTunnel } from "../lib/tunnel.mjs";
import { ask, eventually, next, PATIENCE, record } from "../lib/turns.mjs";

describe("the SDK through a tunnel", { timeout: 5 * PATIENCE }, () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "pilotfish-tunnel-"));
    const at = (name) => path.join(folder, name);
    const tunnels = [];
    let fleet, to;

    before(async () => {
        issue("ca");
        certify(folder, "stranger");
        certify(folder, "alien", { by: at("stranger"), names: ["DNS:alice.example"] });
        certify(folder, "other", { by: at("ca"), names: ["DNS:other.example"] });
        const tls = `tls = { cert = "${at("proxy.crt")}", key = "${at("proxy.key")}", client_ca = "${at("ca.crt")}" }`;
        const tables = `[[listener]]\nname = "tls"\nbind = "127.0.0.1:0"\npool = "copilot"\n${tls}\n`;
        const tenants = { alice: 'certificates = ["alice.example"]', bob: 'certificates = ["spiffe://corp/bob"]' };
        fleet = await Fleet.start(walled(tenants, { backends: 2, tables }));
        [, to] = await fleet.proxy.child.line(/^listening name=tls .*addr=(\S+)/);
    });
    afterEach(async () => {
        await fleet.dropClients();
        await Promise.all(tunnels.splice(0).map(({ child }) => child.stop()));
    });
    after(async () => {
        await fleet?.stop();
        fs.rmSync(folder, { recursive: true, force: true });
    });

    /** A new authority under this name, and what it signs. */
    function issue(by) {
        certify(folder, by);
        certify(folder, "proxy", { by: at(by), names: ["DNS:localhost", "IP:127.0.0.1"] });
        certify(folder, "alice", { by: at(by), names: ["DNS:alice.example"] });
        certify(folder, "bob", { by: at(by), names: ["URI:spiffe://corp/bob"] });
    }

    async function tunnel(own, { ca = "ca", args } = {}) {
        tunnels.push(await startTunnel(pilotfish, to, { ca: at(ca), own: own && at(own), args }));
        return tunnels.at(-1);
    }

    const told = (child, words) => child.line(words, 10_000);

    it("is the tenant that its certificate names, without a token", async () => {
        const [alice, bob] = await Promise.all(["alice", "bob"].map(async (name) => fleet.client((await tunnel(name)).address)));
        const session = await alice.createSession(fleet.session({ sessionId: "alice--through" }));
        assert.equal(await ask(session, "hello"), "You said: hello");
        await assert.rejects(bob.resumeSession("alice--through", fleet.session()), /Session not found/);
        const own = await bob.createSession(fleet.session({ sessionId: "bob--through" }));
        assert.equal(await ask(own, "mine"), "You said: mine");
        assert.deepEqual((await bob.listSessions()).map(({ sessionId }) => sessionId), ["bob--through"]);
    });

    for (const [what, own, options, sdk, proxy] of [
        ["none of its own", null, {}, /the proxy wants a certificate, and we have none/, /the client shows no certificate/],
        ["one that nobody there has signed", "alien", {}, /the proxy does not accept our certificate: it does not know who signed it/, /the client's certificate is not signed by anybody in `client_ca`/],
        ["a proxy's that is not to be trusted", "alice", { ca: "stranger" }, /the proxy's certificate is not signed by anybody in the file of --ca/, /the client does not accept our certificate/],
        ["a proxy's for another name", "alice", { args: ["--server-name", "elsewhere.example"] }, /the proxy's certificate is for other names: .*wanted: elsewhere.example/, /the client does not accept our certificate/],
    ]) {
        it(`is told what is wrong with certificates: ${what}`, async () => {
            const { address, child } = await tunnel(own, options);
            await assert.rejects(fleet.client(address), sdk);
            await told(child, sdk);
            await told(fleet.proxy.child, proxy);
        });
    }

    it("is nobody with a certificate of nobody", async () => {
        const { address } = await tunnel("other");
        await assert.rejects(fleet.client(address), /AUTHENTICATION_FAILED/);
    });

    it("goes on when all certificates change, in the middle of a turn", async () => {
        const { address, child } = await tunnel("alice");
        const client = await fleet.client(address);
        const session = await client.createSession(fleet.session({ streaming: true }));
        const [events, running] = [record(session), next(session, "assistant.message_delta")];
        await session.send({ prompt: "[[delay:6000]] one two three four five six" });
        await running;
        issue("ca");
        const again = /the certificates were read again/;
        await Promise.all([told(child, again), told(fleet.proxy.child, again)]);
        const later = await eventually("a new connection", () => fleet.client(address).catch(() => undefined));
        const other = await later.createSession(fleet.session());
        assert.equal(await ask(other, "new"), "You said: new");
        await eventually("the turn ends", () => events.some(({ type }) => type === "session.idle"));
        assert.equal(events.find(({ type }) => type === "assistant.message").data.content, "You said: one two three four five six");
    });

    it("gets the rest of its turn when the tunnel was killed and another one is there", async () => {
        const first = await tunnel("alice");
        const lost = await fleet.client(first.address);
        const session = await lost.createSession(fleet.session({ streaming: true, sessionId: "alice--killed" }));
        const [seen, running] = [record(session), next(session, "assistant.message_delta")];
        await session.send({ prompt: "[[delay:4000]] one two three four five six" });
        await running;
        first.child.killGroup("SIGKILL");
        await first.child.exited;
        const events = [];
        const client = await fleet.client((await tunnel("alice")).address);
        await client.resumeSession("alice--killed", fleet.session({ streaming: true, onEvent: (event) => events.push(event) }));
        await eventually("idle", () => events.some(({ type }) => type === "session.idle"));
        const words = [...seen, ...events].filter(({ type }) => type === "assistant.message_delta").map(({ data }) => data.deltaContent);
        assert.equal(words.join(""), "You said: one two three four five six");
    });
});
