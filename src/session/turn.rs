//! One session's turn, from `session.send` until `session.idle`. Pure: `now` is an argument.

use std::time::{Duration, Instant};

/// What an event of a session means for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// `assistant.turn_start`: a turn runs, whoever began it (a queued prompt, a schedule, a sub-agent).
    Started,
    /// The first visible piece of an answer.
    Delta,
    /// `session.error`: the turn will end with an error.
    Failed,
    /// `abort`: somebody ended it.
    Aborted,
    /// `session.idle`: it ended.
    Idle,
    /// `session.shutdown`: the session ended, and its turn with it.
    Shutdown,
}

impl EventKind {
    /// What the event type means; `None` for the many that mean nothing for the turn.
    #[inline]
    pub fn of(kind: &[u8]) -> Option<Self> {
        Some(match kind {
            b"assistant.message_delta" | b"assistant.reasoning_delta" | b"assistant.message" => Self::Delta,
            b"session.idle" => Self::Idle,
            b"assistant.turn_start" => Self::Started,
            b"session.error" => Self::Failed,
            b"abort" => Self::Aborted,
            b"session.shutdown" => Self::Shutdown,
            _ => return None,
        })
    }
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnEnd {
    /// In good order.
    Idle,
    /// After a `session.error`.
    Error,
    /// By an abort or the end of the session.
    Aborted,
    /// Its backend died.
    BackendLost,
    /// The last client went away.
    ClientLost,
    /// Nothing was heard of it for too long.
    Stalled,
}

/// A turn that has just ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub end: TurnEnd,
    /// From its begin.
    pub took: Duration,
}

/// The state machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    since: Option<Instant>,
    delta: bool,
    outcome: Option<TurnEnd>,
}

impl Turn {
    /// Whether a turn runs.
    pub fn is_running(&self) -> bool {
        self.since.is_some()
    }

    /// When it began.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// A prompt was sent, or the backend says that a turn began. `true` if none was running.
    pub fn begin(&mut self, now: Instant) -> bool {
        let new = self.since.is_none();
        if new {
            *self = Self { since: Some(now), delta: false, outcome: None };
        }
        new
    }

    /// A piece of an answer came: the time since the begin if it is the turn's first.
    pub fn delta(&mut self, now: Instant) -> Option<Duration> {
        let since = self.since?;
        (!std::mem::replace(&mut self.delta, true)).then(|| now.saturating_duration_since(since))
    }

    /// The turn will end like this, whatever `session.idle` says.
    pub fn mark(&mut self, outcome: TurnEnd) {
        if self.is_running() {
            self.outcome.get_or_insert(outcome);
        }
    }

    /// The turn ends; `None` if none was running.
    pub fn end(&mut self, end: TurnEnd, now: Instant) -> Option<Ended> {
        let since = self.since.take()?;
        Some(Ended { end: self.outcome.take().unwrap_or(end), took: now.saturating_duration_since(since) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_runs_from_send_to_idle() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut turn = Turn::default();
        assert!(turn.begin(at(0)));
        assert!(!turn.begin(at(5)), "the turn_start event of the same turn");
        assert_eq!(turn.delta(at(30)), Some(Duration::from_millis(30)));
        assert_eq!(turn.delta(at(40)), None);
        assert_eq!(
            turn.end(TurnEnd::Idle, at(50)),
            Some(Ended { end: TurnEnd::Idle, took: Duration::from_millis(50) })
        );
        assert_eq!(turn.end(TurnEnd::Idle, at(60)), None);
    }

    #[test]
    fn an_error_marks_the_end() {
        let now = Instant::now();
        let mut turn = Turn::default();
        turn.mark(TurnEnd::Error);
        turn.begin(now);
        turn.mark(TurnEnd::Error);
        turn.mark(TurnEnd::Aborted);
        assert_eq!(turn.end(TurnEnd::Idle, now).unwrap().end, TurnEnd::Error);
        turn.begin(now);
        assert_eq!(turn.end(TurnEnd::Idle, now).unwrap().end, TurnEnd::Idle, "a mark does not outlive its turn");
    }
}
