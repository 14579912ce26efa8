//! The end of sessions whose clients have gone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    remover::{Removal, Remover},
    visits::Visits,
};
use crate::{
    session::Departed,
    telemetry::{EphemeralOutcome, PoolMetrics},
};

/// Pauses after failures; after the last one the session is left to the clean-up.
const RESTS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
];

/// One whose backend is one identity's own, and sleeps.
const ASLEEP: Duration = Duration::from_secs(60);

/// One that somebody else has is looked at again no sooner.
const SHORTEST: Duration = Duration::from_secs(1);

/// The task of one pool.
pub(in crate::app) struct Departures {
    remover: Remover,
    metrics: Arc<PoolMetrics>,
    visits: Visits,
}

impl Departures {
    pub(in crate::app) fn new(remover: Remover, metrics: Arc<PoolMetrics>) -> Self {
        let settings = remover.squadron.cleanup.settings();
        remover.squadron.registry.set_departure_linger(settings.linger);
        let visits = Visits::new(settings.visits.clone());
        Self { remover, metrics, visits }
    }

    /// Ends sessions for ever: put it on the operations' tasks. A proxy that stops leaves those that wait: its successor knows
    /// of them, or the clean-up finds them.
    pub(in crate::app) async fn run(mut self) {
        loop {
            let departed = self.remover.squadron.registry.next_departed().await;
            let removal = self.remover.remove(&mut self.visits, &departed.id, &departed.home).await;
            self.settle(departed, removal);
        }
    }

    fn settle(&self, departed: Departed, removal: Removal) {
        let (pool, session) = (self.remover.squadron.pool.name(), departed.id.clone());
        let outcome = match removal {
            Removal::Deleted => EphemeralOutcome::Deleted,
            Removal::Gone => EphemeralOutcome::Gone,
            // Its pin says there what it is, and that proxy ends it.
            Removal::Held => EphemeralOutcome::KeptLive,
            Removal::Live => {
                self.again(departed, self.remover.squadron.cleanup.settings().linger.max(SHORTEST));
                EphemeralOutcome::KeptLive
            }
            // Its CLI sleeps. It is not woken for that; nobody can have the session meanwhile.
            Removal::Failed(_) if self.remover.squadron.pool.members().is_empty() => {
                self.again(departed, ASLEEP);
                EphemeralOutcome::Failed
            }
            Removal::Failed(reason) => match RESTS.get(departed.failures as usize) {
                Some(rest) => {
                    tracing::debug!(
                        %pool, %session,
                        reason,
                        "a session whose clients have gone could not be deleted yet"
                    );
                    self.again(Departed { failures: departed.failures + 1, ..departed }, *rest);
                    EphemeralOutcome::Failed
                }
                None => {
                    tracing::warn!(%pool, %session, reason, "a session whose clients have gone is left to the clean-up");
                    EphemeralOutcome::GivenUp
                }
            },
        };
        if outcome == EphemeralOutcome::Deleted {
            tracing::info!(%pool, %session, "deleted a session whose clients have gone");
        }
        self.metrics.cleanup.ephemeral.get(outcome).inc();
    }

    fn again(&self, departed: Departed, after: Duration) {
        self.remover.squadron.registry.expect_departure(departed, Instant::now() + after);
    }
}
