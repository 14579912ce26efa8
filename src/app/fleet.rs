//! The pools: backends, their probes and name look-ups, the CLIs that we start ourselves, and the pins.

use std::{cell::LazyCell, collections::BTreeMap, sync::Arc, time::Duration, time::Instant};

use ahash::AHashMap;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    AppError, build,
    certificates::Certificates,
    cleanup::{Cleaner, Cleanup, Departures, Remover},
    discovery::{self, DiscoverySettings, Scout, Sightings, Watch},
    instances::{Instances, InstancesSettings, Site},
    observer::Observer,
    operations::Operations,
    recycle::Recycler,
    tenants::Tenants,
};
use crate::{
    backend::{Dialer, discovery::Source, probe, probe::ProbeObserver, resolve},
    config::{self, Config},
    pool::{Drain, DrainCause, Member, Pool, Verdict},
    route::{Idler, Mover, Router},
    session::{Census, Keeper, Leases, Registry, Room},
    store::Store,
    supervise::{Processes, Supervisor, Usage},
    telemetry::Metrics,
    tenancy::Wall,
};

/// The start does not wait longer for somebody to tell of backends.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

/// Pins that nobody holds are swept so often.
const SWEEP: Duration = Duration::from_secs(5);

/// One pool with everything that keeps it going.
pub(super) struct Squadron {
    pub pool: Arc<Pool>,
    pub registry: Arc<Registry>,
    pub supervisor: Option<Supervisor>,
    /// Where each identity has a backend of its own. The pool shows them all; their sessions are theirs.
    pub instances: Option<Arc<Instances>>,
    /// What is known of its backends' source, where they are found.
    pub sightings: Option<Arc<Sightings>>,
    pub operations: Operations,
    pub cleanup: Arc<Cleanup>,
    /// How its backends are reached.
    pub dialer: Dialer,
}

/// All pools by name.
pub(super) struct Fleet {
    pub pools: BTreeMap<String, Arc<Squadron>>,
    /// What the store is asked and told.
    pub asking: TaskTracker,
}

impl Fleet {
    /// Starts every pool's probes, look-ups and CLIs on `tracker` until `cancel`.
    pub(super) fn start(
        config: &Arc<Config>,
        metrics: &Arc<Metrics>,
        tenants: &Tenants,
        certificates: &Certificates,
        store: &Arc<dyn Store>,
        tracker: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Result<Self, AppError> {
        let (mut pools, asking) = (BTreeMap::new(), TaskTracker::new());
        for (name, set) in &config.pools {
            if let Some(settings) = build::instances(set) {
                let site = Site {
                    pool: name.as_str().into(),
                    config: config.clone(),
                    metrics: metrics.clone(),
                    wall: tenants.wall(name),
                    store: Instances::store(),
                    asking: asking.clone(),
                    tracker: tracker.clone(),
                    cancel: cancel.child_token(),
                };
                pools.insert(name.clone(), Arc::new(Squadron::of_instances(settings, site)));
                continue;
            }
            let mut squadron =
                start_pool(name, config, certificates.dialer(name), metrics, (tracker, cancel), (store, &asking))?;
            let found = discovery::settings::of(set);
            squadron.sightings = found.as_ref().map(|(_, _, words)| Arc::new(Sightings::new(words.clone())));
            let squadron = Arc::new(squadron);
            if let Some((source, settings, _)) = found {
                squadron.scout(set, (source, settings), metrics, (tracker, cancel));
            }
            squadron.attend(set, config.store.ttl, (tracker, cancel));
            if let Some(settings) = build::recycle(set) {
                let recycler = Recycler::new(squadron.clone(), settings, metrics.clone());
                squadron.operations.spawn(recycler.run());
            }
            squadron.clean_up(tenants.wall(name), store, metrics);
            pools.insert(name.clone(), squadron);
        }
        Ok(Self { pools, asking })
    }

    /// Comes back when the source of each pool has told of a backend, but does not wait for long.
    pub(super) async fn found(&self) {
        let until = tokio::time::Instant::now() + FIRST_ANSWER;
        for sightings in self.pools.values().filter_map(|squadron| squadron.sightings.as_ref()) {
            sightings.first(until.saturating_duration_since(tokio::time::Instant::now())).await;
        }
    }

    /// Comes back when each pool has a backend that is up, or all of its backends were judged.
    pub(super) async fn judged(&self) {
        for squadron in self.pools.values() {
            for member in squadron.pool.members().iter() {
                let up = squadron.pool.healthy_count() > 0;
                if !up {
                    let _ = member.verdicts().wait_for(|verdict| *verdict != Verdict::Unknown).await;
                }
            }
        }
    }

    /// Comes back when every backend is up.
    pub(super) async fn all_up(&self) {
        for squadron in self.pools.values() {
            // Members that are found may go again before they are up: of those it is enough that they were judged.
            let enough = |verdict: &Verdict| {
                *verdict == Verdict::Up || squadron.sightings.is_some() && *verdict == Verdict::Down
            };
            for member in squadron.pool.members().iter() {
                // The sender lives in the member, so this cannot fail.
                let _ = member.verdicts().wait_for(enough).await;
            }
        }
    }

    /// Whatever an operator began to do to backends ends where it is.
    pub(super) fn halt_operations(&self) {
        self.pools.values().for_each(|squadron| squadron.operations.halt());
    }

    /// Comes back when the store was told what the last clients have let go, or it does not answer.
    pub(super) async fn settle(&self) {
        self.asking.close();
        let _ = tokio::time::timeout(crate::store::LIMIT * 2, self.asking.wait()).await;
    }

    /// Stops the CLIs that we started.
    pub(super) async fn stop(&self) {
        for squadron in self.pools.values() {
            if let Some(supervisor) = &squadron.supervisor {
                supervisor.stop_all().await;
            }
            if let Some(instances) = &squadron.instances {
                instances.stop().await;
            }
        }
    }
}

impl Squadron {
    /// A pool with the pins of its sessions. `key`: what the store calls it.
    pub(super) fn new(
        (key, config, pool, supervisor): (&str, &Config, Arc<Pool>, Option<Supervisor>),
        dialer: Dialer,
        metrics: &Arc<Metrics>,
        (store, asking): (&Arc<dyn Store>, &TaskTracker),
        (tracker, cancel): (&TaskTracker, &CancellationToken),
    ) -> Self {
        let (name, set) = (pool.name().clone(), &config.pools[&**pool.name()]);
        let room = Room::new(build::room(&set.sessions));
        let on_loss = build::on_store_loss(&config.store);
        let leases = Leases::new(store.clone(), key.into(), on_loss, asking.clone(), cancel.clone());
        let registry = Arc::new(Registry::with_room(build::PIN_LINGER, room, leases));
        registry.set_departure_linger(set.linger);
        let settings = build::operations(&name, config);
        let operations = Operations::new(name, settings, metrics.clone(), tracker, cancel);
        let cleanup = Arc::new(Cleanup::new(build::cleanup(set, dialer.clone())));
        Self { pool, registry, supervisor, instances: None, sightings: None, operations, cleanup, dialer }
    }

