//! At most one operation a pool that takes backends out: who runs, how far it is, and how the last ones ended.

use std::{
    collections::VecDeque,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Failure, Refusal};
use crate::telemetry::{Label, Metrics, OperationKind, OperationOutcome};

/// What is done.
pub(in crate::app) type Kind = OperationKind;

/// So many operations that ended are remembered.
const REMEMBERED: usize = 8;

/// What can be set on the operations of one pool.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct OperationsSettings {
    /// How long turns may run on a backend that is drained.
    pub drain_timeout: Duration,
    /// Sessions cannot move away and connections carry nothing else: a backend may be worked on when no turn runs on it.
    pub sessions_stay: bool,
}

/// Where an operation is with one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Step {
    /// Looks whom to take next.
    Looking,
    /// Its sessions go away.
    Draining,
    /// It is being ended and started again.
    Restarting,
    /// Waits for it to be healthy.
    Returning,
    /// All is done.
    Done,
    /// It ended before its end.
    Failed,
    /// The proxy stopped before.
    Stopped,
}

impl Step {
    /// The word for it in `/status`.
    pub(in crate::app) fn as_str(self) -> &'static str {
        match self {
            Self::Looking => "looking",
            Self::Draining => "draining",
            Self::Restarting => "restarting",
            Self::Returning => "returning",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// Whether it is over.
    pub(in crate::app) fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Stopped)
    }
}

/// How far an operation is, or how it ended.
#[derive(Clone, Debug)]
pub(in crate::app) struct Progress {
    /// Counts the operations of this pool.
    pub number: u64,
    pub kind: Kind,
    /// The backend that it is at, or was at last.
    pub backend: Option<Arc<str>>,
    pub step: Step,
    /// Since when it is at this step.
    pub since: Instant,
    /// Backends that were taken out and are back.
    pub done: u32,
    /// The drain's deadline passed at one of them.
    pub late: bool,
    /// Why it ended before its end.
    pub error: Option<String>,
}

#[derive(Debug, Default)]
struct Journal {
    begun: u64,
    running: Option<Progress>,
    ended: VecDeque<Progress>,
}

/// The operations of one pool.
pub(in crate::app) struct Operations {
    pub(super) settings: OperationsSettings,
    /// Held while it is decided who is drained: two decisions at once could take the last two backends out.
    pub(super) admission: Mutex<()>,
    pub(super) metrics: Arc<Metrics>,
    pool: Arc<str>,
    journal: Arc<Mutex<Journal>>,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl Operations {
    /// None yet. Their tasks are on `tracker` and end with `cancel`.
    pub(in crate::app) fn new(
        pool: Arc<str>,
        settings: OperationsSettings,
        metrics: Arc<Metrics>,
        tracker: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Self {
        Self {
            settings,
            admission: Mutex::default(),
            metrics,
            pool,
            journal: Arc::default(),
            tracker: tracker.clone(),
            cancel: cancel.child_token(),
        }
    }

    /// Begins one. Nobody else takes backends out until the [`Running`] is ended or dropped.
    pub(in crate::app) fn begin(&self, kind: Kind) -> Result<Running, Refusal> {
        if self.cancel.is_cancelled() {
            return Err(Refusal::Stopping);
        }
        let mut journal = self.journal.lock();
        if let Some(running) = &journal.running {
            return Err(Refusal::Busy(running.kind));
        }
        journal.begun += 1;
        let (number, since) = (journal.begun, Instant::now());
        let step = Step::Looking;
        journal.running =
            Some(Progress { number, kind, backend: None, step, since, done: 0, late: false, error: None });
        let (pool, metrics) = (self.pool.clone(), self.metrics.clone());
        Ok(Running { number, kind, pool, metrics, journal: self.journal.clone() })
    }

    /// The one that runs, if any, and then those that ended, the last one first.
    pub(in crate::app) fn journal(&self) -> Vec<Progress> {
        let journal = self.journal.lock();
        journal.running.iter().chain(journal.ended.iter().rev()).cloned().collect()
    }

    /// Runs `task` until it ends, or everything does.
    pub(in crate::app) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(self.cancel.clone().run_until_cancelled_owned(task));
    }

    /// How long turns may run on a backend that is drained.
    pub(in crate::app) fn drain_timeout(&self) -> Duration {
        self.settings.drain_timeout
    }

    /// Whether it has stopped.
    pub(in crate::app) fn is_halted(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// The proxy stops: what runs ends where it is, and nothing begins.
    pub(in crate::app) fn halt(&self) {
        self.cancel.cancel();
    }
}

/// An operation that runs. Dropped without [`Running::end`] it counts as stopped.
pub(in crate::app) struct Running {
    number: u64,
    kind: Kind,
    pool: Arc<str>,
    metrics: Arc<Metrics>,
    journal: Arc<Mutex<Journal>>,
}

impl Running {
    /// Its number in the pool.
    pub(in crate::app) fn number(&self) -> u64 {
        self.number
    }

    /// Says how far it is.
    pub(in crate::app) fn step(&self, backend: &str, step: Step) {
        tracing::info!(pool = %self.pool, backend, operation = self.kind.label(), step = step.as_str(), "operation");
        self.change(|progress| {
            progress.backend = Some(backend.into());
            progress.step = step;
            progress.since = Instant::now();
        });
    }

    /// The backend is back; `late` if its drain's deadline had passed.
    pub(in crate::app) fn backend_done(&self, late: bool) {
        self.change(|progress| {
            progress.done += 1;
            progress.late |= late;
        });
    }

    /// It is over.
    pub(in crate::app) fn end(self, result: &Result<(), Failure>) {
        let (pool, operation) = (&self.pool, self.kind.label());
        match result {
            Ok(()) => {
                tracing::info!(%pool, operation, "operation done");
                self.close(Step::Done, None);
            }
            Err(failure) => {
                tracing::warn!(%pool, operation, reason = %failure, "operation failed");
                self.close(Step::Failed, Some(failure.to_string()));
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        // Once it is closed the place may be another's.
        if let Some(progress) = self.journal.lock().running.as_mut().filter(|running| running.number == self.number) {
            change(progress);
        }
    }

    fn close(&self, step: Step, error: Option<String>) {
        let mut journal = self.journal.lock();
        let Some(mut progress) = journal.running.take_if(|running| running.number == self.number) else { return };
        let outcome = match step {
            Step::Done if progress.late => OperationOutcome::Late,
            Step::Done => OperationOutcome::Done,
            Step::Stopped => OperationOutcome::Stopped,
            _ => OperationOutcome::Failed,
        };
        self.metrics.pool(&self.pool).operated(self.kind, outcome);
        (progress.step, progress.since, progress.error) = (step, Instant::now(), error);
        journal.ended.push_back(progress);
        if journal.ended.len() > REMEMBERED {
            journal.ended.pop_front();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.close(Step::Stopped, Some("pilotfish stopped before it had ended".into()));
    }
}
