//! What is counted of sessions that are deleted: those that nobody has used for long, and those that end with their clients.

use prometheus::IntCounter;

use super::{
    families::Families,
    family::ByLabel,
    label::{Label, labels},
};

labels! {
    /// What a clean-up did with a session that is older than the pool's `ttl`.
    CleanupOutcome {
        /// It is deleted.
        Deleted = "deleted",
        /// A dry run would have deleted it.
        WouldDelete = "would_delete",
        /// Somebody has it.
        KeptLive = "kept_live",
        /// Its id says that it stays.
        Excluded = "excluded",
        /// It could not be deleted, or not be known whether somebody has it.
        Failed = "failed",
    }

    /// How a run of the clean-up ended.
    CleanupEnd {
        /// At its end.
        Done = "done",
        /// Another proxy is at it.
        Elsewhere = "elsewhere",
        /// No backend would list its sessions, or the store did not answer.
        Failed = "failed",
        /// The proxy stopped, or lost the right to go on.
        Stopped = "stopped",
    }

    /// What became of a session whose last client has gone.
    EphemeralOutcome {
        /// It is deleted.
        Deleted = "deleted",
        /// Somebody else had deleted it.
        Gone = "gone",
        /// Somebody has it.
        KeptLive = "kept_live",
        /// It could not be deleted; tried again, up to a limit.
        Failed = "failed",
        /// It could not be deleted for too long: left to the clean-up.
        GivenUp = "given_up",
    }
}

/// What is counted for the sessions of one pool.
#[derive(Debug)]
pub struct CleanupMetrics {
    /// Sessions that were too old.
    pub sessions: ByLabel<CleanupOutcome, IntCounter>,
    /// Runs.
    pub runs: ByLabel<CleanupEnd, IntCounter>,
    /// Sessions whose last client has gone.
    pub ephemeral: ByLabel<EphemeralOutcome, IntCounter>,
}

impl CleanupMetrics {
    pub(super) fn new(of: &Families, pool: &str) -> Self {
        Self {
            sessions: ByLabel::new(|outcome| of.cleanup_sessions.with([pool, outcome])),
            runs: ByLabel::new(|outcome| of.cleanup_runs.with([pool, outcome])),
            ephemeral: ByLabel::new(|outcome| of.ephemeral_deleted.with([pool, outcome])),
        }
    }
}
