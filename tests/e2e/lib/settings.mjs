// Tables of the config as text.

/** A table with these keys; the values are strings, numbers, truths and lists of them. */
export const table = (name, keys) => `[${name}]\n${Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`).join("")}`;

/** Limits, parking and turn locks of the pool. */
export const sessions = (keys) => table("pool.copilot.sessions", keys);

/** The store that several proxies share. */
export const redisStore = (address, keys = {}) => table("store", { kind: "redis", addresses: [address], ...keys });
