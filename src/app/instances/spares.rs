//! CLIs that run before anybody needs them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::Instances;
use crate::supervise::{Spare, SpareError};

/// After one was taken: whoever took it needs the processors now.
const CALM: Duration = Duration::from_secs(2);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(10);
/// After one that says that the program cannot wait at all.
const LONG_PAUSE: Duration = Duration::from_secs(600);

/// The spares of one pool, by the places that they have.
#[derive(Debug, Default)]
pub(super) struct Spares {
    all: Mutex<Vec<Place>>,
    /// None is started before this.
    not_before: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Place {
    slot: usize,
    /// `None` while it is being started.
    spare: Option<Spare>,
}

impl Spares {
    /// The places that they have.
    pub fn places(&self) -> Vec<usize> {
        self.all.lock().iter().map(|place| place.slot).collect()
    }

    /// One that is ready, with its place.
    pub fn take(&self) -> Option<(usize, Spare)> {
        let mut all = self.all.lock();
        let at = all.iter().position(|place| place.spare.is_some())?;
        let place = all.remove(at);
        *self.not_before.lock() = Some(Instant::now() + CALM);
        place.spare.map(|spare| (place.slot, spare))
    }

    /// The names and processes of those that are ready.
    pub fn seen(&self) -> Vec<(String, u32)> {
        let all = self.all.lock();
        all.iter()
            .filter_map(|place| place.spare.as_ref())
            .map(|spare| (spare.name().to_string(), spare.pid()))
            .collect()
    }

    /// Whether one more may be started for `wanted`.
    fn may_start(&self, wanted: usize, now: Instant) -> bool {
        self.all.lock().len() < wanted && self.not_before.lock().is_none_or(|at| at <= now)
    }

    /// Forgets those that have ended.
    fn bury(&self) {
        let mut all = self.all.lock();
        all.retain_mut(|place| place.spare.as_mut().is_none_or(Spare::is_alive));
    }

    fn settle(&self, slot: usize, started: Result<Spare, SpareError>, pool: &str, now: Instant) {
        let mut all = self.all.lock();
        match started {
            Ok(spare) => {
                if let Some(place) = all.iter_mut().find(|place| place.slot == slot) {
                    place.spare = Some(spare);
                }
            }
            Err(error) => {
                all.retain(|place| place.slot != slot);
                let cannot = matches!(error, SpareError::Ended(_) | SpareError::NotReady(_));
                *self.not_before.lock() = Some(now + if cannot { LONG_PAUSE } else { PAUSE });
                tracing::warn!(pool, reason = %error, "no warm spare: whoever needs a CLI waits for a cold start");
            }
        }
    }
}

impl Instances {
    /// Starts a spare in a free place, if one is missing. `true`: it took the place.
    pub(super) fn refill(self: &Arc<Self>, slot: Option<usize>) -> bool {
        let now = Instant::now();
        self.spares.bury();
        let Some(slot) = slot.filter(|_| self.spares.may_start(self.settings.spares, now)) else { return false };
        self.spares.all.lock().push(Place { slot, spare: None });
        let all = self.clone();
        let start = async move {
            let name: Arc<str> = format!("{}-{slot}", all.site.pool).into();
            let started = all.outfitter.spare(all.settings.supervise.clone(), name).await;
            all.spares.settle(slot, started, &all.site.pool, Instant::now());
            all.bell.notify_one();
        };
        self.site.tracker.spawn(self.site.cancel.clone().run_until_cancelled_owned(start));
        true
    }

    /// Ends all spares.
    pub(super) async fn stop_spares(&self) {
        let grace = self.settings.supervise.stop_timeout;
        while let Some((_, spare)) = self.spares.take() {
            spare.stop(grace).await;
        }
    }
}
