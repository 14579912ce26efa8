//! Backends that have served long enough are taken out, started again and taken back, one at a time.
//!
//! # Layout
//! - [`Recycler`]: the task of one pool that looks who is due and sees to it.
//! - `record`: what it remembers of a backend; `starter`: who starts one again.

mod record;
mod starter;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ahash::AHashMap;
use tokio::time::{self, MissedTickBehavior};

use self::record::Record;
use super::{
    fleet::Squadron,
    operations::{Failure, Kind, Outage, Refusal, Step, check_room, take_out_and_back},
};
use crate::{
    health::{self, Due, WearLimits, Worn},
    pool::{DrainCause, Member, Verdict},
    supervise::{Hook, Usage},
    telemetry::{Metrics, RecycleReason},
};

/// What can be set on the recycling of one pool.
#[derive(Clone, Debug)]
pub(super) struct RecycleSettings {
    /// When a backend is due.
    pub limits: WearLimits,
    /// From one look to the next.
    pub check_interval: Duration,
    /// Starts one again that we do not supervise.
    pub hook: Option<Hook>,
}

/// How long one may take to be healthy after it was started.
const BACK: Duration = Duration::from_secs(60);

/// One that reaches a limit before this age would do so again at once, and again: it is left alone for a while.
const YOUNG: Duration = Duration::from_secs(60);

/// Watches the backends of one pool.
pub(super) struct Recycler {
    squadron: Arc<Squadron>,
    settings: RecycleSettings,
    metrics: Arc<Metrics>,
    records: AHashMap<Arc<str>, Record>,
}

impl Recycler {
    pub(super) fn new(squadron: Arc<Squadron>, settings: RecycleSettings, metrics: Arc<Metrics>) -> Self {
        Self { squadron, settings, metrics, records: AHashMap::new() }
    }

    /// Looks and recycles for ever: put it on the operations' tasks.
    pub(super) async fn run(mut self) {
        let mut ticks = time::interval(self.settings.check_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let WearLimits { memory, descriptors, .. } = self.settings.limits;
            let wanted = memory.is_some() || descriptors.is_some();
            let usage = if wanted { self.squadron.usage().await } else { AHashMap::new() };
            if let Some((member, due)) = self.look(&usage, Instant::now()) {
                self.recycle(&member, due).await;
            }
        }
    }

    /// The backend that is due, the oldest of several.
    fn look(&mut self, usage: &AHashMap<Arc<str>, Usage>, now: Instant) -> Option<(Arc<Member>, Due)> {
        let mut oldest: Option<(Instant, Arc<Member>, Due)> = None;
        let members = self.squadron.pool.members();
        self.records.retain(|name, _| members.iter().any(|member| member.name == *name));
        for member in members.iter() {
            let Some(lived) = member.life.lived() else { continue };
            let record = self.records.entry(member.name.clone()).or_default();
            record.meet(lived.began);
            if member.verdict() != Verdict::Up || member.is_draining() || record.rests(now) {
                continue;
            }
            let used = usage.get(&member.name);
            let worn = Worn {
                age: now.saturating_duration_since(lived.began),
                sessions: lived.sessions,
                memory: used.map(|usage| usage.memory),
                descriptors: used.map(|usage| usage.descriptors),
                paces: lived.paces,
            };
            let due = health::due(&self.settings.limits, &worn, record.random());
            if let Some(due) = due.filter(|_| oldest.as_ref().is_none_or(|(began, ..)| lived.began < *began)) {
                oldest = Some((lived.began, member.clone(), due));
            }
        }
        oldest.map(|(_, member, due)| (member, due))
    }

    async fn recycle(&mut self, member: &Arc<Member>, due: Due) {
        let record = self.records.entry(member.name.clone()).or_default();
        let (pool, backend, reason) = (&member.pool, &member.name, due.as_str());
        if let Err(refusal) = check_room(&self.squadron.pool, member) {
            if record.tell_waiting() {
                tracing::warn!(%pool, %backend, reason, why = %refusal, "backend is due to be recycled, but has to wait");
            }
            return;
        }
        // Somebody else is at work in the pool, or the proxy stops: another look comes.
        let Ok(running) = self.squadron.operations.begin(Kind::Recycle) else { return };
        let young = member.life.lived().is_some_and(|lived| lived.began.elapsed() < YOUNG);
        tracing::info!(%pool, %backend, reason, "backend has served long enough");
        let outage = Outage {
            cause: DrainCause::Recycle,
            reason: format!("it has served long enough: {reason}").into(),
            work: Step::Restarting,
            back: BACK,
            force: false,
            undrain: false,
        };
        let work = starter::start_again(&self.squadron, self.settings.hook.as_ref(), member, due);
        let result = take_out_and_back(&self.squadron, &running, member, outage, work).await.map(drop);
        match &result {
            Ok(()) => {
                if young && due != Due::Age {
                    tracing::warn!(%pool, %backend, reason, "backend was due soon after its start: is the limit too low?");
                    record.failed(Instant::now());
                } else {
                    record.done();
                }
                self.metrics.backend(pool, backend).life.recycled.get(label(due)).inc();
            }
            // An operator wanted it back, or somebody took the room: that says nothing of this backend.
            Err(Failure::Undrained | Failure::Refused(Refusal::WouldEmpty { .. } | Refusal::Stopping)) => {}
            Err(_) => record.failed(Instant::now()),
        }
        running.end(&result);
    }
}

fn label(due: Due) -> RecycleReason {
    match due {
        Due::Age => RecycleReason::Age,
        Due::Sessions => RecycleReason::Sessions,
        Due::Memory => RecycleReason::Memory,
        Due::Descriptors => RecycleReason::Descriptors,
        Due::Slow => RecycleReason::Slow,
    }
}
