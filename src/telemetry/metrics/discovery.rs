//! What is counted of backends that are found.

use prometheus::{IntCounter, IntGauge};

use super::{
    families::Families,
    family::ByLabel,
    label::{Label, labels},
};

labels! {
    /// What a source of backends said.
    DiscoveryOutcome {
        /// Backends.
        Ok = "ok",
        /// That there is none.
        Empty = "empty",
        /// That there is no such name.
        NoName = "no_name",
        /// That it cannot say (DNS: SERVFAIL, REFUSED and the like).
        Refused = "refused",
        /// Nothing in time.
        Timeout = "timeout",
        /// Nothing that is understood, or it cannot be asked; a file that is not right.
        Broken = "broken",
    }

    /// What became of a backend by discovery.
    DiscoveryChange {
        /// It was new.
        Joined = "joined",
        /// It has another address, share or state.
        Altered = "altered",
        /// It was told of no more, and drains.
        Left = "left",
        /// It was told of again before it was removed.
        Returned = "returned",
        /// Nothing was left on it.
        Removed = "removed",
    }
}

/// What is counted of the discovery of one pool.
#[derive(Debug)]
pub struct DiscoveryMetrics {
    /// Answers.
    pub updates: ByLabel<DiscoveryOutcome, IntCounter>,
    /// What followed from them.
    pub changes: ByLabel<DiscoveryChange, IntCounter>,
    /// Backends that are told of.
    pub present: IntGauge,
    /// Backends that are told of no more and are not removed yet.
    pub leaving: IntGauge,
    /// When there was an answer with backends, in seconds of Unix time.
    pub last_success: IntGauge,
}

impl DiscoveryMetrics {
    pub(super) fn new(of: &Families, pool: &str) -> Self {
        Self {
            updates: ByLabel::new(|outcome| of.discovery_updates.with([pool, outcome])),
            changes: ByLabel::new(|change| of.discovery_changes.with([pool, change])),
            present: of.discovery_members.with([pool, "present"]),
            leaving: of.discovery_members.with([pool, "leaving"]),
            last_success: of.discovery_last_success.with([pool]),
        }
    }
}
