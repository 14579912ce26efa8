//! Connection mode (layer 4): one backend for each client connection, bytes only, any protocol.
//!
//! # Layout
//! - [`ConnectionMode`]: what the clients of one listener share; gives the accept loop its handler.
//! - `dial`: choose a backend, connect, try the next one.
//! - `relay`: one task moves both directions, with half-close.
//! - `flow`: one direction; `pipe`: the way through the kernel for bulk.

mod dial;
mod flow;
mod pipe;
mod relay;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::{select, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

pub use self::relay::Patience;
pub(super) use self::relay::{Meters, relay};
use self::{
    dial::{Dialled, dial},
    relay::Ending,
};
use super::accept::{Handler, Listener, Listening, Visitor};
pub use super::{keepalive::Keepalive, proxy_header};
use crate::{
    backend::{Dialer, Socket},
    model::Peer,
    pool::Member,
    telemetry::{ClientEnd, Held, Label, LinkEnd, ListenerMetrics, Metrics},
};

/// Chooses a backend for a client at this address, other than those in the slice, which did not answer.
pub type Choose = Arc<dyn Fn(Peer, &[Arc<Member>]) -> Option<Arc<Member>> + Send + Sync>;

/// Whether the backend is told who the client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// No.
    #[default]
    Off,
    /// By a binary header of the PROXY protocol, version 2, in front of the client's first byte.
    V2,
}

/// How a listener in connection mode behaves.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionSettings {
    /// Longest wait for a backend's port.
    pub connect_timeout: Duration,
    /// How long nothing may move before both sides are closed.
    pub patience: Patience,
    /// PROXY protocol towards the backend.
    pub proxy_protocol: ProxyProtocol,
    /// Clients at the same time.
    pub max_clients: usize,
    /// Keepalive questions on both sockets; `None` = none.
    pub keepalive: Option<Keepalive>,
    /// Longest wait for the acknowledgement of sent bytes (TCP_USER_TIMEOUT); `None` = the kernel's.
    pub user_timeout: Option<Duration>,
    /// Move bulk through the kernel.
    pub splice: bool,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            patience: Patience { idle: None, half_closed: Some(Duration::from_secs(300)) },
            proxy_protocol: ProxyProtocol::Off,
            max_clients: 10_000,
            keepalive: Some(Keepalive::default()),
            user_timeout: None,
            splice: false,
        }
    }
}

/// What the clients of one listener in connection mode share.
pub struct ConnectionMode {
    /// How it behaves.
    pub settings: ConnectionSettings,
    /// The policy.
    pub choose: Choose,
    /// How the backends are reached.
    pub dialer: Dialer,
    /// All metrics.
    pub metrics: Arc<Metrics>,
    /// The listener's own.
    pub listener: Arc<ListenerMetrics>,
    /// Counts the connection tasks.
    pub tracker: TaskTracker,
    /// Cuts every connection: the drain's deadline, or a second signal.
    pub kill: CancellationToken,
}

impl ConnectionMode {
    /// What the accept loop does with a client: one tracked task that dials and relays.
    pub fn handler(self) -> Handler {
        let mode = Arc::new(self);
        Arc::new(move |visitor| {
            let tracker = mode.tracker.clone();
            tracker.spawn(serve(mode.clone(), visitor));
        })
    }
}

/// Serves `socket` in connection mode until `drain` is cancelled: then it closes the
/// socket and returns, while the connections run on, counted by the tracker, until they end or `kill` is cancelled.
pub async fn run(name: &str, socket: Listening, mode: ConnectionMode, drain: CancellationToken) -> io::Result<()> {
    let (listener, most) = (mode.listener.clone(), mode.settings.max_clients);
    Listener::new(name, socket, most, listener, mode.handler()).accept_until(drain.cancelled()).await
}

async fn serve(mode: Arc<ConnectionMode>, visitor: Visitor) {
    let Visitor { socket: client, peer, seat, destination, .. } = visitor;
    let began = Instant::now();
    // A token of its own: all connections of a listener polling one would share a lock.
    let kill = mode.kill.child_token();
    let dialled = select! {
        biased;
        () = kill.cancelled() => None,
        dialled = dial(&mode, peer) => dialled,
    };
    let Some(Dialled { stream, link }) = dialled else {
        let end = if kill.is_cancelled() { ClientEnd::Deadline } else { ClientEnd::NoBackend };
        mode.listener.closed.get(end).inc();
        return;
    };
    let _connected = Held::one(&mode.listener.connections);
    for socket in [&client, &stream] {
        tune(socket, &mode.settings);
    }
    let first = greeting(&mode.settings, peer, destination.or_else(|| client.base().local_addr()));
    let meters = Meters { listener: &mode.listener, backend: &link.metrics, pressure: &mode.metrics.backpressure };
    let ending = relay(client, stream, first, mode.settings.splice, mode.settings.patience, meters, &kill).await;
    if ending.link == LinkEnd::Reset {
        link.member.suspect.notify_one();
    }
    mode.listener.closed.get(ending.client).inc();
    link.metrics.closed.get(ending.link).inc();
    report(&ending, peer, &link.member, began);
    drop(seat);
}

fn report(ending: &Ending, peer: Peer, member: &Member, began: Instant) {
    debug!(
        client.addr = %peer,
        pool = &*member.pool,
        backend = &*member.name,
        reason = ending.client.label(),
        fault = ending.fault.as_ref().map(tracing::field::display),
        dur_ms = began.elapsed().as_secs_f64() * 1e3,
        bytes_in = ending.bytes_in,
        bytes_out = ending.bytes_out,
        "connection ended"
    );
}

fn greeting(settings: &ConnectionSettings, peer: Peer, destination: Option<SocketAddr>) -> Vec<u8> {
    if settings.proxy_protocol == ProxyProtocol::Off {
        return Vec::new();
    }
    let both = peer.address().zip(destination);
    both.map_or_else(proxy_header::local, |(peer, local)| proxy_header::proxied(peer, local))
}

/// These options only make a dead peer known sooner: a socket that refuses one works all the same.
fn tune(socket: &Socket, settings: &ConnectionSettings) {
    if let Some(keepalive) = settings.keepalive {
        keepalive.ask(socket);
    }
    if let Some(tcp) = socket.tcp().filter(|_| settings.user_timeout.is_some()) {
        let _ = SockRef::from(tcp).set_tcp_user_timeout(settings.user_timeout);
    }
}
