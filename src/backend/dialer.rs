//! How the backends of a pool are reached.

use std::{io, sync::Arc, time::Duration};

use super::{Plain, Socket, tls::ClientTls};
use crate::{
    pool::Member,
    telemetry::logs::Sparing,
    tls::{Side, is_final},
};

/// Who the other side is, in words for the log.
const BACKEND: Side<'static> = Side { other: "the backend", trusted: "the pool's `tls.ca` (or the system's)" };

/// A certificate that is not right is told so often.
const TOLD: Duration = Duration::from_secs(10);

/// What every connection to a pool's backends has in common. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    tls: Option<(ClientTls, Arc<Sparing>)>,
}

impl Dialer {
    /// With TLS.
    pub fn with_tls(tls: ClientTls) -> Self {
        Self { tls: Some((tls, Arc::new(Sparing::new(TOLD)))) }
    }

    /// Connects to `member` where it is now, or to that incarnation of it, with TLS where the pool speaks it. Without a
    /// deadline: the caller has one.
    ///
    /// # Errors
    /// It has no address now, or nobody answers there as they should.
    pub async fn dial(&self, member: &Member, incarnation: u64) -> io::Result<Socket> {
        let address = member.former_address(incarnation).or_else(|| member.address());
        let plain = Plain::connect(&address.ok_or(io::ErrorKind::AddrNotAvailable)?).await?;
        let Some((tls, told)) = &self.tls else { return Ok(plain.into()) };
        tls.connect(plain, member.server_name()).await.map(Socket::Tls).inspect_err(|error| {
            if is_final(error)
                && let Some(left_out) = told.pass()
            {
                let reason = BACKEND.explain(error);
                tracing::warn!(pool = %member.pool, backend = %member.name, left_out, reason, "no TLS with a backend");
            }
        })
    }
}
