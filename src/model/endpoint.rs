//! Where something listens, and who comes from where.

use core::{
    fmt,
    net::{AddrParseError, IpAddr, SocketAddr},
    str::FromStr,
};
use std::{path::Path, sync::Arc};

/// What the address of a Unix socket begins with in the config and in logs.
pub const UNIX: &str = "unix:";

/// An address that can be dialled or listened on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(Arc<Path>),
}

impl Endpoint {
    /// A Unix socket at `path`.
    pub fn unix(path: impl AsRef<Path>) -> Self {
        Self::Unix(path.as_ref().into())
    }

    /// The address, where it is one of TCP.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Whether only programs of this machine get there.
    pub fn is_local(&self) -> bool {
        self.tcp().is_none_or(|address| address.ip().is_loopback())
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<([u8; 4], u16)> for Endpoint {
    fn from(address: ([u8; 4], u16)) -> Self {
        Self::Tcp(address.into())
    }
}

/// An IP address and a port, or `unix:` and a path.
impl FromStr for Endpoint {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        match text.strip_prefix(UNIX) {
            Some(path) if path.starts_with('/') => Ok(Self::unix(path)),
            _ => text.parse().map(Self::Tcp),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// Where a client comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// Over the network.
    Remote(SocketAddr),
    /// Through a Unix socket: what the kernel says of the program.
    Local {
        /// Its user's number.
        user: u32,
        /// Its process.
        process: u32,
    },
}

impl Peer {
    /// What all clients of one machine or user have in common.
    pub fn host(&self) -> Host {
        match self {
            Self::Remote(address) => Host::Ip(address.ip().to_canonical()),
            Self::Local { user, .. } => Host::User(*user),
        }
    }

    /// Its address, where it has one.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Remote(address) => Some(*address),
            Self::Local { .. } => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Remote(address)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(address) => address.fmt(f),
            Self::Local { user, process } => write!(f, "{UNIX}uid={user},pid={process}"),
        }
    }
}

/// What counts as one machine where clients are counted: an address, or a user of our own machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address, an IPv4 one never as an IPv6 one.
    Ip(IpAddr),
    /// The user's number.
    User(u32),
}

impl<A: Into<IpAddr>> From<A> for Host {
    fn from(address: A) -> Self {
        Self::Ip(address.into().to_canonical())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::User(user) => write!(f, "{UNIX}uid={user}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_read_as_the_config_has_them() {
        assert_eq!(Endpoint::from(([127, 0, 0, 1], 80)).to_string(), "127.0.0.1:80");
        assert_eq!(Endpoint::unix("/run/a.sock").to_string(), "unix:/run/a.sock");
        let local = Peer::Local { user: 7, process: 9 };
        assert_eq!((local.to_string().as_str(), local.host()), ("unix:uid=7,pid=9", Host::User(7)));
    }

    #[test]
    fn one_machine_is_one_host() {
        let host = |text: &str| Peer::Remote(text.parse().unwrap()).host();
        assert_eq!(host("127.0.0.1:1"), host("[::ffff:127.0.0.1]:2"));
        assert_ne!(host("127.0.0.1:1"), host("127.0.0.2:1"));
    }
}
