//! What the subcommands share that talk to the admin address of a running pilotfish.
//!
//! # Layout
//! - [`Place`], [`AdminArgs`]: which pilotfish, and why.
//! - `desk`: requests and answers.
//! - `watch`: follows what was begun, by `/status`.
//! - [`Outcome`]: what is printed at the end, and the exit code.

mod desk;
mod watch;

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;

pub use self::desk::{AskError, Desk};
pub(super) use self::watch::{drained, operation_ended};

/// Exit code when a deadline passed before the end.
const LATE: u8 = 3;

/// The admin address of a pilotfish whose config says nothing else.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4320);

/// Which pilotfish is asked.
#[derive(Debug, Args)]
pub struct Place {
    /// Its admin address [default: 127.0.0.1:4320]
    #[arg(long, value_name = "ADDR", conflicts_with = "config")]
    admin: Option<String>,
    /// Its config file, which says the admin address
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Which pilotfish is asked, and why.
#[derive(Debug, Args)]
pub struct AdminArgs {
    #[command(flatten)]
    place: Place,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,
}

/// How a subcommand ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As wished; the last line.
    Done(String),
    /// Refused, or begun and failed.
    Failed(String),
    /// It goes on, but its time is over.
    Late(String),
}

impl Place {
    /// Where to ask, for someone who changes nothing. `word` is the subcommand.
    pub fn desk(&self, word: &str) -> Result<Desk, AskError> {
        self.desk_for(format!("pilotfish {word} on the command line"))
    }

    fn desk_for(&self, reason: String) -> Result<Desk, AskError> {
        let address = match (&self.admin, &self.config) {
            (Some(address), _) => address.clone(),
            (None, Some(file)) => configured(file)?.to_string(),
            (None, None) => USUAL.to_string(),
        };
        Ok(Desk::new(address, reason))
    }
}

impl AdminArgs {
    /// Where to ask. `word` is the subcommand, for the record.
    pub fn desk(&self, word: &str) -> Result<Desk, AskError> {
        match &self.reason {
            Some(reason) => self.place.desk_for(reason.clone()),
            None => self.place.desk(word),
        }
    }
}

/// Does a subcommand's work on this thread.
pub(super) fn work<T>(work: impl Future<Output = Result<T, AskError>>) -> Result<T, AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(AskError::Runtime)?.block_on(work)
}

/// Runs a subcommand to its end.
pub fn run(word: &str, todo: impl Future<Output = Result<Outcome, AskError>>) -> ExitCode {
    match work(todo).unwrap_or_else(|error| Outcome::Failed(error.to_string())) {
        // Nobody reads on: that does not undo anything.
        Outcome::Done(line) => {
            let _ = writeln!(std::io::stdout(), "{line}");
            ExitCode::SUCCESS
        }
        Outcome::Failed(why) => {
            let _ = writeln!(std::io::stderr(), "pilotfish {word}: {why}");
            ExitCode::FAILURE
        }
        Outcome::Late(why) => {
            let _ = writeln!(std::io::stderr(), "pilotfish {word}: {why}");
            ExitCode::from(LATE)
        }
    }
}

/// A line about what goes on.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The admin address that a config file says. The rest of the file is not looked at: its secrets need not be here.
fn configured(file: &Path) -> Result<SocketAddr, AskError> {
    let bad = |why: String| AskError::Config { file: file.to_owned(), why };
    let text = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| bad(error.message().to_owned()))?;
    let bind = table.get("admin").and_then(|admin| admin.get("bind"));
    let address = match bind {
        None => USUAL,
        Some(bind) => bind
            .as_str()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| bad("[admin] bind is no IP address with a port".into()))?,
    };
    if address.port() == 0 {
        return Err(bad("[admin] bind has port 0, so the port is known only from the log: use --admin".into()));
    }
    Ok(reachable(address))
}

/// Where to dial somebody who listens everywhere.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// A name of a backend or pool.
pub(super) fn name(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=80).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err("a name has letters, digits, `.`, `_` and `-` only".into())
}

/// A time such as `30s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "write a time such as 30s or 5m".into())
}

/// Words that fit in a header.
fn reason(text: &str) -> Result<String, String> {
    let fits = text.bytes().all(|b| (b' '..=b'~').contains(&b)) && text.len() <= 200;
    if fits && !text.trim().is_empty() {
        return Ok(text.to_owned());
    }
    Err("a reason has 1 to 200 characters of ASCII".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<SocketAddr, AskError> {
        let path = std::env::temp_dir().join(format!("pilotfish-{}.toml", uuid::Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        let address = configured(&path);
        std::fs::remove_file(&path).unwrap();
        address
    }

    #[test]
    fn a_config_says_the_address() {
        let said = |text: &str| file(text).unwrap().to_string();
        assert_eq!(said(""), "127.0.0.1:4320");
        assert_eq!(said("[admin]\nbind = \"10.0.0.1:99\""), "10.0.0.1:99");
        assert_eq!(said("[admin]\nbind = \"0.0.0.0:99\""), "127.0.0.1:99");
        assert_eq!(said("[admin]\nbind = \"[::]:99\"\n[pool.p]\nconnection_token = { env = \"X\" }"), "[::1]:99");
        for bad in ["[admin]\nbind = \"127.0.0.1:0\"", "[admin]\nbind = 7", "[admin"] {
            assert!(file(bad).is_err(), "{bad}");
        }
        assert!(configured(Path::new("/no/such/file")).is_err());
    }

    #[test]
    fn what_would_not_pass_is_refused_at_once() {
        assert!(name("cli-1").is_ok() && name("a/b").is_err() && name("").is_err());
        assert!(reason("new disk").is_ok() && reason("  ").is_err() && reason("neue Größe").is_err());
        assert!(reason(&"x".repeat(201)).is_err());
        assert!(duration("5m").is_ok() && duration("soon").is_err());
    }
}
