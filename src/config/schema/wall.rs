//! What a pool that tenants share says of the wall between them.

use crate::config::{
    kind::{choice, list, method_pattern, name, slash_command, switch, url_prefix},
    section::section,
};

choice! {
    /// Who uses a pool.
    pub enum Posture {
        /// one application that is trusted: every client may do everything with every session
        Open = "open",
        /// tenants that must not touch, see or learn of each other's sessions
        Tenants = "tenants",
        /// the pool's `tenant` alone, who may do nearly everything
        Dedicated = "dedicated",
    }
}

choice! {
    /// How it is known whose a session is.
    pub enum SessionIds {
        /// by the beginning of its id, also after a restart; other ids by who created them
        Prefix = "prefix",
        /// by who created it, which is forgotten at a restart
        Registry = "registry",
    }
}

choice! {
    /// What happens to a session id that does not say whose it is.
    pub enum FreeIds {
        /// it belongs to whoever creates it, until pilotfish ends
        Record = "record",
        /// it is refused
        Refuse = "refuse",
    }
}

section! {
    /// Methods that may or may not be called. A tenant's word counts before its pool's, a longer name before a shorter, `deny` before `allow`.
    pub struct MethodRules {
        /// What may be called though the table of methods denies it.
        pub allow: Vec<String> = list(method_pattern()), value("[]");
        /// What may not be called though the table of methods allows it.
        pub deny: Vec<String> = list(method_pattern()), value("[]");
    }
}

section! {
    /// What every tenant of the pool may name in the params of calls, besides what its own table allows.
    pub struct Guards {
        /// Where sessions may send their prompts: beginnings of the `baseUrl` of a model provider.
        pub provider_urls: Vec<String> = list(url_prefix()), value("[]");
        /// MCP servers that sessions may use: beginnings of their URLs.
        pub mcp_urls: Vec<String> = list(url_prefix()), value("[]");
        /// Whether sessions may bring MCP servers that are programs, which run on the backend's host.
        pub stdio_mcp: bool = switch(), value("false");
        /// Slash commands that calls may invoke besides the harmless ones.
        pub commands: Vec<String> = list(slash_command()), value("[]");
        /// Params of `session.create` and `session.resume` that may hold anything though pilotfish does not know them: for newer SDKs.
        pub params: Vec<String> = list(name()), value("[]");
    }
}
