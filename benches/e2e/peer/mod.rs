//! What stands between generator and backends.

mod haproxy;
mod pilotfish;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command},
};

use crate::machine::PROXY_CORE;

/// The peers, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Direct,
    HaProxy,
    Session,
    Connection,
    /// Session mode with a wall between sixteen tenants.
    Walled,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Direct, Self::HaProxy, Self::Session, Self::Connection, Self::Walled];

    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::HaProxy => "HAProxy tcp",
            Self::Session => "pilotfish session",
            Self::Connection => "pilotfish connection",
            Self::Walled => "pilotfish walled",
        }
    }
}

/// A running peer; dropping it ends its process.
pub struct Peer {
    /// Where clients connect.
    pub addr: SocketAddr,
    child: Option<Child>,
    folder: Option<PathBuf>,
}

impl Peer {
    /// Starts one in front of `backends`.
    pub fn start(kind: Kind, backends: &[SocketAddr], binary: &std::path::Path) -> io::Result<Self> {
        match kind {
            Kind::Direct => Ok(Self { addr: backends[0], child: None, folder: None }),
            Kind::HaProxy => haproxy::start(backends),
            Kind::Session | Kind::Connection | Kind::Walled => pilotfish::start(kind, "", backends, binary),
        }
    }

    /// Starts a walled one that limits its first tenant.
    pub fn start_walled(backends: &[SocketAddr], binary: &std::path::Path, limits: &str) -> io::Result<Self> {
        pilotfish::start(Kind::Walled, limits, backends, binary)
    }

    /// The proxy's process, none for a direct connection.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
        if let Some(folder) = &self.folder {
            std::fs::remove_dir_all(folder).ok();
        }
    }
}

/// `program` on the proxy's core. `taskset` replaces itself, so the pid is the program's.
fn pinned(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", PROXY_CORE]).arg(program);
    command
}

/// A folder for one peer's config.
fn folder(name: &str) -> io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("pilotfish-bench-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A port that was free a moment ago, for programs that cannot say which one they took.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
