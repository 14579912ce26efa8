//! What is counted of pools in which each identity has a CLI of its own.

use prometheus::{Histogram, IntCounter, IntGauge};

use super::{
    families::Families,
    family::ByLabel,
    label::{Label, labels},
};

labels! {
    /// How far an instance is.
    InstanceState {
        /// Started, for whoever comes next.
        Spare = "spare",
        /// Somebody needs it, and there is no place for it.
        Queued = "queued",
        /// On its way.
        Starting = "starting",
        /// Serves.
        Up = "up",
        /// Its sessions are being closed.
        Resting = "resting",
        /// Is being ended.
        Stopping = "stopping",
        /// Cannot be had.
        Failing = "failing",
    }

    /// What an identity got that needed a CLI.
    InstanceStart {
        /// One that was started for it.
        Cold = "cold",
        /// One that had been started before.
        Warm = "warm",
        /// None.
        Failed = "failed",
    }

    /// Why an instance was stopped.
    InstanceStop {
        /// Nobody used it for long.
        Idle = "idle",
        /// Somebody else needed its place.
        Capacity = "capacity",
        /// Its secret, or its age, said that it has to be another one.
        Stale = "stale",
        /// It could not be kept running.
        Failing = "failing",
    }
}

/// What is counted for the instances of one pool.
#[derive(Debug)]
pub struct InstanceMetrics {
    /// Instances by state; set at scrape time.
    pub states: ByLabel<InstanceState, IntGauge>,
    /// Starts.
    pub starts: ByLabel<InstanceStart, IntCounter>,
    /// Stops.
    pub stops: ByLabel<InstanceStop, IntCounter>,
    /// From the request that needed it until it served, in seconds.
    pub start_duration: ByLabel<InstanceStart, Histogram>,
}

impl InstanceMetrics {
    pub(super) fn new(of: &Families, pool: &str) -> Self {
        Self {
            states: ByLabel::new(|state| of.instances.with([pool, state])),
            starts: ByLabel::new(|outcome| of.instance_starts.with([pool, outcome])),
            stops: ByLabel::new(|cause| of.instance_stops.with([pool, cause])),
            start_duration: ByLabel::new(|outcome| of.instance_start_duration.with([pool, outcome])),
        }
    }
}
