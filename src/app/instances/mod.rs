//! Dedicated pools: each tenant, or each user, has a CLI of its own.
//!
//! # Layout
//! - [`Instances`]: all of one pool; knows who has one, and makes one for whoever has none yet.
//! - `household`: one identity's own pool, and the CLI that runs in it now.
//! - `steward`: the one task that decides who is started and who is stopped.
//! - `starter`: one start.
//! - `spares`: those that were started before.
//! - `outfit`: what each is given.
//! - `seen`: what operators see of them, and may want of them.
//! - `settings`: what can be set.

mod household;
mod outfit;
mod seen;
mod settings;
mod spares;
mod starter;
mod steward;

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{household::Household, spares::Spares, steward::Steward};
pub(super) use self::{outfit::settings as outfit, settings::InstancesSettings};
use super::fleet::Squadron;
use crate::{
    backend::Dialer,
    config::Config,
    model::Identity,
    pool::{Member, Pool},
    route::{Instance, Quarters, Router},
    store::{Memory, Store},
    supervise::Outfitter,
    telemetry::{Metrics, PoolMetrics},
    tenancy::Wall,
};

/// All instances of one pool.
pub(super) struct Instances {
    settings: InstancesSettings,
    outfitter: Arc<Outfitter>,
    spares: Spares,
    site: Site,
    households: Mutex<BTreeMap<String, Arc<Household>>>,
    /// Woken when somebody wants or leaves an instance, or a CLI changes its state.
    bell: Arc<Notify>,
    /// The pool as operators see it: every CLI that runs.
    face: Arc<Pool>,
}

/// What a household is made of.
pub(super) struct Site {
    pub pool: Arc<str>,
    pub config: Arc<Config>,
    pub metrics: Arc<Metrics>,
    pub wall: Option<Arc<Wall>>,
    /// Its own: what runs here runs nowhere else.
    pub store: Arc<dyn Store>,
    pub asking: TaskTracker,
    pub tracker: TaskTracker,
    pub cancel: CancellationToken,
}

impl Instances {
    /// Nobody has one yet. [`Instances::begin`] starts the steward.
    pub(super) fn new(settings: InstancesSettings, site: Site, face: Arc<Pool>) -> Arc<Self> {
        let outfitter = Outfitter::new(settings.outfit.clone());
        Arc::new(Self {
            outfitter,
            spares: Spares::default(),
            settings,
            site,
            households: Mutex::default(),
            bell: Arc::default(),
            face,
        })
    }

    /// The store of a dedicated pool: no other process has its sessions.
    pub(super) fn store() -> Arc<dyn Store> {
        Arc::new(Memory::new())
    }

    /// Starts and stops CLIs until the site's token is cancelled.
    pub(super) fn begin(self: &Arc<Self>) {
        if let Some(every) = self.settings.token_check {
            let watch = self.clone().watch_tokens(every);
            self.site.tracker.spawn(self.site.cancel.clone().run_until_cancelled_owned(watch));
        }
        let steward = Steward::new(self.clone());
        self.site.tracker.spawn(self.site.cancel.clone().run_until_cancelled_owned(steward.run()));
    }

    /// Every household now.
    pub(super) fn households(&self) -> Vec<Arc<Household>> {
        self.households.lock().values().cloned().collect()
    }

    /// Their pools and sessions.
    pub(super) fn squadrons(&self) -> Vec<Arc<Squadron>> {
        self.households().iter().map(|household| household.squadron.clone()).collect()
    }

    /// The process of each CLI that runs.
    pub(super) fn processes(&self) -> Vec<(Arc<str>, u32)> {
        let running = |household: &Arc<Household>| household.tenancy().map(|tenancy| tenancy.supervisor.running());
        self.households().iter().filter_map(running).flatten().collect()
    }

    /// Whose CLI a backend is.
    pub(super) fn owner(&self, backend: &str) -> Option<Arc<Household>> {
        let is_its =
            |household: &Arc<Household>| household.tenancy().is_some_and(|tenancy| &*tenancy.member.name == backend);
        self.households().into_iter().find(is_its)
    }

    /// Stops every CLI.
    pub(super) async fn stop(&self) {
        self.site.cancel.cancel();
        self.stop_spares().await;
        for household in self.households() {
            if let Some(tenancy) = household.tenancy() {
                tenancy.supervisor.stop_all().await;
            }
        }
    }

    fn metrics(&self) -> Arc<PoolMetrics> {
        self.site.metrics.pool(&self.site.pool)
    }

    /// The pool shows those that run.
    fn show(&self) {
        let running = self.households().iter().filter_map(|household| household.tenancy()).collect::<Vec<_>>();
        let mut members: Vec<Arc<Member>> = running.into_iter().map(|tenancy| tenancy.member.clone()).collect();
        members.sort_by(|one, other| one.name.len().cmp(&other.name.len()).then_with(|| one.name.cmp(&other.name)));
        self.face.set_members(members);
    }

    fn make(&self, who: Identity) -> Arc<Household> {
        let site = &self.site;
        let pool = Arc::new(Pool::new(site.pool.clone(), self.face.settings().clone(), Vec::new()));
        let cancel = site.cancel.child_token();
        let key = format!("{}/{who}", site.pool);
        let squadron = Arc::new(Squadron::new(
            (&key, &site.config, pool, None),
            Dialer::default(),
            &site.metrics,
            (&site.store, &site.asking),
            (&site.tracker, &cancel),
        ));
        squadron.attend(&site.config.pools[&*site.pool], site.config.store.ttl, (&site.tracker, &cancel));
        squadron.clean_up(site.wall.clone(), &site.store, &site.metrics);
        let router = Router::new(squadron.pool.clone(), squadron.registry.clone());
        let instance = Instance::new(who, router, self.bell.clone(), Instant::now());
        Arc::new(Household::new(instance, squadron, cancel))
    }
}

impl Quarters for Instances {
    fn of(&self, who: &Identity) -> Arc<Instance> {
        let who = if self.settings.by_user { who.clone() } else { Identity { user: None, ..who.clone() } };
        let mut households = self.households.lock();
        let household = households.entry(who.to_string()).or_insert_with(|| self.make(who));
        household.instance.touch(Instant::now());
        household.instance.clone()
    }

    fn patience(&self) -> Duration {
        self.settings.queue_timeout
    }
}

impl fmt::Debug for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instances").field("pool", &self.site.pool).finish_non_exhaustive()
    }
}
