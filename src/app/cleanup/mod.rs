//! Sessions are deleted: those that nobody has used for long, and those that end with their clients.
//!
//! # Layout
//! - [`Cleanup`]: what one pool's clean-up has done; asked by the admin listener (`orders`).
//! - [`Cleaner`]: the task that looks for old sessions from time to time; `survey`: which of those that backends list are due.
//! - [`Departures`]: the task that ends sessions whose clients have gone.
//! - `remover`: one deletion, safe from whoever comes for the session meanwhile; `visits`: the way to the backends.
//! - `lease`: one proxy at a time; `journal`: what is remembered of the last runs.

mod cleaner;
mod departures;
mod journal;
mod lease;
mod orders;
mod remover;
mod survey;
#[cfg(test)]
mod tests;
mod visits;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

pub(super) use self::{cleaner::Cleaner, departures::Departures, remover::Remover};
use self::{
    journal::{Journal, Run},
    orders::Refusal,
};
use crate::{backend::ErrandSettings, session::expiry::Expiry};

/// What can be set on the deletion of one pool's sessions.
#[derive(Clone, Debug)]
pub(super) struct CleanupSettings {
    /// Which sessions are too old; `None`: none is.
    pub expiry: Option<Expiry>,
    /// From the end of one run to the begin of the next.
    pub interval: Duration,
    /// Runs only report.
    pub dry_run: bool,
    /// Deletions a second.
    pub rate: f64,
    /// Whether there are sessions that end with their clients.
    pub ephemeral: bool,
    /// How long they outlive them.
    pub linger: Duration,
    /// How backends are visited.
    pub visits: ErrandSettings,
}

/// The first run does not wait for a long interval.
const FIRST: Duration = Duration::from_secs(60);

/// The clean-up of one pool.
#[derive(Debug)]
pub(super) struct Cleanup {
    settings: CleanupSettings,
    journal: Mutex<Journal>,
    asked: Notify,
}

impl Cleanup {
    /// Of a pool whose sessions stay.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        let visits = ErrandSettings {
            dialer: crate::backend::Dialer::default(),
            token: None,
            connect_timeout: FIRST,
            timeout: FIRST,
            list_timeout: FIRST,
        };
        let (interval, linger) = (FIRST, FIRST);
        Self::new(CleanupSettings {
            expiry: None,
            interval,
            dry_run: false,
            rate: 0.0,
            ephemeral: false,
            linger,
            visits,
        })
    }

    /// None so far.
    pub(super) fn new(settings: CleanupSettings) -> Self {
        let journal = Journal::new(Instant::now() + settings.interval.min(FIRST));
        Self { settings, journal: Mutex::new(journal), asked: Notify::new() }
    }

    /// What is set.
    pub(super) fn settings(&self) -> &CleanupSettings {
        &self.settings
    }

    /// Has it run now; gives back the run's number.
    fn ask(&self, dry_run: bool) -> Result<u64, Refusal> {
        if self.settings.expiry.is_none() {
            return Err(Refusal::NoTtl);
        }
        let number = self.journal.lock().ask(dry_run).ok_or(Refusal::Running)?;
        self.asked.notify_one();
        Ok(number)
    }

    /// Waits until a run is due or asked for, and begins it.
    async fn next(self: &Arc<Self>) -> Run {
        loop {
            let due = self.journal.lock().due();
            let _ = tokio::time::timeout_at(due.into(), self.asked.notified()).await;
            if let Some(run) = Run::begin(self, Instant::now()) {
                return run;
            }
        }
    }
}
