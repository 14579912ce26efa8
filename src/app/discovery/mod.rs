//! Backends that are found while we run: members of a pool that come and go.
//!
//! # Layout
//! - [`Scout`]: the task of one pool that asks its source and does what follows.
//! - `camp`: one member more, altered, or less, with all that hangs on it.
//! - `settings`: the config's words for it.
//! - [`Sightings`]: what the source has said, for operators and for the start.

mod camp;
pub(super) mod settings;
mod sightings;

use std::{sync::Arc, time::Duration};

use tokio::time::{self, Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::camp::Camp;
pub(super) use self::sightings::{Sightings, Told};
use super::fleet::Squadron;
use crate::{
    backend::{
        discovery::{Change, Fault, Roster, RosterSettings, Said, Source},
        probe::{ProbeObserver, ProbeSettings},
    },
    telemetry::{DiscoveryChange, DiscoveryMetrics, DiscoveryOutcome, Metrics},
};

/// Between two looks at members that are on their way out.
const LOOK: Duration = Duration::from_millis(100);

/// How a pool's backends are found.
#[derive(Clone, Debug)]
pub(super) struct DiscoverySettings {
    /// How much the source is believed.
    pub roster: RosterSettings,
    /// How often the names in a file are looked up.
    pub resolve_interval: Duration,
}

/// What watches each member.
#[derive(Clone)]
pub(super) struct Watch {
    pub settings: Arc<ProbeSettings>,
    pub observer: Arc<dyn ProbeObserver>,
    pub tracker: TaskTracker,
    pub cancel: CancellationToken,
}

/// Finds the backends of one pool.
pub(super) struct Scout {
    source: Source,
    roster: Roster,
    camp: Camp,
    sightings: Arc<Sightings>,
    metrics: Arc<DiscoveryMetrics>,
    pool: Arc<str>,
    trouble: Option<Fault>,
}

impl Scout {
    /// For the pool of `squadron`, which has no members yet.
    pub(super) fn new(
        squadron: &Arc<Squadron>,
        (source, settings): (Source, DiscoverySettings),
        watch: Watch,
        metrics: &Arc<Metrics>,
        sightings: Arc<Sightings>,
    ) -> Self {
        let pool = squadron.pool.name().clone();
        Self {
            source,
            roster: Roster::new(settings.roster),
            metrics: metrics.discovery(&pool),
            camp: Camp::new(squadron.clone(), settings.resolve_interval, watch, metrics.clone()),
            sightings,
            pool,
            trouble: None,
        }
    }

    /// Asks and follows until the future is dropped.
    pub(super) async fn run(mut self) {
        loop {
            let answer = {
                let asking = self.source.ask();
                tokio::pin!(asking);
                loop {
                    tokio::select! {
                        answer = &mut asking => break answer,
                        () = time::sleep(LOOK) => self.camp.dismiss(&mut self.roster, &self.metrics),
                    }
                }
            };
            self.hear(&answer.said);
            let next = Instant::now() + answer.again;
            while Instant::now() < next {
                self.camp.dismiss(&mut self.roster, &self.metrics);
                let pause = if self.roster.leaving().is_empty() { answer.again } else { LOOK };
                time::sleep_until(next.min(Instant::now() + pause)).await;
            }
        }
    }

    fn hear(&mut self, said: &Said) {
        self.tell(said);
        for change in self.roster.hear(said, std::time::Instant::now()) {
            let counted = match &change {
                Change::Join(_) => Some(DiscoveryChange::Joined),
                Change::Alter(_) => Some(DiscoveryChange::Altered),
                Change::Return(_) => Some(DiscoveryChange::Returned),
                Change::Leave(_) => Some(DiscoveryChange::Left),
                Change::Vacate(_) => None,
            };
            counted.into_iter().for_each(|change| self.metrics.changes.get(change).inc());
            // Those of the first answer start together: nobody is there to be spared by.
            self.camp.make(change, self.sightings.has_found());
        }
        self.camp.dismiss(&mut self.roster, &self.metrics);
        self.metrics.present.set(self.roster.count() as i64);
        self.sightings.heard(said);
    }

    /// Trouble is told once, as long as it is the same.
    fn tell(&mut self, said: &Said) {
        let (outcome, trouble) = match said {
            Said::Backends(_) => (DiscoveryOutcome::Ok, None),
            Said::Nothing(fault) | Said::Failed(fault) => (outcome(fault), Some(fault.clone())),
        };
        self.metrics.updates.get(outcome).inc();
        if outcome == DiscoveryOutcome::Ok {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            self.metrics.last_success.set(now.as_secs().cast_signed());
        }
        if trouble == self.trouble {
            return;
        }
        let (pool, source) = (&self.pool, self.sightings.source());
        match &trouble {
            Some(reason) => {
                tracing::warn!(%pool, source, %reason, "backends cannot be found; the last good answer holds")
            }
            None => tracing::info!(%pool, source, "backends are found again"),
        }
        self.trouble = trouble;
    }
}

fn outcome(fault: &Fault) -> DiscoveryOutcome {
    match fault {
        Fault::NoName => DiscoveryOutcome::NoName,
        Fault::Empty => DiscoveryOutcome::Empty,
        Fault::Refused(_) => DiscoveryOutcome::Refused,
        Fault::Timeout => DiscoveryOutcome::Timeout,
        Fault::Broken(_) => DiscoveryOutcome::Broken,
    }
}
