// Events without what differs from run to run, so that two runs of one script can be compared.

// The CLI's own background work (skills, MCP servers, title, task bookkeeping) reports when it is done, not in an order
// relative to the turn: two direct runs differ in these (1.0.102). Everything else has to come in the same order.
const UNORDERED = new Set([
    "pending_messages.modified",
    "sandbox.decision",
    "session.background_tasks_changed",
    "session.managed_settings_resolved",
    "session.mcp_servers_loaded",
    "session.skills_loaded",
    "session.title_changed",
    "session.tools_updated",
    "tool.execution_partial_result",
]);

/** Types and data of the events whose order is fixed. */
export function normalEvents(events) {
    // The hook of the session's start runs beside the first turn's.
    const ordered = events.filter(({ type, data }) => !UNORDERED.has(type) && data?.hookType !== "sessionStart");
    return ordered.map(({ type, data, ephemeral }) => ({ type, ephemeral, data: normal(data) }));
}

const VOLATILE = /(duration|latency|timestamp|time|tokens?|ms|bytes|size|home|cwd|path|url|sha|commit|pid)$/i;
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;

/** A value with its ids, times, sizes and places replaced, to any depth. */
export function normal(value, key = "") {
    if (Array.isArray(value)) return value.map((item) => normal(item, key));
    if (value !== null && typeof value === "object") {
        return Object.fromEntries(Object.entries(value).map(([name, item]) => [name.replace(UUID, "(id)"), normal(item, name)]));
    }
    if (VOLATILE.test(key)) return `(${typeof value})`;
    if (typeof value !== "string") return value;
    return value
        .replace(UUID, "(id)")
        .replace(/\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)/g, "(time)")
        .replace(/pilotfish-e2e-\w+(\/home(-cli-\d+)?)?/g, "(folder)")
        .replace(/127\.0\.0\.1:\d+/g, "(address)");
}
