//! From a client's address to an open socket of a backend: choose, connect, try the next one.

use std::{io, sync::Arc, sync::atomic::Ordering};

use tokio::time::{error::Elapsed, timeout};
use tracing::debug;

use super::ConnectionMode;
use crate::{
    backend::Socket,
    model::Peer,
    pool::Member,
    telemetry::{BackendMetrics, Held, LinkOutcome},
    tls,
};

/// Backends that are tried for one client.
const ATTEMPTS: usize = 3;

/// A backend's socket; the link is counted at the backend as long as this lives.
#[derive(Debug)]
pub struct Dialled {
    /// The socket.
    pub stream: Socket,
    /// Whose it is.
    pub link: Link,
}

/// A link as the policies and the metrics see it.
#[derive(Debug)]
pub struct Link {
    /// The backend.
    pub member: Arc<Member>,
    /// Its metrics.
    pub metrics: Arc<BackendMetrics>,
    _open: Held,
}

impl Link {
    /// Counted before it is open, so that a burst of clients spreads by least connections.
    fn new(member: Arc<Member>, metrics: Arc<BackendMetrics>) -> Self {
        member.links.fetch_add(1, Ordering::Relaxed);
        let open = Held::one(&metrics.links);
        Self { member, metrics, _open: open }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.member.links.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Opens a link for `client`. `None` when nothing is left to try.
pub async fn dial(mode: &ConnectionMode, client: Peer) -> Option<Dialled> {
    let mut tried = Vec::new();
    while tried.len() < ATTEMPTS {
        let member = (mode.choose)(client, &tried)?;
        let link = Link::new(member.clone(), mode.metrics.backend(&member.pool, &member.name));
        match connect(mode, &member).await {
            Ok(stream) => {
                link.metrics.opened.get(LinkOutcome::Ok).inc();
                return Some(Dialled { stream, link });
            }
            Err(failure) => {
                link.metrics.opened.get(outcome(&failure)).inc();
                member.suspect.notify_one();
                debug!(pool = &*member.pool, backend = &*member.name, client.addr = %client, reason = %failure, "cannot connect");
                tried.push(member);
            }
        }
    }
    None
}

async fn connect(mode: &ConnectionMode, member: &Member) -> io::Result<Socket> {
    let limit = mode.settings.connect_timeout;
    timeout(limit, mode.dialer.dial(member, member.incarnation()))
        .await
        .map_err(|_: Elapsed| io::ErrorKind::TimedOut)?
}

fn outcome(failure: &io::Error) -> LinkOutcome {
    if tls::is_final(failure) {
        return LinkOutcome::Tls;
    }
    match failure.kind() {
        io::ErrorKind::ConnectionRefused => LinkOutcome::Refused,
        io::ErrorKind::TimedOut => LinkOutcome::Timeout,
        _ => LinkOutcome::Error,
    }
}
