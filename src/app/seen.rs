//! What the admin listener tells: metrics, readiness and status, read from the live state.

use std::{
    cell::LazyCell,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{
    App,
    discovery::{Sightings, Told},
    fleet::Squadron,
    observer::state_of,
    operations::Progress,
};
use crate::{
    admin::{
        AdminSource, BackendDrainStatus, BackendStatus, Begun, CleanupBegun, CleanupStatus, DiscoveryStatus,
        DrainStatus, ListenerStatus, NotReady, OperationStatus, Order, OrderRefusal, PoolStatus, Readiness,
        SessionCounts, ShareAsk, ShareRefusal, ShareStatus, Status, UpgradeRefusal, UpgradeStatus,
    },
    pool::{Member, Policy, Storage, Verdict},
    session::Census,
    supervise::{Processes, Usage},
    telemetry::{Label, MetricsError, SessionState},
};

/// The admin listener's view.
pub(super) struct Seen {
    app: Arc<App>,
}

impl Seen {
    pub(super) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Gauges that are read rather than moved.
    fn refresh(&self) {
        self.app.count_tenants();
        // Read once, and only if any of the pools is ours.
        let processes: LazyCell<Processes> = LazyCell::new(Processes::read);
        for (name, squadron) in &self.app.fleet.pools {
            let (census, usage) = (squadron.census(), squadron.usage_in(&processes));
            let lifecycle = &self.app.metrics.pool(name).lifecycle;
            lifecycle.parked.set(census.values().map(|census| census.parked).sum());
            lifecycle.live.set(census.values().map(|census| census.idle + census.busy + census.moving).sum());
            let waiting = squadron.parts().iter().map(|part| part.registry.room().waiting()).sum::<usize>();
            lifecycle.waiting.set(waiting.cast_signed() as i64);
            if let Some(instances) = &squadron.instances {
                instances.count();
            }
            self.app.metrics.pool(name).panic.set(i64::from(squadron.pool.is_panicking()));
            for member in squadron.pool.members().iter() {
                let metrics = self.app.metrics.backend(name, &member.name);
                let Census { idle, busy, moving, parked } = census.get(&member.name).copied().unwrap_or_default();
                metrics.sessions.get(SessionState::Idle).set(idle);
                metrics.sessions.get(SessionState::Busy).set(busy);
                metrics.sessions.get(SessionState::Moving).set(moving);
                metrics.sessions.get(SessionState::Parked).set(parked);
                metrics.turns_running.set(member.turns.load(Ordering::Relaxed));
                metrics.links.set(member.links.load(Ordering::Relaxed));
                metrics.set_state(state_of(member), member.verdict() == Verdict::Up);
                let lived = member.life.lived();
                metrics.life.age.set(lived.map_or(0, |lived| lived.began.elapsed().as_secs().cast_signed()));
                metrics.life.served.set(lived.map_or(0, |lived| lived.sessions.cast_signed()));
                if let Some(Usage { memory, descriptors }) = usage.get(&member.name) {
                    metrics.life.set_usage(*memory, *descriptors);
                }
                let restarts = member.restarts.load(Ordering::Relaxed);
                metrics.restarts.inc_by(restarts.saturating_sub(metrics.restarts.get()));
            }
        }
    }

    fn listeners(&self) -> Vec<ListenerStatus> {
        let sets = self.app.config.listeners.iter();
        sets.zip(&self.app.bound)
            .map(|(set, bound)| ListenerStatus {
                name: set.name.clone(),
                address: bound.address.to_string(),
                mode: bound.mode.to_owned(),
                pool: set.pool.clone(),
                clients: count(self.app.metrics.listener(&set.name).clients.get()),
            })
            .collect()
    }

    fn drain(&self) -> DrainStatus {
        let deadline = *self.app.stop.draining.lock();
        let members = self.app.fleet.pools.values().flat_map(|squadron| squadron.pool.members().to_vec());
        DrainStatus {
            draining: deadline.is_some(),
            deadline_seconds: deadline.map(|at| at.saturating_duration_since(Instant::now()).as_secs()),
            turns_running: members.map(|member| count(member.turns.load(Ordering::Relaxed))).sum(),
            clients: self.app.stop.clients.len() as u64,
        }
    }
}

impl AdminSource for Seen {
    fn metrics(&self) -> Result<String, MetricsError> {
        self.refresh();
        self.app.metrics.gather()
    }

    fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        // After a hand-over the address is as ready as the process that has it; only connections from before ask us.
        if self.app.stop.draining.lock().is_some() && !self.app.upgrade.is_handed_over() {
            reasons.push(NotReady::Draining);
        }
        for set in &self.app.config.listeners {
            let squadron = &self.app.fleet.pools[&set.pool];
            // Who has a backend of its own has it started when it comes.
            if squadron.instances.is_none() && squadron.pool.healthy_count() == 0 {
                reasons.push(NotReady::NoBackend { listener: set.name.clone(), pool: set.pool.clone() });
            }
        }
        Readiness { reasons }
    }

    fn status(&self) -> Status {
        let processes: LazyCell<Processes> = LazyCell::new(Processes::read);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.app.started.elapsed().as_secs(),
            config_hash: self.app.config.fingerprint.clone(),
            drain: self.drain(),
            listeners: self.listeners(),
            pools: self
                .app
                .fleet
                .pools
                .iter()
                .map(|(name, squadron)| pool_status(name, squadron, &processes))
                .collect(),
        }
    }

    fn shares(&self) -> Vec<ShareStatus> {
        self.app.shares()
    }

    fn share(&self, asked: &ShareAsk, reason: &str) -> Result<(), ShareRefusal> {
        self.app.share(asked, reason)
    }

    fn unshare(&self, asked: &ShareAsk, reason: &str) -> Result<(), ShareRefusal> {
        self.app.unshare(asked, reason)
    }

    fn operate(&self, order: &Order, reason: &str) -> Result<Begun, OrderRefusal> {
        self.app.fleet.operate(order, reason)
    }

    fn cleanups(&self) -> Vec<CleanupStatus> {
        self.app.fleet.cleanups()
    }

    fn clean_up(&self, pool: &str, dry_run: Option<bool>, reason: &str) -> Result<CleanupBegun, OrderRefusal> {
        self.app.fleet.clean_up(pool, dry_run, reason)
    }

    fn upgrade(&self) -> UpgradeStatus {
        self.app.upgrade.status()
    }

    fn begin_upgrade(&self, reason: &str) -> Result<(), UpgradeRefusal> {
        self.app.upgrade.ask()?;
        tracing::info!(target: crate::telemetry::audit::TARGET, outcome = "begun", reason, "upgrade");
        Ok(())
    }
}

