//! Drains begun and lifted. A drain never leaves the pool without a backend that takes sessions, unless it is forced.

use std::sync::Arc;

use super::{Operations, Refusal};
use crate::pool::{Admission, Drain, DrainCause, Member, Pool, Verdict};

/// Whether a member other than `except` takes sessions by its own merits, not because nobody is believed to be down.
pub(super) fn another_serves(pool: &Pool, except: &Member) -> bool {
    let serves =
        |member: &Arc<Member>| member.verdict() == Verdict::Up && !member.is_draining() && member.address().is_some();
    pool.members().iter().any(|member| member.name != except.name && serves(member))
}

/// Refuses what would leave nobody who takes sessions.
pub(in crate::app) fn check_room(pool: &Pool, member: &Member) -> Result<(), Refusal> {
    if another_serves(pool, member) {
        return Ok(());
    }
    Err(Refusal::WouldEmpty { pool: pool.name().clone(), backend: member.name.clone() })
}

/// How a backend is drained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Even if nobody else takes sessions.
    pub force: bool,
    /// A drain that there is becomes this one.
    pub takes_over: bool,
}

impl Operations {
    /// Drains `member`. One that is drained already goes on being so; if the later drain takes it over, for the later reason
    /// and with the later deadline.
    pub(super) fn take_out(&self, pool: &Pool, member: &Member, drain: Drain, manner: Manner) -> Result<(), Refusal> {
        let _deciding = self.admission.lock();
        if member.is_draining() {
            if manner.takes_over {
                let drain = member.drain().map_or(drain.clone(), |before| before.updated(drain));
                member.begin_drain(drain);
            }
        } else {
            if !manner.force {
                check_room(pool, member)?;
            }
            let (pool, backend, cause) = (pool.name(), &member.name, drain.cause.as_str());
            tracing::info!(%pool, %backend, cause, reason = %drain.reason, "backend drains");
            self.metrics.drain.begun.inc();
            member.begin_drain(drain);
        }
        pool.drains().notify_one();
        Ok(())
    }

    /// Drains `member`, whoever is left; a drain that there is stays as it is.
    pub(in crate::app) fn drain_anyway(&self, pool: &Pool, member: &Arc<Member>, drain: Drain) {
        // It cannot be refused.
        let _ = self.take_out(pool, member, drain, Manner { force: true, takes_over: false });
        self.follow(member);
    }

    /// Ends the drain that an operation began, unless it is the operator's by now.
    pub(in crate::app) fn lift(&self, member: &Member, cause: DrainCause) {
        let _deciding = self.admission.lock();
        if member.drain().is_some_and(|drain| drain.cause == cause) {
            member.set_admission(Admission::Ready);
            tracing::info!(pool = %member.pool, backend = %member.name, "backend no longer drains");
        }
    }

    /// Ends whatever drain there is, by the operator's order. While an operation works on the backend it is refused.
    pub(super) fn undrain(&self, member: &Member) -> Result<(), Refusal> {
        let _deciding = self.admission.lock();
        if let Some(kind) = self.at_work_on(&member.name) {
            return Err(Refusal::Busy(kind));
        }
        if member.is_draining() {
            member.set_admission(Admission::Ready);
            tracing::info!(pool = %member.pool, backend = %member.name, "backend no longer drains");
        }
        Ok(())
    }

    /// The operation that has this backend out now.
    fn at_work_on(&self, backend: &str) -> Option<super::Kind> {
        let running = self.journal().into_iter().next().filter(|progress| !progress.step.is_end())?;
        (running.backend.as_deref() == Some(backend)).then_some(running.kind)
    }

    /// Tells in the log how the drain ends that has just begun.
    pub(super) fn follow(&self, member: &Arc<Member>) {
        let member = member.clone();
        let Some(deadline) = member.drain().and_then(|drain| drain.deadline) else { return };
        self.spawn(async move {
            if super::drained(&member, deadline).await {
                tracing::info!(pool = %member.pool, backend = %member.name, "backend is drained");
            } else if member.drain().is_some_and(|drain| drain.deadline == Some(deadline)) {
                super::outage::tell_late(&member);
            }
        });
    }
}
