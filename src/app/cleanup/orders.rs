//! What the admin listener asks for.

use std::time::Instant;

use super::{Cleanup, journal::Report};
use crate::{
    admin::{CleanupBegun, CleanupRun, CleanupStatus, OrderRefusal},
    app::fleet::{Fleet, Squadron},
    telemetry::{CleanupOutcome, Label},
};

/// Why there is no run now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Nothing is ever too old.
    #[error("the pool has no [pool.NAME.cleanup] ttl, so no session is ever too old")]
    NoTtl,
    /// Each cleans up its own home.
    #[error("the pool is dedicated: each CLI's home is cleaned up while that CLI runs, every `interval`")]
    Dedicated,
    /// One runs.
    #[error("a clean-up of the pool is running already")]
    Running,
    /// The proxy is going away.
    #[error("this pilotfish is stopping")]
    Stopping,
}

impl Fleet {
    /// What the clean-up of every pool has done.
    pub(in crate::app) fn cleanups(&self) -> Vec<CleanupStatus> {
        self.pools.iter().map(|(pool, squadron)| status(pool, squadron)).collect()
    }

    /// Has a pool's clean-up run now, and writes that into the record, taken or refused.
    pub(in crate::app) fn clean_up(
        &self,
        pool: &str,
        dry_run: Option<bool>,
        reason: &str,
    ) -> Result<CleanupBegun, OrderRefusal> {
        let begun = match self.pools.get(pool) {
            Some(squadron) => begin(squadron, dry_run).map_err(|refusal| OrderRefusal::Conflict(refusal.to_string())),
            None => Err(OrderRefusal::Unknown(format!("no pool is named `{pool}`"))),
        };
        let outcome = if begun.is_ok() { "begun" } else { "refused" };
        tracing::info!(target: crate::telemetry::audit::TARGET, pool, outcome, reason, "cleanup");
        begun.map(|(run, dry_run)| CleanupBegun { pool: pool.to_owned(), run, dry_run })
    }
}

fn begin(squadron: &Squadron, dry_run: Option<bool>) -> Result<(u64, bool), Refusal> {
    if squadron.operations.is_halted() {
        return Err(Refusal::Stopping);
    }
    if squadron.instances.is_some() {
        return Err(Refusal::Dedicated);
    }
    let cleanup: &Cleanup = &squadron.cleanup;
    let dry_run = dry_run.unwrap_or(cleanup.settings.dry_run);
    Ok((cleanup.ask(dry_run)?, dry_run))
}

fn status(pool: &str, squadron: &Squadron) -> CleanupStatus {
    let settings = squadron.cleanup.settings();
    let journal = squadron.cleanup.journal.lock();
    let latest = journal.latest();
    let idle = latest.as_ref().is_none_or(|report| report.end.is_some());
    let due = journal.due().saturating_duration_since(Instant::now()).as_secs();
    CleanupStatus {
        pool: pool.to_owned(),
        ttl_seconds: settings.expiry.as_ref().map(|expiry| expiry.ttl.as_secs()),
        dry_run: settings.dry_run,
        next_run_seconds: Some(due).filter(|_| idle && settings.expiry.is_some()),
        last_run: latest.map(run),
        ephemeral_waiting: squadron.registry.departed() as u64,
    }
}

fn run(report: Report) -> CleanupRun {
    let counted = |outcome| report.counted(outcome);
    CleanupRun {
        run: report.number,
        dry_run: report.dry_run,
        began: humantime::format_rfc3339_seconds(report.began).to_string(),
        took_seconds: report.took.as_secs_f64(),
        outcome: report.end.map_or("running", Label::label).to_owned(),
        listed: report.listed,
        deleted: counted(CleanupOutcome::Deleted),
        would_delete: counted(CleanupOutcome::WouldDelete),
        kept_live: counted(CleanupOutcome::KeptLive),
        excluded: counted(CleanupOutcome::Excluded),
        failed: counted(CleanupOutcome::Failed),
        ids: report.ids.iter().map(|id| id.to_string()).collect(),
        error: report.error,
    }
}