/// All of them together.
pub(super) fn session_counts<'a>(all: impl Iterator<Item = &'a Census>) -> SessionCounts {
    let mut sessions = SessionCounts::default();
    for census in all {
        sessions.idle += count(census.idle);
        sessions.busy += count(census.busy);
        sessions.moving += count(census.moving);
        sessions.parked += count(census.parked);
    }
    sessions
}

fn pool_status(name: &str, squadron: &Arc<Squadron>, processes: &LazyCell<Processes>) -> PoolStatus {
    let settings = squadron.pool.settings();
    let usage = squadron.usage_in(processes);
    let status = |member: &Arc<Member>| backend_status(member, squadron, usage.get(&member.name));
    let mut operations = squadron.operations.journal().into_iter().map(operation_status);
    PoolStatus {
        name: name.to_owned(),
        policy: match settings.policy {
            Policy::ConsistentHash => "consistent-hash",
            Policy::RoundRobin => "round-robin",
            Policy::LeastSessions => "least-sessions",
        }
        .to_owned(),
        storage: if settings.storage == Storage::Shared { "shared" } else { "local" }.to_owned(),
        panic: squadron.pool.is_panicking(),
        sessions: session_counts(squadron.census().values()),
        operation: operations.next(),
        operations_before: operations.collect(),
        backends: squadron.pool.members().iter().map(status).collect(),
        discovery: squadron.sightings.as_ref().map(|sightings| discovery_status(sightings)),
        instances: squadron.instances.as_ref().map(|instances| instances.status()).unwrap_or_default(),
    }
}

fn backend_status(member: &Member, squadron: &Squadron, usage: Option<&Usage>) -> BackendStatus {
    let lived = member.life.lived();
    let check = member.last_check.load_full();
    BackendStatus {
        name: member.name.to_string(),
        address: member.address().map(|address| address.to_string()),
        state: state_of(member).label().to_owned(),
        drain: member.is_draining().then(|| drain_status(member)),
        reason: check.as_ref().map(|check| check.reason.to_owned()),
        since_seconds: member.verdict_since().map_or(0, |since| since.elapsed().as_secs()),
        probe_ms: check.as_ref().map(|check| check.took.as_secs_f64() * 1e3),
        version: member.identity.load().as_ref().and_then(|identity| identity.version.clone()),
        weight: member.weight(),
        sessions: count(member.sessions.load(Ordering::Relaxed)),
        links: count(member.links.load(Ordering::Relaxed)),
        turns_running: count(member.turns.load(Ordering::Relaxed)),
        age_seconds: lived.map(|lived| lived.began.elapsed().as_secs()),
        served_sessions: lived.map_or(0, |lived| lived.sessions),
        memory_bytes: usage.map(|usage| usage.memory),
        descriptors: usage.map(|usage| usage.descriptors),
        owner: squadron.instances.as_ref().and_then(|all| all.owner(&member.name)).map(|one| one.who().to_string()),
        restarts: squadron.is_supervised().then(|| member.restarts.load(Ordering::Relaxed)),
    }
}

fn discovery_status(sightings: &Sightings) -> DiscoveryStatus {
    let Told { found, failed } = sightings.told();
    DiscoveryStatus {
        source: sightings.source().to_owned(),
        answer_age_seconds: found.map(|at| at.elapsed().as_secs()),
        last_failure: failed.as_ref().map(|(_, why)| why.clone()),
        last_failure_seconds: failed.map(|(at, _)| at.elapsed().as_secs()),
    }
}

fn drain_status(member: &Member) -> BackendDrainStatus {
    let status = BackendDrainStatus {
        drained: member.is_drained(),
        sessions: count(member.sessions.load(Ordering::Relaxed)),
        turns: count(member.turns.load(Ordering::Relaxed)),
        ..BackendDrainStatus::default()
    };
    let Some(drain) = member.drain() else { return status };
    BackendDrainStatus {
        cause: drain.cause.as_str().to_owned(),
        reason: drain.reason.to_string(),
        since_seconds: drain.since.elapsed().as_secs(),
        deadline_seconds: drain.deadline.map(|at| at.saturating_duration_since(Instant::now()).as_secs()),
        ..status
    }
}

fn operation_status(progress: Progress) -> OperationStatus {
    OperationStatus {
        number: progress.number,
        kind: progress.kind.label().to_owned(),
        backend: progress.backend.map(|name| name.to_string()),
        step: progress.step.as_str().to_owned(),
        since_seconds: progress.since.elapsed().as_secs(),
        backends_done: progress.done,
        note: progress.late.then(|| "drain deadline passed".to_owned()),
        error: progress.error,
    }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
