//! What is counted of the store that proxies share.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::{
    families::Families,
    family::ByLabel,
    label::{Loss, StoreOp, StoreOutcome},
};

/// What is counted of the store.
#[derive(Debug)]
pub struct StoreMetrics {
    /// Whether it answers.
    pub up: IntGauge,
    /// Leases that ended before we gave them back.
    pub lost: ByLabel<Loss, IntCounter>,
    requests: ByLabel<StoreOp, ByLabel<StoreOutcome, IntCounter>>,
    duration: Histogram,
}

impl StoreMetrics {
    pub(super) fn new(of: &Families) -> Self {
        Self {
            up: of.store_up.with([]),
            lost: ByLabel::new(|reason| of.leases_lost.with([reason])),
            requests: ByLabel::new(|op| ByLabel::new(|outcome| of.store_requests.with([op, outcome]))),
            duration: of.store_duration.with([]),
        }
    }

    /// Counts one request.
    pub fn asked(&self, op: StoreOp, outcome: StoreOutcome, took: Duration) {
        self.requests.get(op).get(outcome).inc();
        self.duration.observe(took.as_secs_f64());
    }
}
