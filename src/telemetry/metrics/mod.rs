//! All metrics of one proxy.

mod cleanup;
mod discovery;
mod families;
mod family;
mod handles;
mod held;
mod instances;
mod journey;
mod label;
mod life;
mod lifecycle;
mod process;
#[cfg(test)]
mod reference;
mod store;
mod tenant;

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::Mutex;
use prometheus::{IntCounter, Registry, TextEncoder};

pub use self::{
    cleanup::{CleanupEnd, CleanupMetrics, CleanupOutcome, EphemeralOutcome},
    discovery::{DiscoveryChange, DiscoveryMetrics, DiscoveryOutcome},
    family::{ByLabel, MetricsError},
    handles::{
        BackendMetrics, BackpressureMetrics, DrainMetrics, ListenerMetrics, MethodMetrics, Outcome, PoolMetrics,
    },
    held::Held,
    instances::{InstanceMetrics, InstanceStart, InstanceState, InstanceStop},
    journey::JourneyMetrics,
    label::{
        BackendState, ClientEnd, Dropped, EvictCause, Label, LinkEnd, LinkOutcome, LockOutcome, MoveCause, MoveOutcome,
        OperationKind, OperationOutcome, OrphanEnd, ProbeOutcome, Reason, RecycleReason, Rejection, Rule, SessionState,
        StallEnd, Towards, TurnOutcome, WakeOutcome, Way,
    },
    life::LifeMetrics,
    lifecycle::LifecycleMetrics,
    store::{Loss, StoreMetrics, StoreOp, StoreOutcome},
    tenant::TenantMetrics,
};
use self::{
    families::Families,
    family::{Definition, Forget, Registrar},
    process::ProcessMetrics,
};

/// The content type of [`Metrics::gather`].
pub const TEXT_FORMAT: &str = prometheus::TEXT_FORMAT;

type Named<M> = HashMap<Box<str>, Arc<M>>;

/// The handles that were asked for.
#[derive(Default)]
struct Handles {
    listeners: Named<ListenerMetrics>,
    pools: Named<PoolMetrics>,
    backends: HashMap<Box<str>, Named<BackendMetrics>>,
    discoveries: Named<DiscoveryMetrics>,
    tenants: Named<TenantMetrics>,
}

fn known<M>(handles: &mut Named<M>, name: &str, make: impl FnOnce() -> M) -> Arc<M> {
    if let Some(handle) = handles.get(name) {
        return handle.clone();
    }
    let handle = Arc::new(make());
    handles.insert(name.into(), handle.clone());
    handle
}

type Hook = Arc<dyn Fn(&Metrics) + Send + Sync>;

/// Every metric of the proxy, in a registry of its own, so that two proxies in one process (as in tests) do not meet.
pub struct Metrics {
    /// Errors that we answered, by reason.
    pub errors: ByLabel<Reason, IntCounter>,
    /// Messages thrown away, by reason.
    pub dropped: ByLabel<Dropped, IntCounter>,
    /// Drains.
    pub drain: DrainMetrics,
    /// Bytes that wait for a slow reader.
    pub backpressure: BackpressureMetrics,
    store: Arc<StoreMetrics>,
    families: Families,
    process: ProcessMetrics,
    methods: Arc<[Box<str>]>,
    handles: Mutex<Handles>,
    hooks: Mutex<Vec<Hook>>,
    definitions: Vec<Definition>,
    forgetters: Vec<Forget>,
    registry: Registry,
}

