// Tenants who share one fleet: their part of the config, and each of them as a test sees it.
import { randomUUID } from "node:crypto";

import { Tap } from "./tap.mjs";

const issued = new Map();

/** The token of a tenant, the same for the whole run. */
export function tokenOf(name) {
    if (!issued.has(name)) issued.set(name, `token-${randomUUID()}`);
    return issued.get(name);
}

// Environment variables know no `a-b`, so it is the number of the tenant that counts.
const variable = (names, name) => `TENANT_TOKEN_${names.indexOf(name)}`;

/**
 * Options of a fleet that `tenants` share: a map of name -> more lines of that tenant's table. The model of the demo is allowed
 * to all; `rule` and `pool` go into the pool, `tables` to the end.
 */
export function walled(tenants, { rule = "prefix", pool = "", tables = "", env = {}, ...options } = {}) {
    const names = Object.keys(tenants);
    const table = (name) => `[[tenant]]\nname = "${name}"\ntokens = [{ env = "${variable(names, name)}" }]\n${tenants[name]}\n`;
    return {
        target: "pilotfish",
        storage: "shared",
        ...options,
        pool: `posture = "tenants"\nsession_ids = "${rule}"\n${pool}`,
        tables: ({ model }) => `[pool.copilot.guards]\nprovider_urls = ["${model.url}"]\n${names.map(table).join("\n")}\n${tables}`,
        env: { ...Object.fromEntries(names.map((name) => [variable(names, name), tokenOf(name)])), ...env },
    };
}

/** One tenant: what he connects is noted frame by frame. Offers what a fleet offers, with his token. */
export class Seat {
    #fleet;
    #clients = [];
    #connections = [];

    static async take(fleet, name, address = fleet.address) {
        const seat = new Seat();
        seat.#fleet = fleet;
        seat.name = name;
        seat.tap = await Tap.start(Number(address.split(":")[1]));
        return seat;
    }

    /** A started SDK client of this tenant. */
    async client(options) {
        const client = await this.#fleet.client(this.tap.address, tokenOf(this.name), options);
        this.#clients.push(client);
        return client;
    }

    /** A bare connection of this tenant that has said `connect`. */
    async raw() {
        const connection = await this.#fleet.raw(this.tap.address, tokenOf(this.name));
        this.#connections.push(connection);
        return connection;
    }

    session(extra) {
        return this.#fleet.session(extra);
    }

    async dropClients() {
        await Promise.all(this.#connections.splice(0).map((connection) => connection.close()));
        await Promise.all(this.#clients.splice(0).map((client) => client.forceStop()));
    }

    /**
     * What this tenant received that holds one of `words`, as `[word, text]`. A word that stands in his own question may come
     * back in the answer to it.
     */
    heard(words) {
        const asked = new Map();
        const found = [];
        for (const { connection, from, message, text } of this.tap.seen) {
            if (from === "client") {
                if (message.id !== undefined) asked.set(`${connection} ${JSON.stringify(message.id)}`, text);
                continue;
            }
            const question = message.method === undefined ? asked.get(`${connection} ${JSON.stringify(message.id)}`) : undefined;
            for (const word of words) if (text.includes(word) && !question?.includes(word)) found.push([word, text.slice(0, 500)]);
        }
        return found;
    }

    async stop() {
        await this.dropClients();
        await this.tap.stop();
    }
}
