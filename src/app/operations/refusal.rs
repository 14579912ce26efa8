//! Why something is not done, or was not done to its end.

use std::{sync::Arc, time::Duration};

use super::Kind;
use crate::telemetry::Label;

/// Why it is not begun. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::app) enum Refusal {
    /// No pool has such a backend.
    #[error("no backend is named `{0}`")]
    NoBackend(String),
    /// There is no such pool.
    #[error("no pool is named `{0}`")]
    NoPool(String),
    /// Several pools have it.
    #[error("several pools have a backend `{name}`: {}; say which pool", pools.join(", "))]
    Ambiguous {
        /// The backend.
        name: String,
        /// The pools.
        pools: Vec<String>,
    },
    /// Nobody would take placements.
    #[error(
        "pool `{pool}` would be left without a backend that takes sessions: no other than `{backend}` is up and not drained"
    )]
    WouldEmpty {
        /// The pool.
        pool: Arc<str>,
        /// The one that was to be drained.
        backend: Arc<str>,
    },
    /// We did not start it, so we cannot start it again.
    #[error(
        "pilotfish did not start the backends of pool `{0}`, so it cannot restart them: drain one, restart it yourself, undrain it"
    )]
    NotSupervised(Arc<str>),
    /// Each identity has its own: nobody else could take its sessions.
    #[error(
        "pool `{0}` is dedicated: each CLI is one identity's own, and nobody takes its sessions over; restart it instead, which waits until nothing of it runs"
    )]
    Dedicated(Arc<str>),
    /// Something else is under way.
    #[error("another operation is running in this pool: {}", .0.label())]
    Busy(Kind),
    /// The proxy is going away.
    #[error("this pilotfish is stopping")]
    Stopping,
}

/// Why an operation ended before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::app) enum Failure {
    /// The backend could not be taken out.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The work on the backend failed.
    #[error("{0}")]
    Work(String),
    /// It was not healthy again in time.
    #[error("not healthy again after {}s", .0.as_secs())]
    NotBack(Duration),
    /// An operator undrained it meanwhile.
    #[error("it was undrained meanwhile")]
    Undrained,
}
