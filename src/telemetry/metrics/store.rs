//! What is counted of the store that proxies share.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::{
    families::Families,
    family::ByLabel,
    label::{Label, labels},
};

labels! {
    /// Why a lease ended before we gave it back.
    Loss {
        /// The store restarted and forgot it.
        Restart = "restart",
        /// Another server took the store's place.
        Failover = "failover",
        /// It was not renewed in time, or somebody removed it.
        Expired = "expired",
    }

    /// What the store is asked for.
    StoreOp {
        /// A hold on a session.
        Claim = "claim",
        /// Whether nobody else holds it.
        Isolate = "isolate",
        /// More time for holds on sessions.
        Renew = "renew",
        /// The end of a hold.
        Leave = "leave",
        /// Whether anybody holds a session.
        IsHeld = "is_held",
        /// A turn lock.
        Lock = "lock",
        /// More time for locks.
        RenewLocks = "renew_locks",
        /// The end of a lock.
        Unlock = "unlock",
        /// A waiter that goes.
        LeaveLine = "leave_line",
        /// The owner of a session.
        Record = "record",
        /// An owner that is forgotten.
        Disown = "disown",
        /// All owners of a pool.
        Owners = "owners",
    }

    /// What the store answered.
    StoreOutcome {
        /// What was asked for, whatever it is.
        Ok = "ok",
        /// Nothing in time.
        Unavailable = "unavailable",
        /// Something that is not understood, or no.
        Refused = "refused",
    }
}

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
