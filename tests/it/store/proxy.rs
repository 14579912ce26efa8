//! A store as one proxy has it: its own connections, its own watcher.

use std::{ops::Deref, sync::Arc, time::Duration};

use pilotfish::{
    store::{Redis, RedisSettings, Store, Told, Topology},
    telemetry::Metrics,
};
use tokio::sync::broadcast;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::deadline::within;

/// The store of one proxy. Dropping it ends its task.
pub struct Proxy {
    store: Arc<Redis>,
    pub told: broadcast::Receiver<Told>,
    pub metrics: Metrics,
    _end: DropGuard,
}

/// Settings for one Redis at `address`.
pub fn settings(name: &str, address: &str) -> RedisSettings {
    RedisSettings {
        proxy: name.into(),
        addresses: vec![address.parse().expect("an address")],
        topology: Topology::Single,
        username: None,
        password: None,
        sentinel_password: None,
        tls: None,
        database: 0,
        prefix: "test:".to_owned(),
        ttl: Duration::from_millis(300),
    }
}

impl Proxy {
    /// Waits until the store is up.
    pub async fn start(settings: RedisSettings) -> Self {
        let mut this = Self::launch(settings);
        this.until(&Told::Up { lost: false }).await;
        this
    }

    /// Does not wait.
    pub fn launch(settings: RedisSettings) -> Self {
        let metrics = Metrics::new(&[]).expect("metrics");
        let (store, watch) = Redis::open(settings, metrics.store()).expect("settings that fit");
        let (told, end) = (store.listen(), CancellationToken::new());
        tokio::spawn(watch.run(end.clone()));
        Self { store, told, metrics, _end: end.drop_guard() }
    }

    /// Waits until it is told this; what comes before is thrown away.
    pub async fn until(&mut self, wanted: &Told) {
        let told = async { while self.told.recv().await.as_ref() != Ok(wanted) {} };
        within(|| format!("{wanted:?}"), told).await;
    }

    /// The value of a metric.
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.metrics.gather().expect("metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series}")).parse().expect("a number")
    }
}

impl Deref for Proxy {
    type Target = Redis;

    fn deref(&self) -> &Redis {
        &self.store
    }
}
