//! Handles: made once for each listener, pool or backend, counted on without look-ups.

use std::{sync::OnceLock, time::Duration};

use prometheus::{Histogram, IntCounter, IntGauge};

use super::{
    cleanup::CleanupMetrics,
    families::Families,
    family::{ByLabel, Counters},
    instances::InstanceMetrics,
    journey::JourneyMetrics,
    label::{
        BackendState, ClientEnd, Label, LinkEnd, LinkOutcome, OperationKind, OperationOutcome, ProbeOutcome, Reason,
        Rejection, SessionState, Towards, TurnOutcome, Way,
    },
    life::LifeMetrics,
    lifecycle::LifecycleMetrics,
};

/// What is counted at one listener.
#[derive(Debug)]
pub struct ListenerMetrics {
    /// Connected clients; raise it with [`super::Held`].
    pub clients: IntGauge,
    /// Clients let in.
    pub accepted: IntCounter,
    /// Clients turned away.
    pub rejected: ByLabel<Rejection, IntCounter>,
    /// Connections that ended.
    pub closed: ByLabel<ClientEnd, IntCounter>,
    /// Frames of clients.
    pub frames: ByLabel<Way, IntCounter>,
    /// Bytes of clients.
    pub bytes: ByLabel<Way, IntCounter>,
    /// Connections in connection mode that have a backend.
    pub connections: IntGauge,
    /// Bytes in connection mode that were moved by `splice`.
    pub spliced: IntCounter,
}

impl ListenerMetrics {
    pub(super) fn new(of: &Families, name: &str) -> Self {
        Self {
            clients: of.clients.with([name]),
            accepted: of.clients_accepted.with([name]),
            rejected: ByLabel::new(|reason| of.clients_rejected.with([name, reason])),
            closed: ByLabel::new(|reason| of.clients_closed.with([name, reason])),
            frames: ByLabel::new(|way| of.client_frames.with([name, way])),
            bytes: ByLabel::new(|way| of.client_bytes.with([name, way])),
            connections: of.connections.with([name]),
            spliced: of.connection_spliced.with([name]),
        }
    }
}

/// What is counted at one backend.
#[derive(Debug)]
pub struct BackendMetrics {
    /// Open links; raise it with [`super::Held`].
    pub links: IntGauge,
    /// Attempts to open a link.
    pub opened: ByLabel<LinkOutcome, IntCounter>,
    /// Links that ended.
    pub closed: ByLabel<LinkEnd, IntCounter>,
    /// Frames of this backend.
    pub frames: ByLabel<Way, IntCounter>,
    /// Bytes of this backend.
    pub bytes: ByLabel<Way, IntCounter>,
    /// Sessions by state; set at scrape time.
    pub sessions: ByLabel<SessionState, IntGauge>,
    /// Running turns; raise it with [`super::Held`].
    pub turns_running: IntGauge,
    /// Turns that ended.
    pub turns: ByLabel<TurnOutcome, IntCounter>,
    /// Health checks that ended.
    pub probes: ByLabel<ProbeOutcome, IntCounter>,
    /// Duration of health checks, in seconds.
    pub probe_duration: Histogram,
    /// Times that health changed its mind.
    pub verdict_changes: IntCounter,
    /// Restarts, if it is supervised.
    pub restarts: IntCounter,
    /// The life of its process.
    pub life: LifeMetrics,
    up: IntGauge,
    state: ByLabel<BackendState, IntGauge>,
}

impl BackendMetrics {
    pub(super) fn new(of: &Families, pool: &str, backend: &str) -> Self {
        Self {
            links: of.links.with([pool, backend]),
            opened: ByLabel::new(|outcome| of.links_opened.with([pool, backend, outcome])),
            closed: ByLabel::new(|reason| of.links_closed.with([pool, backend, reason])),
            frames: ByLabel::new(|way| of.backend_frames.with([pool, backend, way])),
            bytes: ByLabel::new(|way| of.backend_bytes.with([pool, backend, way])),
            sessions: ByLabel::new(|state| of.sessions.with([pool, backend, state])),
            turns_running: of.turns_running.with([pool, backend]),
            turns: ByLabel::new(|outcome| of.turns.with([pool, backend, outcome])),
            probes: ByLabel::new(|outcome| of.probes.with([pool, backend, outcome])),
            probe_duration: of.probe_duration.with([pool, backend]),
            verdict_changes: of.verdict_changes.with([pool, backend]),
            restarts: of.restarts.with([pool, backend]),
            life: LifeMetrics::new(of, pool, backend),
            up: of.backend_up.with([pool, backend]),
            state: ByLabel::new(|state| of.backend_state.with([pool, backend, state])),
        }
    }

    /// Says what the backend is to placement now: one state is 1, the others 0. `healthy` is health's word alone; a
    /// draining backend may be either.
    pub fn set_state(&self, now: BackendState, healthy: bool) {
        for state in BackendState::ALL {
            self.state.get(*state).set(i64::from(*state == now));
        }
        self.up.set(i64::from(healthy));
    }

    /// Records one health check.
    pub fn probed(&self, outcome: ProbeOutcome, took: Duration) {
        self.probes.get(outcome).inc();
        self.probe_duration.observe(took.as_secs_f64());
    }
}