    /// A pool in which each identity has a backend of its own.
    fn of_instances(settings: InstancesSettings, site: Site) -> Self {
        let set = &site.config.pools[&*site.pool];
        let pool = Arc::new(Pool::new(site.pool.clone(), build::pool(set), Vec::new()));
        let lasting = (&site.tracker, &site.cancel);
        let (named, stored) = ((&*site.pool, &*site.config, pool, None), (&site.store, &site.asking));
        let face = Self::new(named, Dialer::default(), &site.metrics, stored, lasting);
        let instances = Instances::new(settings, site, face.pool.clone());
        instances.begin();
        Self { instances: Some(instances), ..face }
    }

    /// This one, or those that it is made of.
    pub(super) fn parts(self: &Arc<Self>) -> Vec<Arc<Self>> {
        self.instances.as_ref().map_or_else(|| vec![self.clone()], |instances| instances.squadrons())
    }

    /// Where each of its sessions is, by backend.
    pub(super) fn census(self: &Arc<Self>) -> AHashMap<Arc<str>, Census> {
        let mut all = AHashMap::<Arc<str>, Census>::new();
        for (backend, census) in self.parts().iter().flat_map(|part| part.registry.census()) {
            *all.entry(backend).or_default() += census;
        }
        all
    }

    /// Whether its backends are processes of ours.
    pub(super) fn is_supervised(&self) -> bool {
        self.supervisor.is_some() || self.instances.is_some()
    }

    /// The process of each backend that we started.
    fn processes(&self) -> Option<Vec<(Arc<str>, u32)>> {
        let supervised = self.supervisor.as_ref().map(Supervisor::running);
        supervised.or_else(|| self.instances.as_ref().map(|instances| instances.processes()))
    }

    /// What looks after its sessions, on `tracker` until `cancel`.
    pub(super) fn attend(
        &self,
        set: &config::Pool,
        ttl: Duration,
        (tracker, cancel): (&TaskTracker, &CancellationToken),
    ) {
        let registry = self.registry.clone();
        let sweep = async move {
            let mut ticks = tokio::time::interval(SWEEP);
            loop {
                ticks.tick().await;
                for () in registry.sweep(Instant::now()) {
                    tokio::task::yield_now().await;
                }
            }
        };
        tracker.spawn(cancel.clone().run_until_cancelled_owned(sweep));
        let keeper = Keeper::new(self.registry.clone(), ttl);
        tracker.spawn(cancel.clone().run_until_cancelled_owned(keeper.run()));
        let router = Router::new(self.pool.clone(), self.registry.clone());
        let mover = Mover::new(router, build::mover(set));
        tracker.spawn(cancel.clone().run_until_cancelled_owned(mover.run()));
        if let Some(idler) = Idler::new(self.registry.clone(), set.sessions.idle_timeout) {
            tracker.spawn(cancel.clone().run_until_cancelled_owned(idler.run()));
        }
    }

