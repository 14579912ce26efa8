//! What a pool's source has said.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::backend::discovery::Said;

/// What the source of one pool has said.
#[derive(Debug)]
pub(in crate::app) struct Sightings {
    source: String,
    told: Mutex<Told>,
    found: watch::Sender<bool>,
}

/// The same in short.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Told {
    /// When it last told of a backend.
    pub found: Option<Instant>,
    /// When it last told of none, or said nothing, and why.
    pub failed: Option<(Instant, String)>,
}

impl Sightings {
    /// Nothing yet.
    pub(in crate::app) fn new(source: String) -> Self {
        Self { source, told: Mutex::default(), found: watch::Sender::new(false) }
    }

    /// Who is asked.
    pub(in crate::app) fn source(&self) -> &str {
        &self.source
    }

    /// What it has said.
    pub(in crate::app) fn told(&self) -> Told {
        self.told.lock().clone()
    }

    /// Whether it has ever told of a backend.
    pub(in crate::app) fn has_found(&self) -> bool {
        *self.found.borrow()
    }

    /// Comes back when it has told of a backend, or after `limit`.
    pub(in crate::app) async fn first(&self, limit: Duration) {
        let mut found = self.found.subscribe();
        // The sender lives as long as we do: only the time can run out.
        let _ = tokio::time::timeout(limit, found.wait_for(|found| *found)).await;
    }

    pub(super) fn heard(&self, said: &Said) {
        let now = Instant::now();
        match said {
            Said::Backends(_) => {
                self.told.lock().found = Some(now);
                self.found.send_replace(true);
            }
            Said::Nothing(fault) | Said::Failed(fault) => self.told.lock().failed = Some((now, fault.to_string())),
        }
    }
}
