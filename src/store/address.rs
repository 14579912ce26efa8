//! Where a Redis listens, as an operator writes it.

use std::{fmt, path::PathBuf, str::FromStr};

use thiserror::Error;

const PORT: u16 = 6379;

/// Where a Redis listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host's name or IP address, and a port.
    Tcp {
        /// The host.
        host: Box<str>,
        /// The port.
        port: u16,
        /// Whether it is `rediss://`.
        tls: bool,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// `redis://user:password@...`.
    #[error("user and password do not stand in an address: `username` and `password` take them")]
    Credentials,
    /// `redis://host/1`.
    #[error("a database does not stand in an address: `database` takes it")]
    Database,
    /// Another scheme than `redis`, `rediss` and `unix`.
    #[error("the scheme is redis, rediss or unix")]
    Scheme,
    /// No host, or one that cannot be.
    #[error("a host is missing")]
    Host,
    /// A port that is no number from 1 to 65535.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// `unix:` without an absolute path.
    #[error("a socket has an absolute path")]
    Path,
}

impl Address {
    /// A host and a port.
    pub fn tcp(host: &str, port: u16, tls: bool) -> Self {
        Self::Tcp { host: host.into(), port, tls }
    }

    /// Whether it is `rediss://`.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let right = path.starts_with('/') && path.len() > 1 && !path.contains('\0');
            return if right { Ok(Self::Unix(path.into())) } else { Err(AddressError::Path) };
        }
        let (tls, rest) = match text.split_once("://") {
            Some(("redis", rest)) => (false, rest),
            Some(("rediss", rest)) => (true, rest),
            Some(_) => return Err(AddressError::Scheme),
            None => (false, text),
        };
        if rest.contains('@') {
            return Err(AddressError::Credentials);
        }
        let rest = match rest.split_once('/') {
            Some((rest, "")) => rest,
            Some(_) => return Err(AddressError::Database),
            None => rest,
        };
        let (host, port) = host_and_port(rest)?;
        Ok(Self::tcp(host, port, tls))
    }
}

fn host_and_port(text: &str) -> Result<(&str, u16), AddressError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(AddressError::Host)?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(AddressError::Port)?) };
            (host, port)
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(AddressError::Host);
    }
    let port = port.map_or(Ok(PORT), str::parse).map_err(|_| AddressError::Port)?;
    if port == 0 { Err(AddressError::Port) } else { Ok((host, port)) }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_writes() {
        for (text, right) in [
            ("127.0.0.1:6380", Address::tcp("127.0.0.1", 6380, false)),
            ("redis.example.com", Address::tcp("redis.example.com", 6379, false)),
            ("redis://redis-1:7000", Address::tcp("redis-1", 7000, false)),
            ("rediss://redis-1/", Address::tcp("redis-1", 6379, true)),
            ("[::1]:7000", Address::tcp("::1", 7000, false)),
            ("unix:/run/redis.sock", Address::Unix("/run/redis.sock".into())),
            ("unix:///run/redis.sock", Address::Unix("/run/redis.sock".into())),
        ] {
            assert_eq!(text.parse(), Ok(right), "{text}");
        }
    }

    #[test]
    fn what_is_no_address() {
        for (text, why) in [
            ("redis://me:secret@host", AddressError::Credentials),
            ("redis://host/2", AddressError::Database),
            ("http://host", AddressError::Scheme),
            ("", AddressError::Host),
            ("a b:1", AddressError::Host),
            ("host:0", AddressError::Port),
            ("host:x", AddressError::Port),
            ("::1", AddressError::Host),
            ("unix:run.sock", AddressError::Path),
        ] {
            assert_eq!(text.parse::<Address>(), Err(why), "{text}");
        }
    }
}
