//! The one task that decides who is started and who is stopped.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    Instances,
    household::{Household, News, Why},
    starter::StartError,
};
use crate::{
    route::{Phase, Trouble},
    session::relocation::Cause,
    supervise::Spare,
    telemetry::InstanceStart,
};

/// Nothing happens: it looks all the same, for those that nobody uses.
const SELDOM: Duration = Duration::from_secs(1);

/// Somebody waits, or is asked to leave.
const OFTEN: Duration = Duration::from_millis(50);

/// Right after its turn an SDK detaches its sessions itself: one that was used a moment ago is not asked to rest.
const GRACE: Duration = Duration::from_millis(250);

/// One that does not come to rest in this time goes on serving; somebody else is asked.
const REST: Duration = Duration::from_secs(10);

/// Its clients are told at the second failure in a row: one that fails once is started again at once, and they wait for that.
const PATIENCE: u32 = 2;

/// One that has been well for so long has not failed.
const STABLE: Duration = Duration::from_secs(10);

/// One that cannot be kept running keeps its place for so long after it was last wanted.
const FAILING_KEPT: Duration = Duration::from_secs(30);

/// A household without a CLI and without clients is forgotten after this.
const MEMORY: Duration = Duration::from_secs(60);

pub(super) struct Steward {
    all: Arc<Instances>,
    /// Places that are taken, by CLIs that run, start or stop.
    taken: BTreeSet<usize>,
}

impl Steward {
    pub(super) fn new(all: Arc<Instances>) -> Self {
        Self { all, taken: BTreeSet::new() }
    }

