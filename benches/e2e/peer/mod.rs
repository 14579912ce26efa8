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

pub use self::pilotfish::Extras;

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
    /// Where operators ask, if it has such an address.
    pub admin: Option<SocketAddr>,
    child: Option<Child>,
    folder: Option<PathBuf>,
}

impl Peer {
    /// Starts one in front of `backends`.
    pub fn start(kind: Kind, backends: &[SocketAddr], binary: &std::path::Path) -> io::Result<Self> {
        match kind {
            Kind::Direct => Ok(Self { addr: backends[0], admin: None, child: None, folder: None }),
            Kind::HaProxy => haproxy::start(backends),
            Kind::Session | Kind::Connection | Kind::Walled => {
                pilotfish::start(kind, &Extras::default(), backends, binary)
            }
        }
    }

    /// Starts a pilotfish with more in its config than the usual.
    pub fn start_with(
        kind: Kind,
        extras: &Extras,
        backends: &[SocketAddr],
        binary: &std::path::Path,
    ) -> io::Result<Self> {
        pilotfish::start(kind, extras, backends, binary)
    }

    /// The address for operators.
    pub fn admin(&self) -> io::Result<SocketAddr> {
        self.admin.ok_or_else(|| io::Error::other("no admin listener"))
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
pub fn folder(name: &str) -> io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("pilotfish-bench-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A port that was free a moment ago, for programs that cannot say which one they took.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