impl Metrics {
    /// Makes them. `methods` is the closed table of method names: [`PoolMetrics::method`] takes an index into it.
    pub fn new(methods: &[&str]) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let mut registrar = Registrar { registry: &registry, definitions: Vec::new(), forgetters: Vec::new() };
        let families = Families::register(&mut registrar)?;
        let process = ProcessMetrics::register(&mut registrar)?;
        let Registrar { definitions, forgetters, .. } = registrar;
        families.build_info.with([env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            errors: ByLabel::new(|reason| families.errors.with([reason])),
            dropped: ByLabel::new(|reason| families.dropped.with([reason])),
            drain: DrainMetrics::new(&families),
            backpressure: BackpressureMetrics::new(&families),
            store: Arc::new(StoreMetrics::new(&families)),
            process,
            methods: methods.iter().map(|name| Box::from(*name)).collect(),
            handles: Mutex::default(),
            hooks: Mutex::new(Vec::new()),
            definitions,
            forgetters,
            families,
            registry,
        })
    }

    /// The handle of a listener. Everybody who asks for a name gets the same one.
    pub fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        known(&mut self.handles.lock().listeners, name, || ListenerMetrics::new(&self.families, name))
    }

    /// The handle of a pool.
    pub fn pool(&self, name: &str) -> Arc<PoolMetrics> {
        known(&mut self.handles.lock().pools, name, || PoolMetrics::new(&self.families, name, self.methods.clone()))
    }

    /// The handle of a backend. The name `none` stands for sessions that are live nowhere.
    pub fn backend(&self, pool: &str, name: &str) -> Arc<BackendMetrics> {
        let mut handles = self.handles.lock();
        let of_pool = match handles.backends.get_mut(pool) {
            Some(of_pool) => of_pool,
            None => handles.backends.entry(pool.into()).or_default(),
        };
        known(of_pool, name, || BackendMetrics::new(&self.families, pool, name))
    }

    /// Removes all series of a backend that is in no pool any more.
    pub fn forget_backend(&self, pool: &str, name: &str) {
        let mut handles = self.handles.lock();
        if let Some(of_pool) = handles.backends.get_mut(pool) {
            of_pool.remove(name);
        }
        let labels = [("pool", pool), ("backend", name)];
        self.forgetters.iter().for_each(|forget| forget(&labels));
    }

    /// The handle of a pool's discovery.
    pub fn discovery(&self, pool: &str) -> Arc<DiscoveryMetrics> {
        known(&mut self.handles.lock().discoveries, pool, || DiscoveryMetrics::new(&self.families, pool))
    }

    /// The handle of a tenant; where series by tenant are switched off, the caller asks for `all`.
    pub fn tenant(&self, name: &str) -> Arc<TenantMetrics> {
        known(&mut self.handles.lock().tenants, name, || TenantMetrics::new(&self.families, name))
    }

    /// The handle of the store that proxies share.
    pub fn store(&self) -> Arc<StoreMetrics> {
        self.store.clone()
    }

    /// Says which config is in use; the hash of the one before goes.
    pub fn set_config_hash(&self, hash: &str) {
        self.families.config_info.clear();
        self.families.config_info.with([hash]).set(1);
    }

    /// Registers a function that sets gauges just before a scrape reads them. It runs on the scraping thread and must
    /// not wait; it may not call [`Metrics::gather`].
    pub fn on_scrape(&self, hook: impl Fn(&Metrics) + Send + Sync + 'static) {
        self.hooks.lock().push(Arc::new(hook));
    }

    /// All metrics as Prometheus text ([`TEXT_FORMAT`]). Reads `/proc`, about 0.1 ms: call it off the hot threads.
    pub fn gather(&self) -> Result<String, MetricsError> {
        let hooks = self.hooks.lock().clone();
        hooks.iter().for_each(|hook| hook(self));
        self.process.refresh();
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(MetricsError::Print)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("families", &self.definitions.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn value(text: &str, series: &str) -> Option<f64> {
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    #[test]
    fn methods_count_on_their_own_series_and_strangers_on_other() {
        let metrics = Metrics::new(&["ping", "session.send"]).unwrap();
        let pool = metrics.pool("p");
        pool.method(Some(1)).answered(Outcome::Ok, Duration::from_millis(3));
        pool.method(Some(1)).answered(Outcome::Refused(Reason::BackendLost), Duration::from_millis(3));
        pool.method(None).answered(Outcome::Error, Duration::ZERO);
        pool.method(Some(99)).answered(Outcome::Error, Duration::ZERO);
        let text = metrics.gather().unwrap();
        let requests = |method, outcome| {
            value(&text, &format!(r#"pilotfish_requests_total{{method="{method}",outcome="{outcome}",pool="p"}}"#))
        };
        assert_eq!(requests("session.send", "ok"), Some(1.0));
        assert_eq!(requests("session.send", "backend_lost"), Some(1.0));
        assert_eq!(requests("other", "error"), Some(2.0));
        assert_eq!(requests("ping", "ok"), None, "a method that nobody used costs no series");
        let below = r#"pilotfish_request_duration_seconds_bucket{method="session.send",pool="p",le="0.005"}"#;
        assert_eq!(value(&text, below), Some(2.0));
    }

    #[test]
    fn everybody_gets_the_same_handle() {
        let metrics = Metrics::new(&[]).unwrap();
        metrics.listener("sdk").bytes.get(Way::In).inc_by(5);
        metrics.listener("sdk").bytes.get(Way::In).inc_by(7);
        assert!(Arc::ptr_eq(&metrics.backend("p", "b"), &metrics.backend("p", "b")));
        assert!(!Arc::ptr_eq(&metrics.backend("p", "b"), &metrics.backend("q", "b")));
        let text = metrics.gather().unwrap();
        assert_eq!(value(&text, r#"pilotfish_client_bytes_total{direction="in",listener="sdk"}"#), Some(12.0));
    }

    #[test]
    fn exactly_one_backend_state_is_set() {
        let metrics = Metrics::new(&[]).unwrap();
        let backend = metrics.backend("p", "b");
        backend.set_state(BackendState::Up, true);
        backend.set_state(BackendState::Draining, true);
        let text = metrics.gather().unwrap();
        let set: Vec<_> =
            text.lines().filter(|l| l.starts_with("pilotfish_backend_state") && l.ends_with(" 1")).collect();
        assert_eq!(set, [r#"pilotfish_backend_state{backend="b",pool="p",state="draining"} 1"#]);
        assert_eq!(value(&text, r#"pilotfish_backend_up{backend="b",pool="p"}"#), Some(1.0));
    }

    #[test]
    fn nothing_is_left_of_a_backend_that_is_forgotten() {
        let metrics = Metrics::new(&[]).unwrap();
        for (pool, backend) in [("p", "a"), ("p", "b"), ("q", "a")] {
            let backend = metrics.backend(pool, backend);
            backend.probed(ProbeOutcome::Ok, Duration::from_millis(1));
            backend.set_state(BackendState::Up, true);
        }
        metrics.forget_backend("p", "a");
        let text = metrics.gather().unwrap();
        let of = |labels: &str| text.lines().filter(|line| line.contains(labels)).count();
        assert_eq!(of(r#"backend="a",pool="p""#) + of(r#"backend="a",outcome="ok",pool="p""#), 0);
        assert!(of(r#"backend="b",pool="p""#) > 0 && of(r#"backend="a",pool="q""#) > 0);
        assert!(!text.lines().any(|line| line.contains(r#"backend="a""#) && line.contains(r#"pool="p""#)));
        metrics.backend("p", "a").restarts.inc();
        assert_eq!(value(&metrics.gather().unwrap(), r#"pilotfish_restarts_total{backend="a",pool="p"}"#), Some(1.0));
    }

    #[test]
    fn hooks_run_before_the_values_are_read() {
        let metrics = Metrics::new(&[]).unwrap();
        let none = metrics.backend("p", "none");
        metrics.on_scrape(move |_| none.sessions.get(SessionState::Parked).set(42));
        let text = metrics.gather().unwrap();
        assert_eq!(value(&text, r#"pilotfish_sessions{backend="none",pool="p",state="parked"}"#), Some(42.0));
    }

    #[test]
    fn a_new_config_replaces_the_hash() {
        let metrics = Metrics::new(&[]).unwrap();
        metrics.set_config_hash("aaa");
        metrics.set_config_hash("bbb");
        let text = metrics.gather().unwrap();
        assert!(!text.contains("aaa"));
        assert_eq!(value(&text, r#"pilotfish_config_info{hash="bbb"}"#), Some(1.0));
    }
}
