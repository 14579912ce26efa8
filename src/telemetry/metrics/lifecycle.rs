//! What is counted of sessions that live nowhere for a while, and of those that wait: for a place, or for their turn.

use prometheus::{Histogram, IntCounter, IntGauge};

use super::{
    families::Families,
    family::ByLabel,
    label::{EvictCause, LockOutcome, WakeOutcome},
};

/// What is counted for the sessions of one pool.
#[derive(Debug)]
pub struct LifecycleMetrics {
    /// Sessions that were closed at their backend and are kept by us.
    pub evictions: ByLabel<EvictCause, IntCounter>,
    /// Those that were needed again.
    pub wakes: ByLabel<WakeOutcome, IntCounter>,
    /// From the request that needs it until it lives, in seconds.
    pub wake_duration: Histogram,
    /// Sessions that live at a backend; set at scrape time.
    pub live: IntGauge,
    /// Sessions that live nowhere; set at scrape time.
    pub parked: IntGauge,
    /// Sessions that wait for a place; set at scrape time.
    pub waiting: IntGauge,
    /// Prompts that needed their session's turn lock.
    pub locks: ByLabel<LockOutcome, IntCounter>,
    /// How long those waited that waited, in seconds.
    pub lock_wait: Histogram,
}

impl LifecycleMetrics {
    pub(super) fn new(of: &Families, pool: &str) -> Self {
        Self {
            evictions: ByLabel::new(|cause| of.evictions.with([pool, cause])),
            wakes: ByLabel::new(|outcome| of.wakes.with([pool, outcome])),
            wake_duration: of.wake_duration.with([pool]),
            live: of.live.with([pool]),
            parked: of.parked.with([pool]),
            waiting: of.admission_waiting.with([pool]),
            locks: ByLabel::new(|outcome| of.turn_locks.with([pool, outcome])),
            lock_wait: of.turn_lock_wait.with([pool]),
        }
    }
}