    /// Finds its backends, on `tracker` until `cancel`.
    fn scout(
        self: &Arc<Self>,
        set: &config::Pool,
        how: (Source, DiscoverySettings),
        metrics: &Arc<Metrics>,
        (tracker, cancel): (&TaskTracker, &CancellationToken),
    ) {
        let Some(sightings) = self.sightings.clone() else { return };
        let observer: Arc<dyn ProbeObserver> = Arc::new(Observer::new(metrics.clone()));
        let settings = Arc::new(build::probe(set, self.dialer.clone()));
        let watch = Watch { settings, observer, tracker: tracker.clone(), cancel: cancel.clone() };
        let scout = Scout::new(self, how, watch, metrics, sightings);
        tracker.spawn(cancel.clone().run_until_cancelled_owned(scout.run()));
    }

    /// Begins to delete what nobody needs any more.
    pub(super) fn clean_up(self: &Arc<Self>, wall: Option<Arc<Wall>>, store: &Arc<dyn Store>, metrics: &Metrics) {
        let remover = || Remover::new(self.clone(), wall.clone(), store);
        let metrics = metrics.pool(self.pool.name());
        if let Some(cleaner) = Cleaner::new(remover(), metrics.clone()) {
            self.operations.spawn(cleaner.run());
        }
        if self.cleanup.settings().ephemeral {
            self.operations.spawn(Departures::new(remover(), metrics).run());
        }
    }

    /// What the processes of each backend use that we started.
    pub(super) async fn usage(&self) -> AHashMap<Arc<str>, Usage> {
        let Some(running) = self.processes() else { return AHashMap::new() };
        let look = tokio::task::spawn_blocking(move || used_by(&Processes::read(), running));
        // It can only fail by a panic, or because everything ends.
        look.await.unwrap_or_default()
    }

    /// The same from `all`, on a thread that may block.
    pub(super) fn usage_in(&self, all: &LazyCell<Processes>) -> AHashMap<Arc<str>, Usage> {
        self.processes().map(|running| used_by(all, running)).unwrap_or_default()
    }
}

fn used_by(all: &Processes, running: Vec<(Arc<str>, u32)>) -> AHashMap<Arc<str>, Usage> {
    running.into_iter().filter_map(|(name, pid)| Some((name, all.usage(pid)?))).collect()
}

fn start_pool(
    name: &str,
    config: &Config,
    dialer: Dialer,
    metrics: &Arc<Metrics>,
    (tracker, cancel): (&TaskTracker, &CancellationToken),
    (store, asking): (&Arc<dyn Store>, &TaskTracker),
) -> Result<Squadron, AppError> {
    let (set, pool_name) = (&config.pools[name], Arc::<str>::from(name));
    let members = match &set.supervise {
        Some(supervise) => {
            let names = build::instance_names(name, supervise);
            names.into_iter().map(|name| Arc::new(Member::new(pool_name.clone(), name, 1, None))).collect()
        }
        None => set.backends.iter().map(|backend| fixed_member(&pool_name, backend)).collect::<Vec<_>>(),
    };
    for (member, backend) in members.iter().zip(&set.backends).filter(|(member, _)| member.address().is_none()) {
        resolve::spawn(member.clone(), backend.address.to_string(), set.resolve_interval, tracker, cancel);
    }
    let observer: Arc<dyn ProbeObserver> = Arc::new(Observer::new(metrics.clone()));
    probe::spawn(members.clone(), &Arc::new(build::probe(set, dialer.clone())), &observer, tracker, cancel);
    let supervisor = match &set.supervise {
        Some(supervise) => {
            let settings = build::supervise(supervise, set);
            let started = Supervisor::start(settings, members.clone(), tracker, cancel);
            Some(started.map_err(|source| AppError::Supervise { pool: name.into(), source })?)
        }
        None => None,
    };
    let pool = Arc::new(Pool::new(name, build::pool(set), members));
    Ok(Squadron::new((name, config, pool, supervisor), dialer, metrics, (store, asking), (tracker, cancel)))
}

fn fixed_member(pool: &Arc<str>, backend: &config::Backend) -> Arc<Member> {
    let member = Member::new(pool.clone(), backend.name.as_str().into(), backend.weight, backend.address.endpoint());
    if let Some(host) = backend.address.host() {
        member.set_server_name(host);
    }
    if backend.drains() {
        member.begin_drain(Drain::begin(DrainCause::Config, "the config says so", None));
    }
    Arc::new(member)
}
