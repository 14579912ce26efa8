//! Headers of others: who the client is whom a load balancer in front of us brings.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use thiserror::Error;
use tokio::io::AsyncReadExt as _;

use super::{SIGNATURE, TCP_OVER_V4, TCP_OVER_V6, VERSION_2_LOCAL, VERSION_2_PROXY};
use crate::backend::Plain;

/// The fixed part: signature, version and command, family, length of the rest.
const HEAD: usize = 16;

/// Addresses, and whatever extensions a load balancer adds.
const LONGEST: usize = 4 << 10;

/// What a header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The load balancer comes on its own behalf, or its client has no address that we could use.
    Nothing,
    /// Where the client comes from and where it went.
    Between {
        /// The client.
        source: SocketAddr,
        /// The address that it dialled.
        destination: SocketAddr,
    },
}

/// Why there is no header where one has to be.
#[derive(Debug, Error)]
pub enum HeaderFault {
    /// The connection.
    #[error("no whole header: {0}")]
    Io(#[from] io::Error),
    /// Something else came.
    #[error("no header of the PROXY protocol, version 2")]
    Signature,
    /// A command or version that there is not.
    #[error("version and command {0:#04x}, which there is not")]
    Command(u8),
    /// Longer than anybody needs.
    #[error("a header of {0} bytes")]
    TooLong(usize),
    /// Shorter than its family needs.
    #[error("too short for its addresses")]
    TooShort,
}

/// Reads the header, and not a byte more. Without a deadline: the caller has one.
pub async fn read(stream: &mut Plain) -> Result<Told, HeaderFault> {
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await?;
    let length = length(&head)?;
    let mut rest = [0; LONGEST];
    let Some(rest) = rest.get_mut(..length) else { return Err(HeaderFault::TooLong(length)) };
    stream.read_exact(rest).await?;
    addresses(head[12], head[13], rest)
}

/// How much follows the fixed part.
fn length(head: &[u8; HEAD]) -> Result<usize, HeaderFault> {
    if head[..SIGNATURE.len()] != SIGNATURE {
        return Err(HeaderFault::Signature);
    }
    if !matches!(head[12], VERSION_2_LOCAL | VERSION_2_PROXY) {
        return Err(HeaderFault::Command(head[12]));
    }
    match usize::from(u16::from_be_bytes([head[14], head[15]])) {
        length if length > LONGEST => Err(HeaderFault::TooLong(length)),
        length => Ok(length),
    }
}

/// The addresses, which stand first; extensions behind them are not looked at. Of other families (Unix sockets, datagrams,
/// unknown ones) nothing is taken.
fn addresses(command: u8, family: u8, rest: &[u8]) -> Result<Told, HeaderFault> {
    let both = match (command, family) {
        (VERSION_2_PROXY, TCP_OVER_V4) => pair::<4>(rest),
        (VERSION_2_PROXY, TCP_OVER_V6) => pair::<16>(rest),
        _ => return Ok(Told::Nothing),
    };
    let (source, destination) = both.ok_or(HeaderFault::TooShort)?;
    Ok(Told::Between { source, destination })
}

fn pair<const N: usize>(rest: &[u8]) -> Option<(SocketAddr, SocketAddr)>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = rest.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (ports, _) = rest.split_first_chunk::<4>()?;
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    Some(((IpAddr::from(*source), port(0)).into(), (IpAddr::from(*destination), port(2)).into()))
}

#[cfg(test)]
mod tests {
    use super::{super::proxied, *};

    fn parse(header: &[u8]) -> Result<Told, HeaderFault> {
        let head: [u8; HEAD] = header[..HEAD].try_into().unwrap();
        let length = length(&head)?;
        addresses(head[12], head[13], &header[HEAD..][..length])
    }

    #[test]
    fn what_we_write_we_read() {
        for (from, to) in [("1.2.3.4:5", "6.7.8.9:10"), ("[2001:db8::1]:5", "[2001:db8::2]:10")] {
            let (source, destination) = (from.parse().unwrap(), to.parse().unwrap());
            let header = proxied(source, destination);
            assert_eq!(parse(&header).unwrap(), Told::Between { source, destination });
        }
        assert_eq!(parse(&super::super::local()).unwrap(), Told::Nothing);
    }

    #[test]
    fn extensions_and_other_families_are_passed_over() {
        let mut header = proxied("1.2.3.4:5".parse().unwrap(), "6.7.8.9:10".parse().unwrap());
        header.extend([0x03, 0, 4, 1, 2, 3, 4]);
        header[15] += 7;
        assert!(matches!(parse(&header).unwrap(), Told::Between { source, .. } if source.port() == 5));
        header[13] = 0x31;
        assert_eq!(parse(&header).unwrap(), Told::Nothing, "a Unix socket");
        header[12] = 0x20;
        assert_eq!(parse(&header).unwrap(), Told::Nothing, "its own health check");
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let right = proxied("1.2.3.4:5".parse().unwrap(), "6.7.8.9:10".parse().unwrap());
        let with = |at: usize, byte: u8| {
            let mut header = right.clone();
            header[at] = byte;
            header
        };
        assert!(matches!(parse(&with(0, b'P')), Err(HeaderFault::Signature)));
        assert!(matches!(parse(&with(12, 0x11)), Err(HeaderFault::Command(0x11))));
        assert!(matches!(parse(&with(12, 0x22)), Err(HeaderFault::Command(0x22))));
        assert!(matches!(parse(&with(14, 0xff)), Err(HeaderFault::TooLong(_))));
        assert!(matches!(parse(&with(15, 11)), Err(HeaderFault::TooShort)));
    }

    #[tokio::test]
    async fn not_a_byte_more_is_read() {
        use tokio::io::AsyncWriteExt as _;
        let (near, mut far) = tokio::net::UnixStream::pair().unwrap();
        let mut near = Plain::Unix(near);
        let mut header = proxied("1.2.3.4:5".parse().unwrap(), "6.7.8.9:10".parse().unwrap());
        header.extend(b"first");
        far.write_all(&header).await.unwrap();
        drop(far);
        assert!(matches!(read(&mut near).await.unwrap(), Told::Between { .. }));
        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"first");
        assert!(matches!(read(&mut near).await, Err(HeaderFault::Io(_))), "cut off");
    }
}
