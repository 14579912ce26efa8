//! One member more, altered, or less: with its probe, its look-ups and its series.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use ahash::AHashMap;
use tokio_util::sync::CancellationToken;

use super::{super::fleet::Squadron, Watch};
use crate::{
    backend::{
        discovery::{Change, Entry, Roster},
        probe, resolve,
    },
    model::Endpoint,
    pool::{Admission, Drain, DrainCause, Member, Verdict},
    telemetry::{DiscoveryChange, DiscoveryMetrics, Metrics},
};

/// Who was chosen just before the drain began is counted by then.
const SETTLED: Duration = Duration::from_millis(500);

/// What an operator reads of backends that are told of no more.
const GONE: &str = "discovery no longer tells of it";

/// What a file says.
const DRAINED: &str = "the file of backends says so";

struct Tent {
    cancel: CancellationToken,
    lookup: Option<(Arc<str>, CancellationToken)>,
}

/// The members that were found.
pub(super) struct Camp {
    squadron: Arc<Squadron>,
    resolve_interval: Duration,
    watch: Watch,
    metrics: Arc<Metrics>,
    tents: AHashMap<Arc<str>, Tent>,
}

impl Camp {
    pub(super) fn new(
        squadron: Arc<Squadron>,
        resolve_interval: Duration,
        watch: Watch,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { squadron, resolve_interval, watch, metrics, tents: AHashMap::new() }
    }

    /// Does one thing.
    pub(super) fn make(&mut self, change: Change, slowly: bool) {
        match change {
            Change::Join(entry) => self.join(&entry, slowly),
            Change::Alter(entry) => self.alter(&entry),
            Change::Return(entry) => {
                if let Some(member) = self.member(&entry.name) {
                    self.squadron.operations.lift(&member, DrainCause::Discovery);
                    tracing::info!(pool = %member.pool, backend = %member.name, "backend is found again");
                }
                self.alter(&entry);
            }
            Change::Leave(name) => self.member(&name).iter().for_each(|member| self.drain(member)),
            Change::Vacate(name) => self.member(&name).iter().for_each(|member| place(member, None)),
        }
    }

    /// Removes those that are on their way out and have nothing left.
    pub(super) fn dismiss(&mut self, roster: &mut Roster, metrics: &DiscoveryMetrics) {
        let leaving = roster.leaving();
        for name in &leaving {
            let Some(member) = self.member(name) else {
                roster.removed(name);
                continue;
            };
            if !member.is_draining() {
                // Whoever lifted the drain cannot make it come back.
                self.drain(&member);
            }
            let settled = member.drain().is_none_or(|drain| drain.since.elapsed() >= SETTLED);
            let free = member.is_drained() && member.turns.load(Ordering::Acquire) <= 0;
            if free && settled {
                self.remove(&member);
                roster.removed(name);
                metrics.changes.get(DiscoveryChange::Removed).inc();
            }
        }
        metrics.leaving.set(roster.leaving().len() as i64);
    }

    fn member(&self, name: &str) -> Option<Arc<Member>> {
        self.squadron.pool.member(name)
    }

    fn join(&mut self, entry: &Entry, slowly: bool) {
        let pool = &self.squadron.pool;
        let member =
            Arc::new(Member::new(pool.name().clone(), entry.name.clone(), entry.weight, entry.address.clone()));
        if let Some(server) = &entry.server {
            member.set_server_name(server);
        }
        if slowly {
            member.start_slowly(Instant::now());
        }
        if entry.drain {
            member.begin_drain(Drain::begin(DrainCause::Config, DRAINED, None));
        }
        tracing::info!(pool = %pool.name(), backend = %entry.name, address = ?entry.address, "backend is found");
        let mut members = pool.members().to_vec();
        members.push(member.clone());
        pool.set_members(members);
        let cancel = self.watch.cancel.child_token();
        probe::spawn([member.clone()], &self.watch.settings, &self.watch.observer, &self.watch.tracker, &cancel);
        self.tents.insert(entry.name.clone(), Tent { cancel, lookup: None });
        self.look_up(&member, entry);
    }

    fn alter(&mut self, entry: &Entry) {
        let Some(member) = self.member(&entry.name) else { return };
        member.set_weight(entry.weight);
        if entry.host.is_none() && entry.address.is_some() && member.address() != entry.address {
            tracing::info!(pool = %member.pool, backend = %member.name, address = ?entry.address, "backend has a new address");
            place(&member, entry.address.clone());
            member.start_slowly(Instant::now());
        }
        self.look_up(&member, entry);
        let drained = member.drain().is_some_and(|drain| drain.cause == DrainCause::Config);
        match (entry.drain, drained) {
            (true, false) => {
                let timeout = self.squadron.operations.drain_timeout();
                let drain = Drain::begin(DrainCause::Config, DRAINED, Some(timeout));
                self.squadron.operations.drain_anyway(&self.squadron.pool, &member, drain);
            }
            (false, true) => self.squadron.operations.lift(&member, DrainCause::Config),
            _ => {}
        }
    }

    /// Keeps the address of a name.
    fn look_up(&mut self, member: &Arc<Member>, entry: &Entry) {
        let Some(tent) = self.tents.get_mut(&entry.name) else { return };
        if tent.lookup.as_ref().map(|(host, _)| host) == entry.host.as_ref() {
            return;
        }
        if let Some((_, before)) = tent.lookup.take() {
            before.cancel();
        }
        if let Some(host) = &entry.host {
            let cancel = tent.cancel.child_token();
            resolve::spawn(member.clone(), host.to_string(), self.resolve_interval, &self.watch.tracker, &cancel);
            tent.lookup = Some((host.clone(), cancel));
        }
    }

    fn drain(&self, member: &Arc<Member>) {
        let timeout = self.squadron.operations.drain_timeout();
        let drain = Drain::begin(DrainCause::Discovery, GONE, Some(timeout));
        self.squadron.operations.drain_anyway(&self.squadron.pool, member, drain);
    }

    fn remove(&mut self, member: &Arc<Member>) {
        let (pool, name) = (&self.squadron.pool, &member.name);
        if let Some(tent) = self.tents.remove(name) {
            tent.cancel.cancel();
        }
        let others = pool.members().iter().filter(|other| !Arc::ptr_eq(other, member)).cloned().collect();
        pool.set_members(others);
        // Whoever still knows it must not wait for it.
        member.set_address(None);
        member.set_verdict_at(Verdict::Down, Instant::now());
        member.set_admission(Admission::Drain);
        self.metrics.forget_backend(pool.name(), name);
        tracing::info!(pool = %pool.name(), backend = %name, "backend is removed");
    }
}

/// The next links go there, and health asks at once.
fn place(member: &Member, address: Option<Endpoint>) {
    member.set_address(address);
    member.suspect.notify_one();
}
