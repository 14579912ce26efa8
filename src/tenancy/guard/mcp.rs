//! MCP servers: a program on the host, or an address that the backend calls.

use super::{Denied, Rules, fields::Fields, tree::Tree};

const PROGRAM: (&str, &str) =
    ("stdio_mcp", "use an MCP server with a `url`; programs on the host are not allowed here");
const NOT_KNOWN: (&str, &str) = ("param_unknown", "this key of an MCP server is not known to be harmless");

const GUARDED: &[&str] = &["type", "url", "command", "args", "env", "cwd", "workingDirectory", "mcpServers"];
/// What else a remote server has; nothing of it reaches the host.
const HARMLESS: &[&str] = &[
    "type",
    "url",
    "headers",
    "tools",
    "timeout",
    "name",
    "displayName",
    "description",
    "auth",
    "oauth",
    "oauthClientId",
    "oauthGrantType",
    "oauthScopes",
    "scopes",
    "filterMapping",
    "deferTools",
];
const PROGRAMS: &[&str] = &["command", "args", "env"];

/// `mcpServers`: an object of servers by name.
pub fn servers(tree: &Tree<'_>, path: &str, rules: &Rules) -> Result<(), Denied> {
    let servers = Fields::of(tree, path, &[])?;
    let below = format!("{path}.*");
    servers.iter().try_for_each(|(_, server)| one(server, &below, rules))
}

/// Agents, each of which may bring servers.
pub fn agents(tree: &Tree<'_>, path: &str, rules: &Rules) -> Result<(), Denied> {
    match tree {
        // The name of an agent.
        Tree::Text(_) => Ok(()),
        Tree::Array(agents) => agents.iter().try_for_each(|item| agent(item, &format!("{path}[]"), rules)),
        _ => agent(tree, path, rules),
    }
}

fn agent(tree: &Tree<'_>, path: &str, rules: &Rules) -> Result<(), Denied> {
    let guarded = ["mcpServers", "workingDirectory", "mcp-servers", "hooks"];
    let agent = Fields::of(tree, path, &guarded)?;
    if let Some(list) = agent.get("mcpServers") {
        servers(list, &agent.path("mcpServers"), rules)?;
    }
    // The spelling of agent files; no SDK sends it, and `hooks` there are programs.
    match ["mcp-servers", "hooks"].iter().find(|key| agent.get(key).is_some_and(|value| !value.is_off())) {
        Some(key) => Err(agent.deny(key, NOT_KNOWN)),
        None => agent
            .get("workingDirectory")
            .map_or(Ok(()), |value| rules.roots.one(&agent.path("workingDirectory"), value)),
    }
}

fn one(tree: &Tree<'_>, path: &str, rules: &Rules) -> Result<(), Denied> {
    let server = Fields::of(tree, path, GUARDED)?;
    if !rules.stdio_mcp {
        remote_only(&server)?;
    }
    for (key, value) in server.iter() {
        match key {
            "url" if !matches!(value, Tree::Null) => rules.mcp_urls.one(&server.path(key), value)?,
            "cwd" | "workingDirectory" if !matches!(value, Tree::Null) => rules.roots.one(&server.path(key), value)?,
            "command" | "args" | "env" => {}
            _ if HARMLESS.contains(&key) || !matters(value) => {}
            _ => return Err(server.deny(key, NOT_KNOWN)),
        }
    }
    Ok(())
}

/// A server is a program unless it has a `url` and says so: the type `stdio` is what the runtime takes where none is given.
fn remote_only(server: &Fields<'_, '_>) -> Result<(), Denied> {
    if let Some(key) = PROGRAMS.iter().find(|key| server.get(key).is_some()) {
        return Err(server.deny(key, PROGRAM));
    }
    let remote = match server.get("type") {
        None => true,
        Some(kind) => matches!(kind.text(), Some("http" | "sse" | "streamable-http")),
    };
    if remote && server.get("url").is_some() { Ok(()) } else { Err(server.deny("type", PROGRAM)) }
}

/// Whether a value could name anything; a flag or a number cannot.
pub fn matters(value: &Tree<'_>) -> bool {
    match value {
        Tree::Null | Tree::Flag(_) | Tree::Number => false,
        Tree::Text(_) | Tree::Array(_) | Tree::Object(_) => true,
    }
}
