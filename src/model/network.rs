//! Ranges of addresses.

use core::{fmt, net::IpAddr, str::FromStr};

use super::{Peer, UNIX};

/// Who is meant by an address, a range of addresses, or by coming through a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// Addresses whose first bits are these.
    Range {
        /// One of them; an IPv4 one never as an IPv6 one.
        address: IpAddr,
        /// How many bits count.
        bits: u8,
    },
    /// Those who come through a Unix socket.
    Local,
}

impl Network {
    /// Whether `peer` is one of them.
    pub fn holds(&self, peer: &Peer) -> bool {
        match (self, peer) {
            (Self::Local, Peer::Local { .. }) => true,
            (Self::Range { address, bits }, Peer::Remote(from)) => match (address, from.ip().to_canonical()) {
                (IpAddr::V4(address), IpAddr::V4(from)) => {
                    (address.to_bits() ^ from.to_bits()).leading_zeros() >= u32::from(*bits)
                }
                (IpAddr::V6(address), IpAddr::V6(from)) => {
                    (address.to_bits() ^ from.to_bits()).leading_zeros() >= u32::from(*bits)
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// Not an address, a range in CIDR notation, or `unix:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        if text == UNIX {
            return Ok(Self::Local);
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address = address.parse::<IpAddr>().map_err(|_| NotANetwork)?.to_canonical();
        let all = if address.is_ipv4() { 32 } else { 128 };
        let digits = bits.filter(|bits| bits.len() <= 3 && bits.bytes().all(|digit| digit.is_ascii_digit()));
        let bits = match (bits, digits) {
            (None, _) => all,
            (Some(_), Some(digits)) => digits.parse().map_err(|_| NotANetwork)?,
            _ => return Err(NotANetwork),
        };
        if bits > all { Err(NotANetwork) } else { Ok(Self::Range { address, bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { address, bits } => write!(f, "{address}/{bits}"),
            Self::Local => f.write_str(UNIX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_a_network() {
        let holds = |network: &str, peer: &str| {
            network.parse::<Network>().unwrap().holds(&Peer::Remote(format!("{peer}:1").parse().unwrap()))
        };
        assert!(holds("10.0.0.0/8", "10.1.2.3") && !holds("10.0.0.0/8", "11.1.2.3"));
        assert!(holds("10.0.0.0/8", "[::ffff:10.1.2.3]"), "IPv4 at an IPv6 socket");
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("2001:db8::/33", "[2001:db8:1::1]") && !holds("2001:db8::/33", "[2001:db8:8000::1]"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "[::1]") && holds("::/0", "[::1]"));
        let local = Peer::Local { user: 0, process: 0 };
        assert!("unix:".parse::<Network>().unwrap().holds(&local));
        assert!(!"0.0.0.0/0".parse::<Network>().unwrap().holds(&local));
        for wrong in
            ["", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "a/8", "10.0.0.0/+8", "10.0.0.0/8/8", "unix"]
        {
            assert_eq!(wrong.parse::<Network>(), Err(NotANetwork), "{wrong}");
        }
    }
}
