//! How far the proxy is on its way to its end.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio_util::sync::CancellationToken;

/// A stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Clients are served.
    Serving = 0,
    /// Turns end, then clients are closed.
    Draining = 1,
    /// The deadline has passed: the rest is answered and cut.
    Over = 2,
}

/// The stage that all clients hear of: an atomic to look at, and tokens that wake their tasks.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    now: Arc<AtomicU8>,
    /// Wakes at the begin of the drain.
    pub drain: CancellationToken,
    /// Wakes at its deadline.
    pub kill: CancellationToken,
}

impl Stages {
    /// The stage now.
    #[inline]
    pub fn now(&self) -> Stage {
        match self.now.load(Ordering::Acquire) {
            0 => Stage::Serving,
            1 => Stage::Draining,
            _ => Stage::Over,
        }
    }

    /// Begins the drain.
    pub fn drain(&self) {
        self.now.fetch_max(Stage::Draining as u8, Ordering::AcqRel);
        self.drain.cancel();
    }

    /// Ends it.
    pub fn end(&self) {
        self.now.fetch_max(Stage::Over as u8, Ordering::AcqRel);
        self.drain.cancel();
        self.kill.cancel();
    }
}
