//! Parameter guards of a pool that tenants share: the method is allowed, some of its params are not.
//!
//! The host is what they keep a tenant from: its folders, its programs, the addresses that only it can reach, its
//! credentials and its settings. Measured on the CLI 1.0.102, which honours keys that no SDK sends, so what is not known
//! to be harmless may only be a flag or a number.
//!
//! # Layout
//! - `tree`, `fields`: the body, and one object of it. `path`, `url`, `command`: what a value may be.
//! - `session`: create, resume, open; `mcp`: MCP servers; `attachment`: files that a message names.
//! - `setting`: methods that change a session.

mod attachment;
mod command;
mod fields;
mod mcp;
mod path;
mod session;
mod setting;
mod tree;
mod url;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod chaos;

use std::{path::PathBuf, sync::LazyLock};

use memchr::memmem;
use thiserror::Error;

use self::{command::Commands, path::Roots, tree::Tree, url::UrlRules};
use crate::wire::{MethodIndex, Methods};

/// What a tenant may name. The default allows nothing of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardSettings {
    /// Host folders: a path in a param has to be one of them or below one.
    pub roots: Vec<PathBuf>,
    /// Where a model provider may be: `https://host[:port][/path]`, `https://*.domain`, or `*` for anywhere.
    pub provider_urls: Vec<String>,
    /// Where an MCP server may be, written likewise.
    pub mcp_urls: Vec<String>,
    /// Whether an MCP server may be a program on the host.
    pub stdio_mcp: bool,
    /// Slash commands beyond the harmless ones ([`HARMLESS_COMMANDS`]).
    pub commands: Vec<String>,
    /// Keys of `session.create` and `session.resume` that may hold anything, for SDKs newer than this list.
    pub params: Vec<String>,
}

pub use self::command::HARMLESS_COMMANDS;

impl GuardSettings {
    /// Whether every entry can be read, for the config. [`Guards::new`] lets what cannot be read match nothing.
    pub fn check(&self) -> Result<(), GuardError> {
        self.roots.iter().try_for_each(|root| Roots::check(root))?;
        self.provider_urls.iter().chain(&self.mcp_urls).try_for_each(|rule| UrlRules::check(rule))?;
        self.commands.iter().try_for_each(|name| Commands::check(name))
    }
}

/// A setting that cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GuardError {
    /// No plain absolute path.
    #[error("{0:?} is no absolute path without `..`")]
    Root(PathBuf),
    /// No plain address.
    #[error("an allowed address is `https://host[:port][/path]`, `https://*.domain` or `*`")]
    Url,
    /// No name of a slash command.
    #[error("{0:?} is no name of a slash command")]
    Command(String),
}

/// A param that may not be sent.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{key}: {rule} ({hint})")]
pub struct Denied {
    /// The path of the key, `params.mcpServers.*.command`; never a value.
    pub key: String,
    /// The rule, one word for logs and counters.
    pub rule: &'static str,
    /// What to do instead.
    pub hint: &'static str,
}

impl Denied {
    fn at(key: &str, (rule, hint): (&'static str, &'static str)) -> Self {
        Self { key: key.to_owned(), rule, hint }
    }
}

/// Where the guards of a method are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    Session,
    Open,
    Attachments,
    Command(&'static str),
    Setting(setting::Setting),
}

/// The guards of one tenant.
#[derive(Debug)]
pub struct Guards {
    by_method: Box<[Option<Guard>]>,
    rules: Rules,
}

/// What the guards compare with.
#[derive(Debug)]
struct Rules {
    roots: Roots,
    provider_urls: UrlRules,
    mcp_urls: UrlRules,
    stdio_mcp: bool,
    commands: Commands,
    params: Vec<String>,
}

impl Guards {
    /// The guards that `settings` ask for.
    pub fn new(settings: GuardSettings) -> Self {
        let names = Methods::get().names();
        Self {
            by_method: names.into_iter().map(guard_of).collect(),
            rules: Rules {
                roots: Roots::new(&settings.roots),
                provider_urls: UrlRules::new(&settings.provider_urls),
                mcp_urls: UrlRules::new(&settings.mcp_urls),
                stdio_mcp: settings.stdio_mcp,
                commands: Commands::new(&settings.commands),
                params: settings.params,
            },
        }
    }

    /// Whether [`Guards::check`] has to be asked.
    #[inline]
    pub fn guards(&self, method: MethodIndex) -> bool {
        self.guard(method).is_some()
    }

    /// Checks a request. `workspace` is the session's `workspacePath` where its create answer was seen.
    pub fn check(&self, method: MethodIndex, body: &[u8], workspace: Option<&str>) -> Result<(), Denied> {
        const NO_PARAMS: (&str, &str) = ("not_readable", "send one JSON object with its params once");
        let Some(guard) = self.guard(method) else { return Ok(()) };
        if guard == Guard::Attachments && names_no_attachments(body) {
            return Ok(());
        }
        let params = Tree::params(body).ok_or_else(|| Denied::at("params", NO_PARAMS))?;
        match guard {
            Guard::Session => session::check(&params, &self.rules),
            Guard::Open => session::check_open(&params, &self.rules),
            Guard::Attachments => attachment::check(&params, &self.rules.roots, workspace),
            Guard::Command(key) => self.rules.commands.check_params(&params, key),
            Guard::Setting(setting) => setting.check(&params, &self.rules),
        }
    }

    /// Whether a method's guard looks for one key only, so that most bodies pass by a search.
    pub fn may_pass_at_once(&self, method: MethodIndex) -> bool {
        self.guard(method) == Some(Guard::Attachments)
    }

    /// Whether a body of such a method cannot have that key.
    #[inline]
    pub fn passes_at_once(&self, body: &[u8]) -> bool {
        names_no_attachments(body)
    }

    #[inline]
    fn guard(&self, method: MethodIndex) -> Option<Guard> {
        self.by_method.get(usize::from(method.0)).copied().flatten()
    }
}

/// Most messages carry no file: two searches instead of a parse. An escape could spell the key; those of ASCII letters all
/// begin with `\u00`.
#[inline]
fn names_no_attachments(body: &[u8]) -> bool {
    // Searchers are made once: making them took longer than searching 128 bytes.
    static KEY: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("attachments"));
    static ESCAPE: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\\u00"));
    KEY.find(body).is_none() && (memchr::memchr(b'\\', body).is_none() || ESCAPE.find(body).is_none())
}

fn guard_of(method: &str) -> Option<Guard> {
    Some(match method {
        "session.create" | "session.resume" => Guard::Session,
        "sessions.open" => Guard::Open,
        "session.send" | "session.sendMessages" | "session.queue.insertAt" | "session.fleet.start" => {
            Guard::Attachments
        }
        "session.extensions.sendAttachmentsToMessage" => Guard::Attachments,
        "session.commands.invoke" => Guard::Command("name"),
        "session.commands.execute" => Guard::Command("commandName"),
        "session.commands.enqueue" => Guard::Command("command"),
        _ => return setting::of(method).map(Guard::Setting),
    })
}
