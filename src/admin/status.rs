//! What the proxy says of itself. Serialised as it stands: a field's name is part of the interface.

use serde::Serialize;

/// The answer of `/status`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// Version of pilotfish.
    pub version: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// Hash of the config in use.
    pub config_hash: String,
    /// Whether it is going away.
    pub drain: DrainStatus,
    /// All listeners.
    pub listeners: Vec<ListenerStatus>,
    /// All pools.
    pub pools: Vec<PoolStatus>,
}

/// Whether and how far the proxy has drained.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DrainStatus {
    /// A drain has begun.
    pub draining: bool,
    /// Seconds until what is left is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u64>,
    /// Turns that are waited for.
    pub turns_running: u64,
    /// Clients that are still connected.
    pub clients: u64,
}

/// One listener.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// The address that it is bound to, with the real port.
    pub address: String,
    /// `session` or `connection`.
    pub mode: String,
    /// The pool behind it.
    pub pool: String,
    /// Clients that are connected.
    pub clients: u64,
}

/// One pool.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// Its placement policy.
    pub policy: String,
    /// `shared` or `local`.
    pub storage: String,
    /// So few backends look healthy that all are used.
    pub panic: bool,
    /// Sessions that this proxy knows, by state.
    pub sessions: SessionCounts,
    /// What takes backends out and back: the operation that runs, or the last one that ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationStatus>,
    /// Those before it, the last one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations_before: Vec<OperationStatus>,
    /// Where its backends are found, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovery: Option<DiscoveryStatus>,
    /// All backends.
    pub backends: Vec<BackendStatus>,
    /// In a dedicated pool: whose CLIs run, are waited for or slept a moment ago.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceStatus>,
}

/// A restart, a rolling restart, or the recycling of a backend.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OperationStatus {
    /// Counts the operations of the pool.
    pub number: u64,
    /// `restart`, `rolling_restart` or `recycle`.
    pub kind: String,
    /// The backend that it is at, or was at last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// `looking`, `draining`, `restarting`, `returning`; over are `done`, `failed`, `stopped`.
    pub step: String,
    /// Seconds that it has been at this step.
    pub since_seconds: u64,
    /// Backends that were taken out and are back.
    pub backends_done: u32,
    /// What the operator should know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why it ended before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Where the backends of a pool are found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DiscoveryStatus {
    /// `dns NAME`, `dns NAME SRV` or `file PATH`.
    pub source: String,
    /// Seconds since it last told of a backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_age_seconds: Option<u64>,
    /// Why it last told of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// Seconds since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_seconds: Option<u64>,
}

/// Sessions by state.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct SessionCounts {
    /// Live, no turn running.
    pub idle: u64,
    /// In a turn.
    pub busy: u64,
    /// Known, live nowhere.
    pub parked: u64,
    /// On their way to another backend.
    pub moving: u64,
    /// Their home is gone.
    pub lost: u64,
}

/// One backend.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BackendStatus {
    /// Its name.
    pub name: String,
    /// Where it is dialled; absent while it is not resolved or not started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `unknown`, `up`, `down`, `draining` or `drained`.
    pub state: String,
    /// Its drain, if it is drained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<BackendDrainStatus>,
    /// Why it is in this state, e.g. the last failure of a health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Seconds that it has been in this state.
    pub since_seconds: u64,
    /// Duration of the last health check that succeeded, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_ms: Option<f64>,
    /// Version that it reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Relative share of placements.
    pub weight: u32,
    /// Sessions that live on it.
    pub sessions: u64,
    /// Links to it.
    pub links: u64,
    /// Turns that run on it.
    pub turns_running: u64,
    /// Seconds since its process was first seen well; absent while it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// Sessions that its process was given in its life.
    pub served_sessions: u64,
    /// Resident memory of its processes, if it is supervised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Open descriptors of the one of its processes that has the most, if it is supervised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<u64>,
    /// Restarts, if it is supervised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u64>,
    /// In a dedicated pool: the tenant, or `tenant/user`, whose it is; absent for a spare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// An instance of a dedicated pool, with a process or without.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InstanceStatus {
    /// The tenant, or `tenant/user`, whose it is; nobody's yet where the phase is `spare`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// `spare`, `asleep`, `queued`, `starting`, `up`, `resting`, `stopping` or `failing`.
    pub phase: String,
    /// Its backend, while it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Its process id, while it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Clients that are in it.
    pub clients: u64,
    /// Sessions that it has or keeps, by state.
    pub sessions: SessionCounts,
    /// Seconds since somebody last had something to do with it.
    pub unused_seconds: u64,
    /// Failures in a row.
    pub failures: u32,
    /// Why it cannot be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far the drain of a backend is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BackendDrainStatus {
    /// Nothing is left on it.
    pub drained: bool,
    /// `config`, `operator`, `restart`, `recycle` or `discovery`.
    pub cause: String,
    /// Why, in the words of whoever began it.
    pub reason: String,
    /// Seconds since it began.
    pub since_seconds: u64,
    /// Seconds until its deadline, 0 after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u64>,
    /// Sessions that still live there.
    pub sessions: u64,
    /// Turns that still run there.
    pub turns: u64,
}

/// Whether new clients should be sent here: ready when there is nothing against it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Readiness {
    /// What is against it.
    pub reasons: Vec<NotReady>,
}

impl Readiness {
    /// Nothing is against it.
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// Why no new clients should be sent here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum NotReady {
    /// Not everything is up yet.
    Starting,
    /// It is going away.
    Draining,
    /// Nothing healthy stands behind a listener.
    NoBackend {
        /// The listener.
        listener: String,
        /// Its pool.
        pool: String,
    },
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Draining => f.write_str("draining"),
            Self::NoBackend { listener, pool } => {
                write!(f, "no healthy backend in pool {pool} of listener {listener}")
            }
        }
    }
}
