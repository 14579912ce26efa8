//! Signals, and the order in which things end: readiness, listeners, turns, clients; then the CLIs that we started.
//! A process whose place another one has taken ends in the same way, but leaves the ports alone.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    App,
    doors::Open,
    upgrade::{self, HandedOver, manager},
};
use crate::serve::session::Stages;

/// Clients get this long to take their last answers after the drain's deadline.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// While a process whose place was taken drains, its log says so often how far it is: its admin listener is gone.
const PROGRESS: Duration = Duration::from_secs(10);

/// A process whose place was taken answers admin connections so long that it had accepted before.
const ADMIN_LAST: Duration = Duration::from_secs(1);

/// The signals that mean something to us, caught from the start.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::End("SIGTERM"),
            _ = self.interrupt.recv() => Heard::End("SIGINT"),
            _ = self.quit.recv() => Heard::Upgrade,
        }
    }

    /// The next one that ends us.
    async fn end(&mut self) -> &'static str {
        loop {
            match self.next().await {
                Heard::End(name) => return name,
                Heard::Upgrade => tracing::warn!(signal = "SIGQUIT", "no upgrade now: this process is draining"),
            }
        }
    }
}

/// What a signal asks for.
enum Heard {
    End(&'static str),
    Upgrade,
}

/// Why we go.
enum Cause {
    Signal(&'static str),
    /// Another process has our place.
    HandedOver(Box<HandedOver>),
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
    /// Waits for a signal or a successor, then drains. A further signal cuts what is left at once.
    pub(super) async fn until_the_end(&self, app: &App, mut signals: Signals, open: Open, admin: &CancellationToken) {
        let cause = cause(app, &mut signals, &open).await;
        let settings = &app.config.shutdown;
        let lead = if matches!(cause, Cause::Signal(_)) { settings.readiness_lead } else { Duration::ZERO };
        let limit = settings.drain_timeout;
        app.fleet.halt_operations();
        app.metrics.drain.draining.set(1);
        app.metrics.drain.begun.inc();
        *self.draining.lock() = Some(Instant::now() + lead + limit);
        let drained = async {
            match cause {
                Cause::Signal(name) => {
                    tracing::info!(signal = name, drain_timeout = ?limit, clients = self.clients.len(), "draining");
                    manager::stopping();
                    self.drained(app, open).await;
                }
                Cause::HandedOver(to) => {
                    let pid = to.pid;
                    tracing::info!(pid, drain_timeout = ?limit, clients = self.clients.len(), "handed over, draining");
                    open.retire_admin.cancel();
                    tokio::join!(self.drained_after(app, open, *to), end_admin(admin));
                }
            }
        };
        tokio::select! {
            () = drained => {}
            name = signals.end() => tracing::warn!(signal = name, "second signal: stopping at once"),
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
        self.clients_gone(app).await;
    }

    /// The ports stay open: they are the other process's now.
    async fn drained_after(&self, app: &App, open: Open, to: HandedOver) {
        self.stage.drain();
        to.announce();
        open.close().await;
        let telling = to.tell_the_rest(app);
        let progress = async {
            let mut ticks = tokio::time::interval(PROGRESS);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                let members = app.fleet.pools.values().flat_map(|squadron| squadron.pool.members().to_vec());
                let turns: i64 = members.map(|member| member.turns.load(Ordering::Relaxed)).sum();
                tracing::info!(clients = self.clients.len(), turns, "still draining");
            }
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(telling, self.clients_gone(app)) } => {}
            () = progress => {}
        }
    }

    async fn clients_gone(&self, app: &App) {
        self.clients.close();
        if timeout(app.config.shutdown.drain_timeout, self.clients.wait()).await.is_err() {
            tracing::warn!(clients = self.clients.len(), "drain deadline passed");
        }
    }
}

/// Whoever asked the old process last gets an answer; then kept connections end, so that scrapers come to the new one.
async fn end_admin(admin: &CancellationToken) {
    tokio::time::sleep(ADMIN_LAST).await;
    admin.cancel();
}

/// Serves until a signal says to end, or until another process has taken over.
async fn cause(app: &App, signals: &mut Signals, open: &Open) -> Cause {
    loop {
        tokio::select! {
            heard = signals.next() => if let Heard::End(name) = heard { return Cause::Signal(name) },
            () = app.upgrade.asked() => {}
        }
        match upgraded(app, signals, open).await {
            Some(cause) => return cause,
            None => tracing::warn!("serving on as before"),
        }
    }
}

/// One upgrade; `None` if it fails.
async fn upgraded(app: &App, signals: &mut Signals, open: &Open) -> Option<Cause> {
    app.upgrade.begin();
    let mut attempt = std::pin::pin!(upgrade::hand_over(app, open));
    loop {
        tokio::select! {
            done = &mut attempt => match done {
                Ok(to) => {
                    app.upgrade.handed_over();
                    return Some(Cause::HandedOver(Box::new(to)));
                }
                Err(reason) => {
                    tracing::error!(%reason, "the upgrade failed");
                    app.upgrade.failed(&reason.to_string());
                    return None;
                }
            },
            heard = signals.next() => match heard {
                // The attempt goes with us, and the new process with it.
                Heard::End(name) => return Some(Cause::Signal(name)),
                Heard::Upgrade => tracing::warn!(signal = "SIGQUIT", "an upgrade is running already"),
            }
        }
    }
}