/// What is counted for one pool.
#[derive(Debug)]
pub struct PoolMetrics {
    /// Duration of turns, in seconds.
    pub turn_duration: Histogram,
    /// Time to the first piece of an answer, in seconds.
    pub first_delta: Histogram,
    /// 1 when the panic threshold lets everything through.
    pub panic: IntGauge,
    /// Sessions that outlive something.
    pub journeys: JourneyMetrics,
    /// Sessions that live nowhere for a while, or wait.
    pub lifecycle: LifecycleMetrics,
    /// Sessions that are deleted.
    pub cleanup: CleanupMetrics,
    /// CLIs of one's own.
    pub instances: InstanceMetrics,
    operations: Box<[ByLabel<OperationOutcome, IntCounter>]>,
    methods: Box<[OnceLock<MethodMetrics>]>,
    maker: MethodMaker,
}

#[derive(Debug)]
struct MethodMaker {
    pool: Box<str>,
    names: std::sync::Arc<[Box<str>]>,
    requests: Counters<3>,
    duration: super::family::Histograms<2>,
}

impl PoolMetrics {
    pub(super) fn new(of: &Families, pool: &str, names: std::sync::Arc<[Box<str>]>) -> Self {
        let operations =
            |kind: &OperationKind| ByLabel::new(|outcome| of.operations.with([pool, kind.label(), outcome]));
        Self {
            turn_duration: of.turn_duration.with([pool]),
            first_delta: of.first_delta.with([pool]),
            panic: of.pool_panic.with([pool]),
            journeys: JourneyMetrics::new(of, pool),
            lifecycle: LifecycleMetrics::new(of, pool),
            cleanup: CleanupMetrics::new(of, pool),
            instances: InstanceMetrics::new(of, pool),
            operations: OperationKind::ALL.iter().map(operations).collect(),
            // One more than there are names: the last is `other`.
            methods: (0..=names.len()).map(|_| OnceLock::new()).collect(),
            maker: MethodMaker {
                pool: pool.into(),
                names,
                requests: of.requests.clone(),
                duration: of.request_duration.clone(),
            },
        }
    }

    /// Counts an operation that has ended.
    pub fn operated(&self, kind: OperationKind, outcome: OperationOutcome) {
        self.operations[kind.index()].get(outcome).inc();
    }

    /// The handle of the method with this index in the table that [`super::Metrics::new`] got; of `other` for `None`
    /// or an index outside of the table. The series appear when a method is first used.
    pub fn method(&self, index: Option<usize>) -> &MethodMetrics {
        let last = self.methods.len() - 1;
        let index = index.unwrap_or(last).min(last);
        self.methods[index].get_or_init(|| {
            let name = self.maker.names.get(index).map_or("other", |name| name);
            MethodMetrics::new(&self.maker, name)
        })
    }
}

/// How a request of a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A backend answered with a result.
    Ok,
    /// A backend answered with an error.
    Error,
    /// We answered with an error.
    Refused(Reason),
}

/// What is counted for one method in one pool.
#[derive(Debug)]
pub struct MethodMetrics {
    ok: IntCounter,
    error: IntCounter,
    refused: Box<[OnceLock<IntCounter>]>,
    duration: Histogram,
    pool: Box<str>,
    name: Box<str>,
    requests: Counters<3>,
}

impl MethodMetrics {
    fn new(maker: &MethodMaker, name: &str) -> Self {
        let pool = &*maker.pool;
        Self {
            ok: maker.requests.with([pool, name, "ok"]),
            error: maker.requests.with([pool, name, "error"]),
            refused: Reason::ALL.iter().map(|_| OnceLock::new()).collect(),
            duration: maker.duration.with([pool, name]),
            pool: pool.into(),
            name: name.into(),
            requests: maker.requests.clone(),
        }
    }

    /// Records one request that took `took` until its answer.
    pub fn answered(&self, outcome: Outcome, took: Duration) {
        match outcome {
            Outcome::Ok => self.ok.inc(),
            Outcome::Error => self.error.inc(),
            Outcome::Refused(reason) => self.refused[reason.index()]
                .get_or_init(|| self.requests.with([&self.pool, &self.name, reason.label()]))
                .inc(),
        }
        self.duration.observe(took.as_secs_f64());
    }
}

/// Whether and how often this proxy drained.
#[derive(Debug)]
pub struct DrainMetrics {
    /// 1 while the proxy drains.
    pub draining: IntGauge,
    /// Drains begun.
    pub begun: IntCounter,
}

impl DrainMetrics {
    pub(super) fn new(of: &Families) -> Self {
        Self { draining: of.draining.with([]), begun: of.drains.with([]) }
    }
}

/// What waits because somebody does not read.
#[derive(Debug)]
pub struct BackpressureMetrics {
    /// Bytes that wait; raise it with [`super::Held`].
    pub buffered: ByLabel<Towards, IntGauge>,
    /// Times that a reader was stopped.
    pub stalls: ByLabel<Towards, IntCounter>,
}

impl BackpressureMetrics {
    pub(super) fn new(of: &Families) -> Self {
        Self {
            buffered: ByLabel::new(|towards| of.buffered.with([towards])),
            stalls: ByLabel::new(|towards| of.backpressure.with([towards])),
        }
    }
}
