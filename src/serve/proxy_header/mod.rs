//! The PROXY protocol's header, version 2 (binary): tells the backend who the client is, and us where a load balancer stands in
//! front.
//!
//! Layout: 12 bytes of signature, version and command, family and transport, length of the rest (big endian), source
//! address, destination address, source port, destination port.

mod reading;

use std::net::{IpAddr, SocketAddr};

pub(crate) use self::reading::{HeaderFault, Told, read};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const VERSION_2_PROXY: u8 = 0x21;
const VERSION_2_LOCAL: u8 = 0x20;
const TCP_OVER_V4: u8 = 0x11;
const TCP_OVER_V6: u8 = 0x21;

/// The header of a connection from `source` that arrived at `destination`. An IPv4 client of an IPv6 socket
/// (`::ffff:a.b.c.d`) is announced as IPv4. Addresses of different families, which one socket cannot have, are
/// announced as [`local`].
pub fn proxied(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header(VERSION_2_PROXY, TCP_OVER_V4, &[&from.octets(), &to.octets(), &ports])
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            header(VERSION_2_PROXY, TCP_OVER_V6, &[&from.octets(), &to.octets(), &ports])
        }
        _ => local(),
    }
}

/// The header of a connection that we make on our own behalf, such as a health check.
pub fn local() -> Vec<u8> {
    header(VERSION_2_LOCAL, 0, &[])
}

fn header(command: u8, family: u8, parts: &[&[u8]]) -> Vec<u8> {
    let rest = parts.concat();
    let mut header = SIGNATURE.to_vec();
    header.extend([command, family]);
    // At most 36 bytes: the addresses above.
    header.extend((rest.len() as u16).to_be_bytes());
    header.extend(rest);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    // Section 2.2 of proxy-protocol.txt, written out by hand.
    const SIGN: &str = "0d0a0d0a000d0a515549540a";

    #[test]
    fn ipv4() {
        let made = proxied("192.168.1.2:56324".parse().unwrap(), "10.0.0.7:443".parse().unwrap());
        assert_eq!(hex(&made), format!("{SIGN}2111000cc0a801020a000007dc0401bb"));
        assert_eq!(made.len(), 28);
    }

    #[test]
    fn ipv6() {
        let made = proxied("[2001:db8::1]:4000".parse().unwrap(), "[2001:db8::ff]:4321".parse().unwrap());
        let (from, to) = ("20010db8000000000000000000000001", "20010db80000000000000000000000ff");
        assert_eq!(hex(&made), format!("{SIGN}21210024{from}{to}0fa010e1"));
        assert_eq!(made.len(), 52);
    }

    #[test]
    fn ipv4_on_an_ipv6_socket() {
        let mapped = proxied("[::ffff:127.0.0.1]:1".parse().unwrap(), "[::ffff:127.0.0.2]:2".parse().unwrap());
        assert_eq!(mapped, proxied("127.0.0.1:1".parse().unwrap(), "127.0.0.2:2".parse().unwrap()));
    }

    #[test]
    fn our_own() {
        assert_eq!(hex(&local()), format!("{SIGN}20000000"));
        assert_eq!(proxied("127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()), local());
    }
}
