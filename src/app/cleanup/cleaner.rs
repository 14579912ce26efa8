//! The task that looks for sessions that nobody has used for long.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::time::sleep_until;

use super::{
    Cleanup,
    journal::Run,
    lease::Lease,
    remover::{Removal, Remover},
    survey::{Old, Survey},
    visits::Visits,
};
use crate::{
    pool::{Member, Pacer, Verdict},
    session::expiry::Expiry,
    telemetry::{CleanupEnd, CleanupOutcome, PoolMetrics},
};

/// Sessions that one look remembers; if there are more, the next look follows at once.
const MOST: usize = 10_000;

/// The task of one pool.
pub(in crate::app) struct Cleaner {
    remover: Remover,
    expiry: Expiry,
    metrics: Arc<PoolMetrics>,
    pacer: Pacer,
}

/// How a run went.
struct Went {
    end: CleanupEnd,
    /// There is more to do right away.
    more: bool,
}

impl Went {
    const FAILED: Self = Self { end: CleanupEnd::Failed, more: false };
    const STOPPED: Self = Self { end: CleanupEnd::Stopped, more: false };
    const ELSEWHERE: Self = Self { end: CleanupEnd::Elsewhere, more: false };
}

impl Cleaner {
    /// `None`: nothing is ever too old.
    pub(in crate::app) fn new(remover: Remover, metrics: Arc<PoolMetrics>) -> Option<Self> {
        let settings = remover.squadron.cleanup.settings();
        let (expiry, pacer) = (settings.expiry.clone()?, Pacer::new(settings.rate));
        Some(Self { remover, expiry, metrics, pacer })
    }

    /// Cleans up for ever: put it on the operations' tasks.
    pub(in crate::app) async fn run(self) {
        let cleanup = self.remover.squadron.cleanup.clone();
        loop {
            let run = cleanup.next().await;
            let went = self.alone(&run).await;
            self.conclude(&cleanup, run, &went);
        }
    }

    /// Runs while no other proxy does.
    async fn alone(&self, run: &Run) -> Went {
        let Some(store) = &self.remover.store else { return self.clean(run).await };
        let mut lease = match Lease::take(store, self.remover.squadron.pool.name()).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return Went::ELSEWHERE,
            Err(error) => {
                run.note(|report| report.error = Some(error.to_string()));
                return Went::FAILED;
            }
        };
        let went = tokio::select! {
            went = self.clean(run) => went,
            () = lease.kept() => {
                run.note(|report| report.error = Some("another proxy took over".into()));
                Went::STOPPED
            }
        };
        lease.give_back().await;
        went
    }

    async fn clean(&self, run: &Run) -> Went {
        let settings = self.remover.squadron.cleanup.settings();
        let mut visits = Visits::new(settings.visits.clone());
        let mut survey = Survey::new(&self.expiry, SystemTime::now(), MOST);
        let complete = self.survey(run, &visits, &mut survey).await;
        let (excluded, more) = (survey.excluded, survey.more);
        run.note(|report| {
            report.listed = survey.listed;
            report.counts[CleanupOutcome::Excluded as usize] = excluded;
        });
        self.metrics.cleanup.sessions.get(CleanupOutcome::Excluded).inc_by(excluded);
        let mut deleted = 0;
        for old in survey.due() {
            // What somebody else deleted meanwhile is not ours to count.
            let Some(outcome) = self.deal_with(run, &mut visits, &old).await else { continue };
            deleted += u32::from(outcome == CleanupOutcome::Deleted);
            self.metrics.cleanup.sessions.get(outcome).inc();
            run.note(|report| report.count(outcome, &old.id));
        }
        Went { end: if complete { CleanupEnd::Done } else { CleanupEnd::Failed }, more: more && deleted > 0 }
    }

    /// Asks for the lists. `false`: some could not be had.
    async fn survey(&self, run: &Run, visits: &Visits, survey: &mut Survey<'_>) -> bool {
        let members = self.remover.squadron.pool.members().to_vec();
        let up = members.iter().filter(|member| member.verdict() == Verdict::Up);
        let (local, mut failures, mut lists) = (self.remover.is_local(), 0, 0);
        for member in up {
            match list(visits, survey, member).await {
                Ok(()) => lists += 1,
                Err(reason) => {
                    failures += 1;
                    if !local {
                        survey.begin_again();
                    }
                    run.note(|report| report.error = Some(reason));
                }
            }
            // On shared storage each of them lists all.
            if !local && lists > 0 {
                return true;
            }
        }
        if lists + failures == 0 {
            run.note(|report| report.error = Some("no backend is up".into()));
        }
        lists > 0 && failures == 0
    }

    async fn deal_with(&self, run: &Run, visits: &mut Visits, old: &Old) -> Option<CleanupOutcome> {
        let (id, home) = (&*old.id, &old.home);
        let removal = if run.dry_run {
            self.remover.look(visits, id, home).await
        } else if self.remover.squadron.registry.find(id, Instant::now()).is_some() {
            Removal::Live
        } else {
            sleep_until(self.pacer.next(Instant::now(), 0).into()).await;
            self.remover.remove(visits, id, home).await
        };
        let pool = self.remover.squadron.pool.name();
        Some(match removal {
            Removal::Gone => return None,
            Removal::Deleted if run.dry_run => CleanupOutcome::WouldDelete,
            Removal::Deleted => {
                tracing::info!(%pool, session = id, "deleted a session that nobody has used for long");
                CleanupOutcome::Deleted
            }
            Removal::Live | Removal::Held => CleanupOutcome::KeptLive,
            Removal::Failed(reason) => {
                tracing::debug!(%pool, session = id, reason, "an old session could not be deleted");
                run.note(|report| report.error = Some(reason));
                CleanupOutcome::Failed
            }
        })
    }

    fn conclude(&self, cleanup: &Cleanup, run: Run, went: &Went) {
        self.metrics.cleanup.runs.get(went.end).inc();
        let pause = if went.more { Duration::ZERO } else { cleanup.settings.interval };
        let Some(report) = run.end(went.end, pause) else { return };
        let pool = self.remover.squadron.pool.name();
        let counted = |outcome| report.counted(outcome);
        let (deleted, would_delete) = (counted(CleanupOutcome::Deleted), counted(CleanupOutcome::WouldDelete));
        let (kept_live, failed) = (counted(CleanupOutcome::KeptLive), counted(CleanupOutcome::Failed));
        let (listed, excluded) = (report.listed, counted(CleanupOutcome::Excluded));
        match (went.end, report.error) {
            (CleanupEnd::Done, _) if deleted + would_delete + failed > 0 => {
                tracing::info!(%pool, listed, deleted, would_delete, kept_live, excluded, failed, "cleaned up");
            }
            (CleanupEnd::Done | CleanupEnd::Elsewhere, _) => {
                tracing::debug!(%pool, listed, outcome = ?went.end, "nothing to clean up");
            }
            (_, error) => {
                let reason = error.unwrap_or_default();
                tracing::warn!(%pool, deleted, failed, reason, "the clean-up did not come to its end");
            }
        }
    }
}

async fn list(visits: &Visits, survey: &mut Survey<'_>, member: &Arc<Member>) -> Result<(), String> {
    visits.list(member, |entry| survey.note(entry, member)).await.map_err(|error| error.to_string())
}