    /// Until its future is dropped.
    pub(super) async fn run(mut self) {
        loop {
            let hurried = self.look(Instant::now());
            let pause = if hurried { OFTEN } else { SELDOM };
            tokio::select! {
                () = self.all.bell.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks at every household once. `true`: something is on its way.
    fn look(&mut self, now: Instant) -> bool {
        let households = self.all.households();
        for household in &households {
            self.look_at(household, now);
        }
        self.taken = households.iter().filter_map(|household| household.place()).collect();
        self.taken.extend(self.all.spares.places());
        let queued = self.serve_queue(&households, now);
        if !queued && let Some(slot) = self.free_slot().filter(|slot| self.all.refill(Some(*slot))) {
            self.taken.insert(slot);
        }
        self.forget(&households, now);
        let resting = |household: &Arc<Household>| household.instance.phase() == Phase::Resting;
        queued || households.iter().any(resting)
    }

    fn look_at(&self, household: &Arc<Household>, now: Instant) {
        let instance = &household.instance;
        if instance.wanted().is_some() && !household.squadron.registry.has_clients() {
            instance.give_up();
        }
        match instance.phase() {
            Phase::Starting | Phase::Up | Phase::Failing(_) => self.hear(household, now),
            Phase::Resting => self.rest(household, now),
            Phase::Asleep | Phase::Queued | Phase::Stopping => {}
        }
        if instance.phase() == Phase::Up {
            self.stop_if_unused(household, now);
        }
    }

    /// What its process does.
    fn hear(&self, household: &Arc<Household>, now: Instant) {
        let instance = &household.instance;
        let Some(tenancy) = household.tenancy() else { return };
        match household.news(&tenancy, STABLE, now) {
            News::Well => self.serves(household, now),
            News::Ended(failures, how) if failures >= PATIENCE => {
                if !matches!(instance.phase(), Phase::Failing(_)) {
                    let message = format!(
                        "the CLI of this identity ended {failures} times in a row ({how}); it is being started again"
                    );
                    self.fail(household, message, now + self.all.settings.supervise.backoff_max);
                }
                let unwanted = instance.unused_for(now) >= FAILING_KEPT && instance.wanted().is_none();
                if unwanted {
                    self.end(household, Why::Failing);
                }
            }
            News::Ended(..) | News::Starting => instance.advance(Phase::Starting),
        }
    }

    fn serves(&self, household: &Household, now: Instant) {
        if let Some((since, how)) = household.record.lock().awaited.take() {
            let metrics = self.all.metrics();
            metrics.instances.starts.get(how).inc();
            let took = now.saturating_duration_since(since);
            metrics.instances.start_duration.get(how).observe(took.as_secs_f64());
        }
        if !household.instance.is_open() {
            // Whoever waited for it comes in now: it is not unused, however long the start took.
            household.instance.touch(now);
        }
        household.instance.advance(Phase::Up);
    }

    fn fail(&self, household: &Household, message: String, until: Instant) {
        let who = household.instance.who();
        tracing::warn!(pool = %self.all.site.pool, tenant = %who, reason = message, "a CLI of one's own cannot be had");
        if household.record.lock().awaited.take().is_some() {
            self.all.metrics().instances.starts.get(InstanceStart::Failed).inc();
        }
        household.instance.give_up();
        household.instance.advance(Phase::Failing(Arc::new(Trouble { message, until })));
    }

    fn stop_if_unused(&self, household: &Arc<Household>, now: Instant) {
        let unused = household.instance.unused_for(now);
        let stale = household.record.lock().stale;
        let due = self.all.settings.idle_stop.filter(|limit| unused >= *limit).map(|_| Why::Idle);
        if let Some(why) = stale.filter(|_| unused >= GRACE).map(Why::Stale).or(due) {
            Self::ask_to_rest(household, why, now);
        }
    }

    /// `false`: something of it runs.
    fn ask_to_rest(household: &Household, why: Why, now: Instant) -> bool {
        let rests = household.instance.rest();
        if rests {
            household.record.lock().resting = Some((now, why));
        }
        rests
    }

    /// Its sessions are closed and its clients leave; then it stops.
    fn rest(&self, household: &Arc<Household>, now: Instant) {
        let instance = &household.instance;
        let Some((since, why)) = household.record.lock().resting else { return };
        if instance.was_used_after(since) {
            return instance.advance(Phase::Up);
        }
        household.park(if why == Why::Capacity { Cause::Evict } else { Cause::Idle }, now);
        // Links that nothing needs any more are closed by whoever looks.
        household.squadron.registry.rouse_clients();
        if household.squadron.registry.room().seated().is_empty() && instance.close() {
            return self.end(household, why);
        }
        if now.saturating_duration_since(since) >= REST {
            instance.touch(now);
            instance.advance(Phase::Up);
        }
    }

    /// Stops its process, beside everything else.
    fn end(&self, household: &Arc<Household>, why: Why) {
        let Some(tenancy) = household.tenancy().filter(|tenancy| !tenancy.ending.swap(true, Ordering::AcqRel)) else {
            return;
        };
        let (all, household, who) = (self.all.clone(), household.clone(), household.instance.who().clone());
        let failing = match household.instance.phase() {
            Phase::Failing(trouble) => Some(trouble),
            _ => None,
        };
        if failing.is_none() {
            household.instance.advance(Phase::Stopping);
        }
        tracing::info!(pool = %all.site.pool, backend = %tenancy.member.name, tenant = %who, reason = why.as_str(), "a CLI of one's own stops");
        all.metrics().instances.stops.get(why.label()).inc();
        self.all.site.tracker.spawn(async move {
            all.end(&household, &tenancy).await;
            household.instance.advance(failing.map_or(Phase::Asleep, Phase::Failing));
            all.bell.notify_one();
        });
    }

    /// Starts those that are wanted, the longest wait first; asks others to rest if there is no place. `true`: somebody waits.
    fn serve_queue(&mut self, households: &[Arc<Household>], now: Instant) -> bool {
        let mut waiting: Vec<(Instant, &Arc<Household>)> = households
            .iter()
            .filter(|household| household.place().is_none() && is_startable(&household.instance.phase(), now))
            .filter_map(|household| Some((household.instance.wanted()?, household)))
            .collect();
        waiting.sort_by_key(|(since, _)| *since);
        let mut coming = households.iter().filter(|household| is_leaving(household)).count();
        let mut queued = false;
        for (_, household) in waiting {
            if let Some((slot, spare)) = self.all.spares.take() {
                self.start(household, slot, Some(spare));
                continue;
            }
            if let Some(slot) = self.free_slot() {
                self.start(household, slot, None);
                continue;
            }
            queued = true;
            household.instance.advance(Phase::Queued);
            if coming > 0 {
                coming -= 1;
            } else {
                self.make_room(households, now);
            }
        }
        queued
    }

    fn free_slot(&self) -> Option<usize> {
        (1..=self.all.settings.most).find(|slot| !self.taken.contains(slot))
    }

    /// Asks the one to rest that was not used for the longest time.
    fn make_room(&self, households: &[Arc<Household>], now: Instant) {
        let failing = |household: &&Arc<Household>| {
            let runs = household.tenancy().is_some() && !household.is_ending();
            runs && matches!(household.instance.phase(), Phase::Failing(_))
        };
        if let Some(household) = households.iter().find(failing) {
            return self.end(household, Why::Failing);
        }
        let unused = |household: &Arc<Household>| household.instance.unused_for(now);
        let mut idle: Vec<_> = households
            .iter()
            .filter(|household| household.instance.phase() == Phase::Up && unused(household) >= GRACE)
            .collect();
        idle.sort_by_key(|household| std::cmp::Reverse(unused(household)));
        let _ = idle.into_iter().any(|household| Self::ask_to_rest(household, Why::Capacity, now));
    }

    fn start(&mut self, household: &Arc<Household>, slot: usize, spare: Option<Spare>) {
        self.taken.insert(slot);
        household.set_place(Some(slot));
        let since = household.instance.wanted().unwrap_or_else(Instant::now);
        household.record.lock().awaited =
            Some((since, if spare.is_some() { InstanceStart::Warm } else { InstanceStart::Cold }));
        household.instance.advance(Phase::Starting);
        let (all, household) = (self.all.clone(), household.clone());
        tracing::info!(pool = %all.site.pool, tenant = %household.instance.who(), slot, "a CLI of one's own starts");
        self.all.site.tracker.spawn(async move {
            match all.start(&household, slot, spare).await {
                Ok(tenancy) => {
                    household.set_tenancy(Some(tenancy));
                    all.show();
                }
                Err(error) => all.could_not_start(&household, &error),
            }
            all.bell.notify_one();
        });
    }

    /// Households of people who have gone.
    fn forget(&self, households: &[Arc<Household>], now: Instant) {
        let gone = |household: &Household| {
            matches!(household.instance.phase(), Phase::Asleep)
                && household.instance.unused_for(now) >= MEMORY
                && household.is_deserted()
        };
        for household in households.iter().filter(|household| gone(household)) {
            let mut known = self.all.households.lock();
            // Whoever asks for it touches it under this lock.
            if gone(household) {
                known.remove(&household.instance.who().to_string());
                household.cancel.cancel();
            }
        }
    }
}

impl Instances {
    fn could_not_start(&self, household: &Household, error: &StartError) {
        let failures = {
            let mut record = household.record.lock();
            record.failures = record.failures.saturating_add(1);
            record.awaited = None;
            record.failures
        };
        let set = &self.settings.supervise;
        let pause = set.backoff_first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(set.backoff_max);
        let message = format!("the CLI of this identity cannot be started: {error}");
        tracing::warn!(pool = %self.site.pool, tenant = %household.instance.who(), reason = %error, failures, "a CLI of one's own cannot be started");
        self.metrics().instances.starts.get(InstanceStart::Failed).inc();
        household.set_place(None);
        household.instance.give_up();
        let until = Instant::now() + pause;
        household.instance.advance(Phase::Failing(Arc::new(Trouble { message, until })));
    }
}

fn is_startable(phase: &Phase, now: Instant) -> bool {
    match phase {
        Phase::Asleep | Phase::Queued => true,
        Phase::Failing(trouble) => trouble.until <= now,
        _ => false,
    }
}

fn is_leaving(household: &Household) -> bool {
    household.is_ending() || matches!(household.instance.phase(), Phase::Resting | Phase::Stopping)
}
