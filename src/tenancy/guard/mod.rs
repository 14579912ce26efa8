//! Params that tenants may not set. A place holder with the names that others build against.

use std::path::PathBuf;

use crate::wire::MethodIndex;

/// What a tenant's params may name. The default refuses.
#[derive(Clone, Debug, Default)]
pub struct GuardSettings {
    /// Folders that paths have to lie in.
    pub roots: Vec<PathBuf>,
    /// Beginnings of a provider's `baseUrl`.
    pub provider_urls: Vec<String>,
    /// Beginnings of an MCP server's URL.
    pub mcp_urls: Vec<String>,
    /// MCP servers that are programs.
    pub stdio_mcp: bool,
    /// Slash commands besides the harmless ones.
    pub commands: Vec<String>,
}

/// The guards of one tenant.
#[derive(Debug)]
pub struct Guards;

/// A param that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The path of the key.
    pub key: String,
    /// The rule.
    pub rule: &'static str,
    /// What would be allowed.
    pub hint: &'static str,
}

impl Guards {
    /// Guards that work by `settings`.
    pub fn new(_settings: GuardSettings) -> Self {
        Self
    }

    /// Whether the params of `method` are looked at.
    pub fn guards(&self, _method: MethodIndex) -> bool {
        false
    }

    /// Whether the params are allowed.
    pub fn check(&self, _method: MethodIndex, _name: &str, _body: &[u8]) -> Result<(), Denied> {
        Ok(())
    }
}
