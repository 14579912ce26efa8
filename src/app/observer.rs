//! What probes report: metrics and the log.

use std::sync::Arc;

use crate::{
    backend::probe::{self, ProbeObserver},
    pool::{Member, Verdict},
    telemetry::{BackendState, Metrics, ProbeOutcome},
};

/// Counts checks and tells about changes.
pub(super) struct Observer {
    metrics: Arc<Metrics>,
}

impl Observer {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics }
    }
}

impl ProbeObserver for Observer {
    fn probed(&self, member: &Member, outcome: &probe::ProbeOutcome) {
        self.metrics.backend(&member.pool, &member.name).probed(label(outcome.reason), outcome.took);
    }

    fn changed(&self, member: &Member, from: Verdict, to: Verdict, reason: &'static str) {
        let metrics = self.metrics.backend(&member.pool, &member.name);
        metrics.verdict_changes.inc();
        metrics.set_state(state_of(member), to == Verdict::Up);
        let (pool, backend) = (&*member.pool, &*member.name);
        if to == Verdict::Up {
            tracing::info!(pool, backend, from = from.as_str(), reason, "backend is up");
        } else if member.is_draining() {
            // Whoever drains it may well be about to stop it.
            tracing::info!(pool, backend, from = from.as_str(), reason, "backend is down");
        } else {
            tracing::warn!(pool, backend, from = from.as_str(), reason, "backend is down");
        }
    }
}

/// What a backend is to placement now.
pub(super) fn state_of(member: &Member) -> BackendState {
    match member.verdict() {
        Verdict::Down => BackendState::Down,
        _ if member.is_drained() => BackendState::Drained,
        _ if member.is_draining() => BackendState::Draining,
        Verdict::Up => BackendState::Up,
        Verdict::Unknown => BackendState::Unknown,
    }
}

fn label(reason: &str) -> ProbeOutcome {
    match reason {
        "ok" => ProbeOutcome::Ok,
        "refused" => ProbeOutcome::Refused,
        "timeout" | "connect_timeout" => ProbeOutcome::Timeout,
        "tls" => ProbeOutcome::Tls,
        "auth_failed" => ProbeOutcome::Unauthenticated,
        "protocol" => ProbeOutcome::Version,
        "malformed" => ProbeOutcome::Protocol,
        "no_address" => ProbeOutcome::Unresolved,
        _ => ProbeOutcome::Error,
    }
}
