//! What an operator sees of a running proxy: metrics for Prometheus and logs.
//!
//! # Layout
//! - [`Metrics`]: one struct with its own registry. Whoever counts something asks once for a handle
//!   ([`ListenerMetrics`], [`PoolMetrics`], [`BackendMetrics`]) and counts on the handle: no label is looked up and
//!   nothing is allocated for a message.
//! - label sets ([`Reason`], [`ClientEnd`], ...) are enums, so a label can only take a documented value.
//! - [`audit`]: one line for each call that was refused or matters.
//! - [`logs`]: the subscriber, the keys that records use, and a brake for warnings that repeat.
//!
//! Every family, its labels and its help are listed in `docs/metrics.md`, which a test compares with the code.

pub mod audit;
pub mod logs;
mod metrics;

pub use metrics::{
    BackendMetrics, BackendState, BackpressureMetrics, ByLabel, CleanupEnd, CleanupMetrics, CleanupOutcome, ClientEnd,
    DiscoveryChange, DiscoveryMetrics, DiscoveryOutcome, DrainMetrics, Dropped, EphemeralOutcome, EvictCause, Held,
    InstanceMetrics, InstanceStart, InstanceState, InstanceStop, JourneyMetrics, Label, LifeMetrics, LifecycleMetrics,
    LinkEnd, LinkOutcome, ListenerMetrics, LockOutcome, Loss, MethodMetrics, Metrics, MetricsError, MoveCause,
    MoveOutcome, OperationKind, OperationOutcome, OrphanEnd, Outcome, PoolMetrics, ProbeOutcome, Reason, RecycleReason,
    Rejection, Rule, SessionState, StallEnd, StoreMetrics, StoreOp, StoreOutcome, TEXT_FORMAT, TenantMetrics, Towards,
    TurnOutcome, WakeOutcome, Way,
};
