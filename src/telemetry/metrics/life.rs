//! What is told of the life of one backend's process.

use std::sync::OnceLock;

use prometheus::{IntCounter, IntGauge};

use super::{
    families::Families,
    family::{ByLabel, Gauges},
    label::RecycleReason,
};

/// The life of one backend's process; the gauges are set at scrape time.
#[derive(Debug)]
pub struct LifeMetrics {
    /// Seconds since it was first seen well.
    pub age: IntGauge,
    /// Sessions that it was given.
    pub served: IntGauge,
    /// Times that it was started again because it was due.
    pub recycled: ByLabel<RecycleReason, IntCounter>,
    /// Only of processes that are ours: of others nothing is known, and nothing is not zero.
    usage: OnceLock<[IntGauge; 2]>,
    memory: Gauges<2>,
    descriptors: Gauges<2>,
    labels: [Box<str>; 2],
}

impl LifeMetrics {
    pub(super) fn new(of: &Families, pool: &str, backend: &str) -> Self {
        Self {
            age: of.backend_age.with([pool, backend]),
            served: of.backend_served.with([pool, backend]),
            recycled: ByLabel::new(|reason| of.recycles.with([pool, backend, reason])),
            usage: OnceLock::new(),
            memory: of.backend_memory.clone(),
            descriptors: of.backend_descriptors.clone(),
            labels: [pool.into(), backend.into()],
        }
    }

    /// What its processes use now, in bytes and descriptors.
    pub fn set_usage(&self, memory: u64, descriptors: u64) {
        let labels = || self.labels.each_ref().map(|label| &**label);
        let [bytes, open] = self.usage.get_or_init(|| [self.memory.with(labels()), self.descriptors.with(labels())]);
        bytes.set(i64::try_from(memory).unwrap_or(i64::MAX));
        open.set(i64::try_from(descriptors).unwrap_or(i64::MAX));
    }
}
