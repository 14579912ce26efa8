//! What is remembered of the runs.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::Cleanup;
use crate::telemetry::{CleanupEnd, CleanupOutcome, Label};

/// Ids in a report.
const MOST_IDS: usize = 100;

/// The runs of one pool.
#[derive(Debug)]
pub(super) struct Journal {
    due: Instant,
    begun: u64,
    /// An operator wants a run: a dry one, or a real one.
    wish: Option<bool>,
    running: Option<Report>,
    last: Option<Report>,
}

/// What a run did.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// 1 for the first.
    pub number: u64,
    /// Whether it deletes nothing.
    pub dry_run: bool,
    /// When it began.
    pub began: SystemTime,
    /// How long it took, or has taken so far.
    pub took: Duration,
    /// How it ended; `None`: it runs.
    pub end: Option<CleanupEnd>,
    /// Sessions that backends listed.
    pub listed: u64,
    /// Sessions by what was done with them.
    pub counts: [u64; CleanupOutcome::ALL.len()],
    /// Some of those that are deleted, or would be.
    pub ids: Vec<Box<str>>,
    /// What went wrong last.
    pub error: Option<String>,
    since: Instant,
}

impl Journal {
    pub(super) fn new(due: Instant) -> Self {
        Self { due, begun: 0, wish: None, running: None, last: None }
    }

    /// When the next run is due.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// An operator wants a run. The number that it will have; `None`: one runs or is asked for already.
    pub(super) fn ask(&mut self, dry_run: bool) -> Option<u64> {
        if self.running.is_some() || self.wish.is_some() {
            return None;
        }
        self.wish = Some(dry_run);
        Some(self.begun + 1)
    }

    /// The run that runs, or the one that ended last.
    pub(super) fn latest(&self) -> Option<Report> {
        let took = |report: &Report| Report { took: report.since.elapsed(), ..report.clone() };
        self.running.as_ref().map(took).or_else(|| self.last.clone())
    }
}

/// A run that runs. Dropped without [`Run::end`] it counts as stopped.
#[derive(Debug)]
pub(super) struct Run {
    cleanup: Arc<Cleanup>,
    /// Whether it deletes nothing.
    pub dry_run: bool,
    ended: bool,
}

impl Run {
    /// Begins one, if it is due or asked for.
    pub(super) fn begin(cleanup: &Arc<Cleanup>, now: Instant) -> Option<Self> {
        let mut journal = cleanup.journal.lock();
        let wish = journal.wish.take();
        if wish.is_none() && now < journal.due {
            return None;
        }
        journal.begun += 1;
        let dry_run = wish.unwrap_or(cleanup.settings.dry_run);
        journal.running = Some(Report {
            number: journal.begun,
            dry_run,
            began: SystemTime::now(),
            took: Duration::ZERO,
            end: None,
            listed: 0,
            counts: Default::default(),
            ids: Vec::new(),
            error: None,
            since: now,
        });
        Some(Self { cleanup: cleanup.clone(), dry_run, ended: false })
    }

    /// Changes its report.
    pub(super) fn note(&self, change: impl FnOnce(&mut Report)) {
        if let Some(report) = &mut self.cleanup.journal.lock().running {
            change(report);
        }
    }

    /// It is over; the next one is due after `pause`.
    pub(super) fn end(mut self, end: CleanupEnd, pause: Duration) -> Option<Report> {
        self.ended = true;
        self.close(end, pause)
    }

    fn close(&self, end: CleanupEnd, pause: Duration) -> Option<Report> {
        let mut journal = self.cleanup.journal.lock();
        let mut report = journal.running.take()?;
        (report.end, report.took) = (Some(end), report.since.elapsed());
        journal.due = Instant::now() + pause;
        journal.last = Some(report.clone());
        Some(report)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.ended {
            self.close(CleanupEnd::Stopped, self.cleanup.settings.interval);
        }
    }
}

impl Report {
    /// One more session with this outcome.
    pub(super) fn count(&mut self, outcome: CleanupOutcome, id: &str) {
        self.counts[outcome.index()] += 1;
        let shown = matches!(outcome, CleanupOutcome::Deleted | CleanupOutcome::WouldDelete);
        if shown && self.ids.len() < MOST_IDS {
            self.ids.push(id.into());
        }
    }

    /// How many had this outcome.
    pub(super) fn counted(&self, outcome: CleanupOutcome) -> u64 {
        self.counts[outcome.index()]
    }
}
