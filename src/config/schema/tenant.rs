//! `[[tenant]]`: who shares the pools.

use std::path::PathBuf;

use super::{MethodRules, Pool, Posture};
use crate::{
    config::{
        kind::{
            Token, certificate_name, choice, count, grantee, host_folder, list, list_of, name, one_of, optional,
            session_ids, size, slash_command, switch, table, token, url_prefix,
        },
        section::section,
    },
    tls::Name,
};

section! {
    /// One of those who share pools without touching, seeing or learning of each other's sessions.
    pub struct Tenant {
        /// Its name, with which its session ids begin.
        pub name: String = name(), required("\"alice\"");
        /// What its clients `connect` with; several of them while one replaces the other. Files are read again when they change.
        pub tokens: Vec<Token> = list(token()), value("[]");
        /// Names in the certificates of its clients, who need no token then. For listeners that ask for certificates.
        pub certificates: Vec<Name> = list(certificate_name()), value("[]");
        /// Whether its users have their sessions together.
        pub users: Users = one_of::<Users>(), text("together");
        /// The only pools that it may use. Without it: all with posture "tenants".
        pub pools: Option<Vec<String>> = optional(list(name())), absent("[\"copilot\", \"own\"]");
        /// Folders of the backends' hosts in which paths in the params of its calls have to lie.
        pub roots: Vec<PathBuf> = list(host_folder()), value("[]");
        /// Where its sessions may send their prompts: beginnings of the `baseUrl` of a model provider.
        pub provider_urls: Vec<String> = list(url_prefix()), value("[]");
        /// MCP servers that its sessions may use: beginnings of their URLs.
        pub mcp_urls: Vec<String> = list(url_prefix()), value("[]");
        /// Whether its sessions may bring MCP servers that are programs, which run on the backend's host.
        pub stdio_mcp: bool = switch(), value("false");
        /// Slash commands that its calls may invoke besides the harmless ones.
        pub commands: Vec<String> = list(slash_command()), value("[]");
        /// Sessions of its own that others may attach to.
        pub share: Vec<Share> = list_of::<Share>(), value("[]");
        /// MethodRules that it may call or not call, other than the pool and the table of methods say.
        pub methods: MethodRules = table::<MethodRules>(), value("{}");
        /// How much it may use.
        pub limits: Limits = table::<Limits>(), value("{}");
    }
}

choice! {
    /// Whether the users of a tenant are walled off from each other too.
    pub enum Users {
        /// what one has, all of them have
        Together = "together",
        /// each user has sessions that the others of the tenant do not see
        Apart = "apart",
    }
}

section! {
    /// A session, or several, that others may attach to, and do all with but end it.
    pub struct Share {
        /// Its id, or the beginning of ids followed by `*`.
        pub session: String = session_ids(), required("\"alice--board\"");
        /// Who may: tenants, such as "bob", or a user of one, such as "bob/ben".
        pub with: Vec<String> = list(grantee()), required("[\"bob/ben\"]");
    }
}

section! {
    /// How much a tenant may use, in each pool. What is not set has no limit.
    pub struct Limits {
        /// Connections at a time.
        pub connections: Option<u64> = optional(count::<u64>(1, 1_000_000)), absent("100");
        /// Sessions that its clients hold, whether they live or are kept until they are needed.
        pub sessions: Option<u64> = optional(count::<u64>(1, 1_000_000)), absent("200");
        /// Live sessions at a time. What happens to one more is said by the pool's `evict`; only its own ever make way.
        pub live_sessions: Option<u64> = optional(count::<u64>(1, 1_000_000)), absent("40");
        /// Turns at a time.
        pub turns: Option<u64> = optional(count::<u64>(1, 1_000_000)), absent("20");
        /// Messages in a second.
        pub frames_per_second: Option<u64> = optional(count::<u64>(1, 1_000_000_000)), absent("2000");
        /// Bytes in a second.
        pub bytes_per_second: Option<usize> = optional(size(1 << 10, 1 << 40)), absent("\"10MiB\"");
        /// New sessions in a minute.
        pub creates_per_minute: Option<u64> = optional(count::<u64>(1, 1_000_000)), absent("60");
    }
}

/// Those of `tenants` that get into the pool `name`: none where it is open.
pub(in crate::config) fn admitted<'a>(tenants: &'a [Tenant], name: &str, pool: &Pool) -> Vec<&'a Tenant> {
    let gets_in = |tenant: &&Tenant| match pool.posture(!tenants.is_empty()) {
        Posture::Open => false,
        Posture::Dedicated if !pool.is_isolated() => pool.tenant.as_ref() == Some(&tenant.name),
        Posture::Tenants | Posture::Dedicated => {
            tenant.pools.as_ref().is_none_or(|pools| pools.iter().any(|pool| pool == name))
        }
    };
    tenants.iter().filter(gets_in).collect()
}
