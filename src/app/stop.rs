//! Signals, and the order in which things end: readiness, listeners, turns, clients; then the CLIs that we started.

use std::{
    io,
    sync::{Arc, atomic::AtomicU32},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use super::{App, doors::Open};
use crate::serve::session::Stages;

/// Clients get this long to take their last answers after the drain's deadline.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The signals that end the process, caught from the start.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Where the drain stands, and who takes part.
#[derive(Default)]
pub(super) struct Stop {
    /// Client tasks of all listeners.
    pub clients: TaskTracker,
    /// Clients so far, for their numbers.
    pub numbers: Arc<AtomicU32>,
    /// How far it is.
    pub stage: Stages,
    /// Since when readiness says no, and when the rest is cut.
    pub draining: Mutex<Option<Instant>>,
}

impl Stop {
    /// Waits for a signal, then drains. A second signal cuts what is left at once.
    pub(super) async fn after_signal(&self, app: &App, mut signals: Signals, open: Open) {
        let name = signals.next().await;
        let limit = app.config.shutdown.drain_timeout;
        app.fleet.halt_operations();
        app.metrics.drain.draining.set(1);
        app.metrics.drain.begun.inc();
        let deadline = Instant::now() + app.config.shutdown.readiness_lead + limit;
        *self.draining.lock() = Some(deadline);
        tracing::info!(signal = name, drain_timeout = ?limit, clients = self.clients.len(), "draining");
        tokio::select! {
            () = self.drained(app, open) => {}
            name = signals.next() => tracing::warn!(signal = name, "second signal: stopping at once"),
        }
        self.stage.end();
        if timeout(LAST_WORDS, self.clients.wait()).await.is_err() {
            tracing::warn!(clients = self.clients.len(), "clients were still there at the end");
        }
    }

    async fn drained(&self, app: &App, open: Open) {
        // Load balancers in front of us see the readiness fail before the port is gone.
        tokio::time::sleep(app.config.shutdown.readiness_lead).await;
        open.close().await;
        self.stage.drain();
        self.clients.close();
        if timeout(app.config.shutdown.drain_timeout, self.clients.wait()).await.is_err() {
            tracing::warn!(clients = self.clients.len(), "drain deadline passed");
        }
    }
}
