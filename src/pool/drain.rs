//! What is known of the drain of a member.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Who drains a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainCause {
    /// The config file.
    Config,
    /// An operator, until he says otherwise.
    Operator,
    /// A restart, until it is over.
    Restart,
    /// Recycling, until it is over.
    Recycle,
    /// Discovery no longer tells of it.
    Discovery,
}

impl DrainCause {
    /// The word for it in `/status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Operator => "operator",
            Self::Restart => "restart",
            Self::Recycle => "recycle",
            Self::Discovery => "discovery",
        }
    }
}

/// The drain of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// When it began.
    pub since: Instant,
    /// Until when turns may run on; `None`: as long as they like.
    pub deadline: Option<Instant>,
    /// Why, in the words of whoever began it.
    pub reason: Arc<str>,
    /// Who began it.
    pub cause: DrainCause,
}

impl Drain {
    /// One that begins now and gives turns `timeout`.
    pub fn begin(cause: DrainCause, reason: impl Into<Arc<str>>, timeout: Option<Duration>) -> Self {
        let since = Instant::now();
        let deadline = timeout.and_then(|timeout| since.checked_add(timeout));
        Self { since, deadline, reason: reason.into(), cause }
    }

    /// The same drain as `self` with what `later` says: it began when it began.
    pub fn updated(&self, later: Self) -> Self {
        Self { since: self.since, ..later }
    }
}
