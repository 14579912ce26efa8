//! What name servers are asked for, and where they are.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use toml::de::DeValue;

use super::Kind;
use crate::config::reader::{Reader, Spot};

/// The port of name servers.
const PORT: u16 = 53;

/// A name that name servers know.
pub(in crate::config) fn dns_name() -> DnsName {
    DnsName
}

pub(in crate::config) struct DnsName;

impl Kind for DnsName {
    type Value = String;

    fn expects(&self) -> String {
        "a DNS name such as \"copilot-cli.default.svc\" or \"_copilot._tcp.example.org\"".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<String> {
        let text = value.as_str().unwrap_or_default();
        let is_address = text.parse::<IpAddr>().is_ok();
        if is_dns_name(text) && !is_address {
            return Some(text.to_owned());
        }
        let hint = match text.rsplit_once(':') {
            _ if is_address => Some("an address needs no discovery: put it into `backends`".to_owned()),
            Some((name, port)) if is_dns_name(name) => {
                Some(format!("the port stands beside it: dns = \"{name}\", port = {port}"))
            }
            _ => None,
        };
        self.refuse(reader, spot, value, hint)
    }

    fn stand_in(&self) -> String {
        String::new()
    }
}

fn is_dns_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

/// The address of a name server; without a port it is the usual one.
pub(in crate::config) fn dns_server() -> DnsServer {
    DnsServer
}

pub(in crate::config) struct DnsServer;

impl Kind for DnsServer {
    type Value = SocketAddr;

    fn expects(&self) -> String {
        "the IP address of a name server, with or without a port, such as \"10.96.0.10\" or \"127.0.0.1:5353\""
            .to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<SocketAddr> {
        let text = value.as_str().unwrap_or_default();
        let with_port = text.parse::<SocketAddr>().ok().filter(|address| address.port() > 0);
        let address = with_port.or_else(|| text.parse::<IpAddr>().ok().map(|ip| (ip, PORT).into()));
        address.or_else(|| self.refuse(reader, spot, value, None))
    }

    fn stand_in(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, PORT).into()
    }
}
