//! The store of several proxies: Redis, Valkey, or what speaks like them; one, with Sentinels, or a Cluster.
//!
//! Every question is one script, so one step for everybody, and goes by the clock of the server. A question is answered within
//! [`LIMIT`](super::LIMIT): while the store is known to be down, at once.
//!
//! Redis forgets what it had not written when it restarts, and a replica that takes over has not heard the last changes. So a
//! background task ([`Watch`]) asks all the time whether the process is still the one that it was (its run id) and a master. If
//! not, every hold is lost: all who listen hear [`Told::Up`] with `lost`, and for 700 ms nobody gets a lock, or a session that
//! it did not hold before, so that every proxy has noticed before somebody else gets what it held. A proxy that cannot reach
//! the new process while others can does not notice: its holds end there with their time, and what it does with its sessions
//! until then, and after it, is its own affair (`session::live` goes on with them).
//!
//! The clocks of proxies do not matter, those of the servers only if they are set by hand: a hold ends sooner or later by that.

mod ask;
mod connect;
mod find;
mod holds;
mod links;
mod locks;
mod names;
mod owners;
mod pins;
mod scripts;
mod sentinels;
mod settings;
mod state;
mod watch;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::broadcast;

use self::{connect::Connector, names::Names, state::State};
pub use self::{
    connect::OpenError,
    settings::{RedisSettings, Tls, Topology},
    watch::Watch,
};
use super::{Alone, Claimed, Key, Locked, Recorded, Renewed, Store, StoreError, Told, Waiter, Who, Wish};
use crate::telemetry::StoreMetrics;

/// The store of several proxies.
pub struct Redis {
    proxy: Box<str>,
    ttl: Duration,
    names: Names,
    state: Arc<State>,
    /// The largest token that we have seen.
    highest: AtomicU64,
}

impl Redis {
    /// Makes it, with the task that connects it and watches over it; before that runs the store is down.
    ///
    /// # Errors
    /// A file of the TLS settings cannot be used.
    pub fn open(settings: RedisSettings, metrics: Arc<StoreMetrics>) -> Result<(Arc<Self>, Watch), OpenError> {
        let connector = Arc::new(Connector::new(&settings)?);
        let names = Names::new(&settings.prefix, settings.database);
        let state = Arc::new(State::new(metrics));
        let this = Self {
            proxy: settings.proxy.clone(),
            ttl: settings.ttl,
            names: names.clone(),
            state: state.clone(),
            highest: AtomicU64::new(0),
        };
        Ok((Arc::new(this), Watch { state, settings, connector, names }))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("proxy", &self.proxy).field("up", &self.state.is_up()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for Redis {
    fn is_shared(&self) -> bool {
        true
    }

    fn is_up(&self) -> bool {
        self.state.is_up()
    }

    fn losses(&self) -> u64 {
        self.state.losses()
    }

    fn listen(&self) -> broadcast::Receiver<Told> {
        self.state.told.subscribe()
    }

    async fn claim(&self, key: &Key, wish: &Wish) -> Result<Claimed, StoreError> {
        self.claim_pin(key, wish).await
    }

    async fn isolate(&self, key: &Key, token: u64) -> Result<Alone, StoreError> {
        self.isolate_pin(key, token).await
    }

    async fn renew(&self, holds: &[(Key, u64)]) -> Result<Vec<Renewed>, StoreError> {
        self.renew_pins(holds).await
    }

    async fn leave(&self, key: &Key, token: u64, closed: bool) -> Result<(), StoreError> {
        self.leave_pin(key, token, closed).await
    }

    async fn is_held(&self, key: &Key) -> Result<bool, StoreError> {
        self.is_pinned(key).await
    }

    async fn lock(&self, key: &Key, waiter: &Waiter) -> Result<Locked, StoreError> {
        self.take_lock(key, waiter).await
    }

    async fn renew_locks(&self, locks: &[(Key, u64)]) -> Result<Vec<Renewed>, StoreError> {
        self.renew_all_locks(locks).await
    }

    async fn unlock(&self, key: &Key, token: u64) -> Result<bool, StoreError> {
        self.give_lock_back(key, token).await
    }

    async fn leave_line(&self, key: &Key, waiter: u64) -> Result<(), StoreError> {
        self.go_from_line(key, waiter).await
    }

    async fn record(&self, key: &Key, who: &Who) -> Result<Recorded, StoreError> {
        self.record_owner(key, who).await
    }

    async fn disown(&self, key: &Key, who: Option<&Who>) -> Result<(), StoreError> {
        self.forget_owner(key, who).await
    }

    async fn owners(&self, pool: &str, cursor: u64) -> Result<(u64, Vec<(Box<str>, Who)>), StoreError> {
        self.list_owners(pool, cursor).await
    }
}
