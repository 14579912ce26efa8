//! Addresses: where we listen, where we dial, and ranges of ports.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use toml::de::DeValue;

use super::Kind;
use crate::{
    config::reader::{Reader, Spot},
    model::{Endpoint, UNIX},
};

/// What to dial: `host:port`, where the host may be a name, an IPv4 address or an IPv6 address, or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A port.
    Tcp {
        /// Without brackets.
        host: String,
        /// From 1.
        port: u16,
    },
    /// The absolute path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The address itself where the host is one, and for `localhost` the usual one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        let Self::Tcp { host, port } = self else { return None };
        let ip = if host.eq_ignore_ascii_case("localhost") {
            Ipv4Addr::LOCALHOST.into()
        } else {
            host.parse::<IpAddr>().ok()?
        };
        Some((ip, *port).into())
    }

    /// What can be dialled without asking anybody for a name.
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Tcp { .. } => self.tcp().map(Endpoint::Tcp),
            Self::Unix(path) => Some(Endpoint::unix(path)),
        }
    }

    /// The host, where there is one.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp { host, .. } => Some(host),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// Ports from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// At least 1.
    pub first: u16,
    /// At least `first`.
    pub last: u16,
}

impl PortRange {
    /// How many ports these are.
    pub fn count(&self) -> usize {
        usize::from(self.last.saturating_sub(self.first)) + 1
    }

    /// Whether `port` is one of them.
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// An address to dial.
pub(in crate::config) fn address() -> Dial {
    Dial
}

pub(in crate::config) struct Dial;

impl Kind for Dial {
    type Value = Address;

    fn expects(&self) -> String {
        "\"host:port\" with a port from 1 to 65535, or \"unix:/PATH\"".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Address> {
        let text = value.as_str().unwrap_or_default();
        parse_address(text).or_else(|| self.refuse(reader, spot, value, address_hint(text)))
    }

    fn stand_in(&self) -> Address {
        Address::Tcp { host: String::new(), port: 0 }
    }
}

fn parse_address(text: &str) -> Option<Address> {
    if let Some(path) = text.strip_prefix(UNIX) {
        return is_socket_path(path).then(|| Address::Unix(path.into()));
    }
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']').filter(|host| host.parse::<Ipv6Addr>().is_ok())?,
        None => Some(host).filter(|host| is_host(host))?,
    };
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Some(Address::Tcp { host: host.to_owned(), port })
}

/// The kernel takes 107 bytes.
fn is_socket_path(path: &str) -> bool {
    path.starts_with('/') && !path.ends_with('/') && path.len() <= 107 && !path.contains('\0')
}

/// A host's name or an IPv4 address. What looks like an IPv4 address has to be one: no resolver would know `300.1.1.1`.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

fn address_hint(text: &str) -> Option<String> {
    if let Some(path) = text.strip_prefix(UNIX) {
        let long = path.len() > 107;
        return Some(if long { "a path of at most 107 bytes" } else { "an absolute path of a socket" }.to_owned());
    }
    if text.contains("://") {
        return Some("without a scheme: it is plain TCP".to_owned());
    }
    if text.parse::<Ipv6Addr>().is_ok() || (text.matches(':').count() > 1 && !text.contains('[')) {
        return Some("an IPv6 address stands in brackets: \"[::1]:4321\"".to_owned());
    }
    let alone = !text.is_empty() && !text.contains(':') && is_host(text);
    alone.then(|| format!("the port is missing: \"{text}:4321\""))
}

/// An address to listen on.
pub(in crate::config) fn bind() -> Bind {
    Bind
}

pub(in crate::config) struct Bind;

impl Kind for Bind {
    type Value = SocketAddr;

    fn expects(&self) -> String {
        "an IP address and a port such as \"127.0.0.1:4321\" or \"[::1]:4321\"; port 0 takes a free one".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<SocketAddr> {
        let text = value.as_str().unwrap_or_default();
        let parsed = text.parse::<SocketAddr>().ok();
        parsed.or_else(|| self.refuse(reader, spot, value, bind_hint(text)))
    }

    fn stand_in(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }
}

/// An address or a Unix socket to listen on.
pub(in crate::config) fn listen() -> Listen {
    Listen
}

pub(in crate::config) struct Listen;

impl Kind for Listen {
    type Value = Endpoint;

    fn expects(&self) -> String {
        format!("{}, or \"unix:/PATH\"", Bind.expects())
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Endpoint> {
        let text = value.as_str().unwrap_or_default();
        let fits = text.strip_prefix(UNIX).is_none_or(is_socket_path);
        let parsed = text.parse::<Endpoint>().ok().filter(|_| fits);
        parsed.or_else(|| self.refuse(reader, spot, value, bind_hint(text)))
    }

    fn stand_in(&self) -> Endpoint {
        Endpoint::Tcp(Bind.stand_in())
    }
}

fn bind_hint(text: &str) -> Option<String> {
    match text.rsplit_once(':') {
        Some(("localhost", port)) => Some(format!("did you mean `127.0.0.1:{port}`?")),
        Some(("" | "*", port)) => Some(format!("every address is `0.0.0.0:{port}` or `[::]:{port}`")),
        _ => address_hint(text),
    }
}

/// A range of ports.
pub(in crate::config) fn port_range() -> Ports {
    Ports
}

pub(in crate::config) struct Ports;

impl Kind for Ports {
    type Value = PortRange;

    fn expects(&self) -> String {
        "two ports from 1 to 65535, the smaller one first, such as \"4400-4499\"".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<PortRange> {
        value.as_str().and_then(parse_ports).or_else(|| self.refuse(reader, spot, value, None))
    }

    fn stand_in(&self) -> PortRange {
        PortRange { first: 0, last: 0 }
    }
}

fn parse_ports(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-')?;
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    let range = PortRange { first: port(first)?, last: port(last)? };
    (range.first <= range.last).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_dial() {
        for text in [
            "cli-1:4321",
            "127.0.0.1:1",
            "[::1]:1",
            "a.b.example.:65535",
            "my_host:80",
            "LOCALHOST:80",
            "unix:/run/a.sock",
        ] {
            let address = parse_address(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(address.to_string(), text);
        }
        let wrong = [
            "",
            ":",
            "a",
            "a:",
            ":1",
            "a:0",
            "a:65536",
            "a:+1",
            "a:-1",
            "a: 1",
            "a b:1",
            "unix:",
            "unix:a",
            "unix:/a/",
            "::1:1",
            "[::1]",
            "[x]:1",
            "300.1.1.1:1",
            "1.2.3:1",
            "a..b:1",
            "http://a:1",
            "a:1/x",
            "[a]:1",
            "é:1",
        ];
        for text in wrong {
            assert_eq!(parse_address(text), None, "{text}");
        }
        assert_eq!(parse_address("localhost:1").and_then(|a| a.tcp()), Some((Ipv4Addr::LOCALHOST, 1).into()));
        assert_eq!(parse_address("cli-1:1").and_then(|a| a.tcp()), None);
    }

    #[test]
    fn ranges_of_ports() {
        let range = parse_ports("4400-4499").unwrap();
        assert_eq!((range.count(), range.contains(4499), range.contains(4500)), (100, true, false));
        for text in ["", "4400", "4499-4400", "0-5", "1-65536", "a-b", "-1-5", "1--5"] {
            assert_eq!(parse_ports(text), None, "{text}");
        }
    }
}
