//! The side-car of those who speak no TLS: takes plain connections on this machine and carries each of them to the proxy over
//! TLS of its own.
//!
//! # Layout
//! - [`Tunnel`]: what its connections share; gives the accept loop its handler.
//! - `road`: the way to the proxy, tried again until it is there.
//! - `opening`: until the proxy has said a first word. Only then it is sure that it takes our certificate.
//! - `apology`: what a client is told that cannot be carried; it sees no TLS.
//!
//! What moves after that is connection mode's ([`relay`]).

mod apology;
mod opening;
mod road;

use std::{sync::Arc, time::Duration};

use tokio::{select, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::road::{Address, NotAnAddress, Road};
use self::{
    opening::{Opened, open},
    road::NoRoad,
};
use super::{
    accept::{Handler, Visitor},
    connection::{Meters, Patience, relay},
    keepalive::Keepalive,
};
use crate::telemetry::{BackendMetrics, ClientEnd, Held, Label, ListenerMetrics, Metrics, logs::Sparing};

/// After how long it is known that the other side has vanished.
const VANISHED: Duration = Duration::from_secs(30);

/// So many who cannot be carried are told of in a second.
const TOLD: u32 = 10;

/// Nothing needs a side that only listens for longer.
const HALF_CLOSED: Duration = Duration::from_secs(300);

/// What all connections share.
pub struct Tunnel {
    road: Road,
    metrics: Arc<Metrics>,
    listener: Arc<ListenerMetrics>,
    proxy: Arc<BackendMetrics>,
    told: Sparing,
    tracker: TaskTracker,
    kill: CancellationToken,
}

impl Tunnel {
    /// A tunnel over `road`, whose tasks run on `tracker` until `kill`.
    pub fn new(road: Road, metrics: Arc<Metrics>, tracker: TaskTracker, kill: CancellationToken) -> Self {
        Self {
            road,
            listener: metrics.listener(NAME),
            proxy: metrics.backend(NAME, "proxy"),
            metrics,
            told: Sparing::of(TOLD, Duration::from_secs(1)),
            tracker,
            kill,
        }
    }

    /// What the accept loop does with a client: one tracked task that dials and carries.
    pub fn handler(self: &Arc<Self>) -> Handler {
        let tunnel = self.clone();
        Arc::new(move |visitor| {
            tunnel.tracker.spawn(tunnel.clone().serve(visitor));
        })
    }

    /// Whether the proxy was there when it was last tried.
    pub fn gets_through(&self) -> bool {
        self.road.gets_through()
    }

    /// Looks once whether the proxy takes us, so that the log says at the start what would be found out later.
    pub async fn try_out(&self) {
        match self.road.try_out().await {
            Ok(to) => tracing::info!(%to, "the proxy is there"),
            Err(reason) => tracing::warn!(%reason, "no way to the proxy now"),
        }
    }

    async fn serve(self: Arc<Self>, visitor: Visitor) {
        let Visitor { mut socket, peer, seat, .. } = visitor;
        let (began, kill) = (Instant::now(), self.kill.child_token());
        Keepalive::default().ask(&socket);
        let opened = select! {
            biased;
            () = kill.cancelled() => return self.listener.closed.get(ClientEnd::Deadline).inc(),
            opened = self.open(&mut socket) => opened,
        };
        let proxy = match opened {
            Ok(Some(proxy)) => proxy,
            Ok(None) => return self.listener.closed.get(ClientEnd::Client).inc(),
            Err(why) => {
                self.listener.closed.get(ClientEnd::NoBackend).inc();
                match self.told.pass() {
                    Some(left_out) => {
                        tracing::warn!(client.addr = %peer, left_out, reason = %why, "cannot carry a client")
                    }
                    None => tracing::debug!(client.addr = %peer, reason = %why, "cannot carry a client"),
                }
                return;
            }
        };
        Keepalive::within(VANISHED).ask(&proxy);
        let _connected = Held::one(&self.listener.connections);
        let meters = Meters { listener: &self.listener, backend: &self.proxy, pressure: &self.metrics.backpressure };
        let patience = Patience { idle: None, half_closed: Some(HALF_CLOSED) };
        let ending = relay(socket, proxy, Vec::new(), false, patience, meters, &kill).await;
        self.listener.closed.get(ending.client).inc();
        tracing::debug!(
            client.addr = %peer,
            reason = ending.client.label(),
            fault = ending.fault.as_ref().map(tracing::field::display),
            dur_ms = began.elapsed().as_secs_f64() * 1e3,
            bytes_in = ending.bytes_in,
            bytes_out = ending.bytes_out,
            "connection ended"
        );
        drop(seat);
    }

    /// A proxy that has said its first word; `None`: nobody wants it any more. Whoever cannot be carried has been told.
    async fn open(&self, client: &mut crate::backend::Socket) -> Result<Option<crate::backend::Socket>, NoRoad> {
        let (mut first, mut last) = (Vec::new(), None);
        // One that accepts and then hangs up, as a load balancer does whose proxies are gone, is asked once more.
        for _ in 0..2 {
            let dialled = self.road.dial().await;
            let opened = match dialled {
                Ok(proxy) => open(client, proxy, &mut first).await,
                Err(why) => Opened::Refused(why),
            };
            match opened {
                Opened::Speaks(proxy) => return Ok(Some(proxy)),
                Opened::Left => return Ok(None),
                Opened::Refused(why) => {
                    self.road.refused();
                    let again = why.may_pass() && first.is_empty() && last.is_none();
                    last = Some(why);
                    if !again {
                        break;
                    }
                }
            }
        }
        let why = last.unwrap_or(NoRoad::Closed);
        apology::tell(client, first, &why.to_string()).await;
        Err(why)
    }
}

/// The listener's name in metrics.
pub const NAME: &str = "tunnel";
