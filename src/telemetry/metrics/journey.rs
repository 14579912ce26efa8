//! What is counted of sessions that outlive something: a home, a client, a turn that stands still.

use prometheus::{Histogram, IntCounter, IntGauge};

use super::{
    families::Families,
    family::ByLabel,
    label::{Label, MoveCause, MoveOutcome, OrphanEnd, StallEnd},
};

/// What is counted for the sessions of one pool.
#[derive(Debug)]
pub struct JourneyMetrics {
    moves: Box<[ByLabel<MoveOutcome, IntCounter>]>,
    /// From the begin of a move, or the loss of the home, until the session is live again; in seconds.
    pub duration: Histogram,
    /// Events that were fetched.
    pub missed: IntCounter,
    /// Lost clients that are kept.
    pub orphans: IntGauge,
    /// Sessions of lost clients.
    pub ended: ByLabel<OrphanEnd, IntCounter>,
    /// Requests of backends that we refused in a lost client's place.
    pub answers: IntCounter,
    /// Turns of which nothing was heard.
    pub stalls: ByLabel<StallEnd, IntCounter>,
}

impl JourneyMetrics {
    pub(super) fn new(of: &Families, pool: &str) -> Self {
        let by_cause = |cause: &MoveCause| ByLabel::new(|outcome| of.moves.with([pool, cause.label(), outcome]));
        Self {
            moves: MoveCause::ALL.iter().map(by_cause).collect(),
            duration: of.move_duration.with([pool]),
            missed: of.missed_events.with([pool]),
            orphans: of.orphans.with([pool]),
            ended: ByLabel::new(|outcome| of.orphans_ended.with([pool, outcome])),
            answers: of.orphan_answers.with([pool]),
            stalls: ByLabel::new(|outcome| of.stalls.with([pool, outcome])),
        }
    }

    /// Counts a session that was to get another home.
    pub fn moved(&self, cause: MoveCause, outcome: MoveOutcome) {
        self.moves[cause.index()].get(outcome).inc();
    }
}
