//! How a listener in session mode behaves, and what its clients share.

use std::{sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;

use super::{Door, Lobby, stage::Stages, turnlock::LockPolicy};
use crate::{
    backend::Dialer,
    model::Secret,
    route::{Quarters, Router},
    session::expiry::Ephemeral,
    telemetry::{BackendMetrics, ListenerMetrics, Metrics, PoolMetrics},
    tenancy::{Login, Patience as AddressPatience, Wall},
    wire::methods::Patience,
};

/// What the operator set for one listener.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Longest frame from a client, bytes.
    pub max_frame: usize,
    /// Longest frame from a backend, bytes.
    pub max_backend_frame: usize,
    /// A header must be whole this long after its first byte.
    pub header_timeout: Duration,
    /// A body may stand still this long.
    pub body_timeout: Duration,
    /// A client must show its token within this time, where one is required.
    pub auth_timeout: Duration,
    /// The token that clients must `connect` with.
    pub token: Option<Secret>,
    /// The token that backends want.
    pub backend_token: Option<Secret>,
    /// Open requests of one client.
    pub max_in_flight: usize,
    /// Bytes that may wait for one socket before the reading behind it stops.
    pub high_watermark: usize,
    /// Longest wait for a backend's port and its answer to `connect`.
    pub connect_timeout: Duration,
    /// Deadline of requests that are answered from memory or disk.
    pub quick_timeout: Duration,
    /// Deadline of requests that start or load a session.
    pub create_timeout: Duration,
    /// Deadline of requests that may run tools, models or dialogues.
    pub long_timeout: Duration,
    /// Lets `runtime.shutdown` through to the client's backend.
    pub allow_shutdown: bool,
    /// A lost link makes the probe look at once.
    pub passive_health: bool,
    /// Links to a backend that health calls down are cut; otherwise they stay, for it may only be busy.
    pub cut_when_down: bool,
    /// Sessions of a lost backend are opened elsewhere.
    pub rehome: bool,
    /// Requests of a session wait no longer than this for its new home.
    pub rehome_wait: Duration,
    /// Who may send prompts to a session while another client's turn runs.
    pub lock: LockPolicy,
    /// How long prompts wait for that.
    pub lock_timeout: Duration,
    /// Who finds no room for a session waits no longer than this.
    pub queue_timeout: Duration,
    /// Longest wait for a backend that is to close or open a session which moves.
    pub move_timeout: Duration,
    /// A turn whose client is lost goes on for so long; `None`: it ends with its client.
    pub linger: Option<Duration>,
    /// Which sessions end with their clients.
    pub ephemeral: Ephemeral,
    /// What only a lost client could answer is refused after this.
    pub orphan_wait: Duration,
    /// A turn of which nothing was heard for so long is looked at; `None`: never.
    pub stall_after: Option<Duration>,
    /// A client that vanished is known after this.
    pub client_timeout: Duration,
    /// Series by tenant; otherwise all tenants count as one.
    pub tenant_metrics: bool,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            max_frame: 32 << 20,
            max_backend_frame: 64 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            auth_timeout: Duration::from_secs(5),
            token: None,
            backend_token: None,
            max_in_flight: 1024,
            high_watermark: 1 << 20,
            connect_timeout: Duration::from_secs(2),
            quick_timeout: Duration::from_secs(30),
            create_timeout: Duration::from_secs(60),
            long_timeout: Duration::from_secs(600),
            allow_shutdown: false,
            passive_health: true,
            cut_when_down: false,
            rehome: true,
            rehome_wait: Duration::from_secs(30),
            lock: LockPolicy::Off,
            lock_timeout: Duration::from_secs(300),
            queue_timeout: Duration::from_secs(30),
            move_timeout: Duration::from_secs(10),
            linger: Some(Duration::from_secs(60)),
            ephemeral: Ephemeral { unnamed: true, ..Ephemeral::default() },
            orphan_wait: Duration::from_secs(30),
            stall_after: Some(Duration::from_secs(600)),
            client_timeout: Duration::from_secs(60),
            tenant_metrics: false,
        }
    }
}

impl SessionSettings {
    /// The deadline of a request.
    pub fn patience(&self, patience: Patience) -> Duration {
        match patience {
            Patience::Quick => self.quick_timeout,
            Patience::Create => self.create_timeout,
            Patience::Long => self.long_timeout,
        }
    }

    /// How often a client with something to wait for looks at its deadlines: a quarter of the shortest, at most a second.
    pub fn tick(&self) -> Duration {
        let all = [self.header_timeout, self.body_timeout, self.auth_timeout, self.quick_timeout, self.create_timeout];
        let shortest = all.into_iter().chain([self.long_timeout]).chain(self.stall_after).min().unwrap_or_default();
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}

/// What all clients of a listener share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// What the operator set.
    pub settings: SessionSettings,
    /// How its backends are reached.
    pub dialer: Dialer,
    /// Where sessions go.
    pub router: Router,
    /// Where each identity has a backend of its own: who knows it. Until a client has said who it is, its router leads nowhere.
    pub quarters: Option<Arc<dyn Quarters>>,
    /// The wall between the pool's tenants; `None` in an open pool.
    pub wall: Option<Arc<Wall>>,
    /// How clients say who they are; `None` in an open pool, where `settings.token` is all that is asked for.
    pub login: Option<Arc<Login>>,
    /// What addresses did that showed wrong tokens.
    pub patience: Arc<AddressPatience>,
    /// Clients that have not said who they are.
    pub lobby: Arc<Lobby>,
    /// Addresses that flood.
    pub door: Arc<Door>,
    /// All metrics.
    pub metrics: Arc<Metrics>,
    /// Those of the listener.
    pub listener: Arc<ListenerMetrics>,
    /// Those of the pool.
    pub pool: Arc<PoolMetrics>,
    /// Client tasks.
    pub tracker: TaskTracker,
    /// How far the proxy is on its way to its end.
    pub stage: Stages,
    /// Clients of this process so far, for their numbers.
    pub clients: Arc<std::sync::atomic::AtomicU32>,
}

impl Shared {
    /// Whether a client may be refused for what it is: by its token, or because its tenant has too many connections.
    pub fn may_turn_away(&self) -> bool {
        self.login.is_some() || self.asks()
    }

    /// Whether a client has to show something before it may do anything.
    pub fn asks(&self) -> bool {
        self.login.as_ref().map_or(self.settings.token.is_some(), |login| login.asks())
    }

    /// The metrics of a backend. A look-up: once for each link.
    pub fn backend(&self, name: &str) -> Arc<BackendMetrics> {
        self.metrics.backend(self.router.pool().name(), name)
    }
}
