//! How the backends of a pool are reached.

use std::io;

use super::{Plain, Socket, tls::ClientTls};
use crate::pool::Member;

/// What every connection to a pool's backends has in common. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    tls: Option<ClientTls>,
}

impl Dialer {
    /// With TLS.
    pub fn with_tls(tls: ClientTls) -> Self {
        Self { tls: Some(tls) }
    }

    /// Connects to `member` where it is now, or to that incarnation of it, with TLS where the pool speaks it. Without a
    /// deadline: the caller has one.
    ///
    /// # Errors
    /// It has no address now, or nobody answers there as they should.
    pub async fn dial(&self, member: &Member, incarnation: u64) -> io::Result<Socket> {
        let address = member.former_address(incarnation).or_else(|| member.address());
        let plain = Plain::connect(&address.ok_or(io::ErrorKind::AddrNotAvailable)?).await?;
        match &self.tls {
            None => Ok(plain.into()),
            Some(tls) => tls.connect(plain, member.server_name()).await.map(Socket::Tls),
        }
    }
}
