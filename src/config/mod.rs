//! The config file: TOML in, [`Config`] or all [`Problems`] out.
//!
//! # Layout
//! - `schema`: every table and key, declared once.
//! - `section`, `kind`: what such a declaration is made of.
//! - `syntax`, `reader`, `check`: mistakes of syntax, of single values, and of values beside each other.
//! - `problem`: how a mistake is told.
//! - `backends`: a file of backends alone, for discovery.
//! - `sample`: the annotated sample.
//!
//! Secrets are read here, from the environment or from files, and never stand in the file or in a problem. What `tenancy`
//! knows of names and `wire` of methods is asked of them.

mod backends;
mod check;
mod kind;
mod problem;
mod reader;
mod sample;
mod schema;
mod section;
mod syntax;
#[cfg(test)]
mod tests;

pub use backends::{backends_file, parse_backends};
pub use kind::{
    Address, HomeTemplate, IdRange, KeyFile, PortRange, Template, Token, TokenSource, WatchedSecret, read_key_file,
    read_secret_file,
};
pub use problem::{Problem, Problems, Severity};
pub use sample::sample;
pub use schema::{
    Admin, Algorithm, Backend, BackendTls, Cleanup, ClientAuth, ConnectionSettings, Discovery, Evict, FreeIds, Guards,
    HashKey, Health, InstanceLimits, Instances, Isolation, Jwt, Limits, Listener, ListenerTls, Lock, Log, LogFormat,
    MethodRules, Mode, OnClientLoss, OnDown, OnStoreLoss, Policy, Pool, Posture, ProtocolRange, ProxyProtocol, Records,
    Recycle, RestartBackoff, Runtime, SessionIds, SessionSettings, Sessions, Share, Shutdown, StartState, Storage,
    Store, StoreKind, StoreTopology, Supervise, Tenant, Timeouts, Users,
};

use std::{collections::BTreeMap, io::Read, path::Path};

use toml::de::DeTable;

use reader::{Reader, Spot};
use section::Section;

/// A file that was taken: every key has a value, and all values agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The process.
    pub runtime: Runtime,
    /// The log.
    pub log: Log,
    /// The address for operators.
    pub admin: Admin,
    /// The end of the process.
    pub shutdown: Shutdown,
    /// What several pilotfishes share.
    pub store: Store,
    /// Where clients connect, in the order of the file; at least one.
    pub listeners: Vec<Listener>,
    /// By name. Every listener's pool is here.
    pub pools: BTreeMap<String, Pool>,
    /// Who shares the pools, in the order of the file; no two of one name.
    pub tenants: Vec<Tenant>,
    /// Tells two texts of the file apart: 16 hexadecimal digits, the same in every process.
    pub fingerprint: String,
    /// What the operator should look at, in the order of the lines.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Who uses the pool.
    pub fn posture(&self, pool: &Pool) -> Posture {
        pool.posture(!self.tenants.is_empty())
    }

    /// The tenants that get into the pool `name`, none where it is open.
    pub fn tenants_of(&self, name: &str) -> Vec<&Tenant> {
        self.pools.get(name).map(|pool| schema::admitted(&self.tenants, name, pool)).unwrap_or_default()
    }
}

/// More is no config file.
const LARGEST: u64 = 1 << 20;

/// Reads and checks the file at `path`, with secrets from this process's environment.
///
/// # Errors
/// Every problem of the file, or the one that it cannot be read.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let name = path.display().to_string();
    let text = read(path).map_err(|found| unreadable(&name, found))?;
    parse(&text, &name, &|variable| std::env::var(variable).ok())
}

/// Checks `text`. `file_name` stands in the problems, and relative secret files are looked for beside it;
/// `env` gives environment variables.
///
/// # Errors
/// Every problem of the text.
pub fn parse(text: &str, file_name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    let mut reader = Reader::new(text, file_name, env);
    let (understood, mistakes) = syntax::survey(text);
    for mistake in &mistakes {
        let spot = Spot { path: String::new(), span: mistake.span.clone() };
        reader.refuse(&spot, mistake.found.clone(), mistake.expected.clone(), None);
    }
    let understood = understood.unwrap_or_default();
    let (table, _) = DeTable::parse_recoverable(&understood);
    let file = if mistakes.is_empty() {
        let file = schema::File::read(&mut reader, table.get_ref(), &Spot::root());
        check::check(&file, &mut reader);
        file
    } else {
        // Keys may be missing only because their line could not be read, so absence proves nothing.
        reader.only_what_is_there(|reader| schema::File::read(reader, table.get_ref(), &Spot::root()))
    };
    let (errors, warnings) = reader.finish();
    if !errors.is_empty() {
        return Err(Problems { errors, warnings });
    }
    let schema::File { runtime, log, admin, shutdown, store, listeners, pools, tenants } = file;
    let fingerprint = format!("{:016x}", crate::balance::hash_key(text.as_bytes()));
    Ok(Config { runtime, log, admin, shutdown, store, listeners, pools, tenants, fingerprint, warnings })
}

fn read(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("a file that cannot be read: {error}"))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| format!("a file that cannot be read: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err("a file larger than 1MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "a file that is not UTF-8".to_owned())
}

fn unreadable(name: &str, found: String) -> Problems {
    let problem = Problem {
        file: name.to_owned(),
        line: 0,
        column: 0,
        severity: Severity::Error,
        key: String::new(),
        found,
        expected: "a readable config file".to_owned(),
        hint: Some("`pilotfish sample` prints one to start from".to_owned()),
    };
    Problems { errors: vec![problem], warnings: Vec::new() }
}
