//! From single checks to a verdict.

use std::time::Instant;

use super::Verdict;

/// How many checks in a row it takes to change the verdict. Both are at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Good checks until a backend that was down is up.
    pub rise: u32,
    /// Bad checks until a backend that was up is down.
    pub fall: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { rise: 2, fall: 3 }
    }
}

/// What one check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered as it should.
    Good,
    /// It did not, which may pass: a timeout, a reset, garbage.
    Bad,
    /// It cannot serve, and asking again in a moment would tell nothing new: the port is closed, the token is refused, the
    /// protocol is another one. Down at once, however many checks `fall` asks for.
    Dead,
}

/// The verdict changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub from: Verdict,
    /// Now.
    pub to: Verdict,
}

/// Counts checks in a row and says when the verdict changes.
#[derive(Debug)]
pub struct Checker {
    thresholds: Thresholds,
    verdict: Verdict,
    since: Option<Instant>,
    /// Checks in a row that contradict the verdict.
    against: u32,
    /// The next result decides alone.
    fresh: bool,
}

impl Checker {
    /// A checker of a backend that nobody has probed.
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, verdict: Verdict::Unknown, since: None, against: 0, fresh: true }
    }

    /// Takes in the result of a check that ended at `now`.
    ///
    /// The first one decides alone: a proxy that starts in front of healthy backends serves after one round trip instead
    /// of `rise` intervals, and there is no earlier verdict which hysteresis would have to protect.
    pub fn on_result(&mut self, now: Instant, outcome: Outcome) -> Option<Change> {
        let (said, needed) = match outcome {
            Outcome::Good => (Verdict::Up, self.thresholds.rise),
            Outcome::Bad => (Verdict::Down, self.thresholds.fall),
            Outcome::Dead => (Verdict::Down, 1),
        };
        let needed = if std::mem::take(&mut self.fresh) { 1 } else { needed.max(1) };
        if said == self.verdict {
            self.against = 0;
            return None;
        }
        self.against += 1;
        if self.against < needed {
            return None;
        }
        self.against = 0;
        self.since = Some(now);
        let from = std::mem::replace(&mut self.verdict, said);
        Some(Change { from, to: said })
    }

    /// The backend was replaced (another address, another process): the next result decides alone. The
    /// verdict stays until then.
    pub fn forget(&mut self) {
        self.fresh = true;
        self.against = 0;
    }

    /// Up, but the last check failed.
    pub fn is_doubted(&self) -> bool {
        self.verdict == Verdict::Up && self.against > 0
    }

    /// The verdict now.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// When the verdict last changed; `None` before the first result.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome::*, *};

    /// Feeds letters (g, b, d) and shows the verdict after each (u, d, ? while unknown).
    fn run(checker: &mut Checker, outcomes: &str) -> String {
        let now = Instant::now();
        let mut shown = String::new();
        for letter in outcomes.chars() {
            let before = checker.verdict();
            let change = checker.on_result(
                now,
                if letter == 'g' {
                    Good
                } else if letter == 'b' {
                    Bad
                } else {
                    Dead
                },
            );
            assert_eq!(change.is_some(), before != checker.verdict());
            shown.push(match checker.verdict() {
                Verdict::Up => 'u',
                Verdict::Down => 'd',
                Verdict::Unknown => '?',
            });
        }
        shown
    }

    fn checker() -> Checker {
        Checker::new(Thresholds { rise: 2, fall: 3 })
    }

    #[test]
    fn the_first_result_decides() {
        assert_eq!(run(&mut checker(), "g"), "u");
        assert_eq!(run(&mut checker(), "b"), "d");
        assert_eq!(run(&mut checker(), "d"), "d");
    }

    #[test]
    fn falls_and_rises_after_so_many_in_a_row() {
        assert_eq!(run(&mut checker(), "gbbbggg"), "uuudduu");
        assert_eq!(run(&mut checker(), "gbbgbbgbbb"), "uuuuuuuuud");
        assert_eq!(run(&mut checker(), "bgbgbgg"), "ddddddu");
    }

    #[test]
    fn a_dead_one_is_down_at_once() {
        assert_eq!(run(&mut checker(), "gdgg"), "uddu");
        assert_eq!(run(&mut checker(), "gbd"), "uud");
    }

    #[test]
    fn one_that_was_replaced_starts_afresh() {
        let mut checker = checker();
        assert_eq!(run(&mut checker, "gd"), "ud");
        checker.forget();
        assert_eq!(checker.verdict(), Verdict::Down);
        assert_eq!(run(&mut checker, "g"), "u");
        checker.forget();
        assert_eq!(run(&mut checker, "gbb"), "uuu");
    }

    #[test]
    fn remembers_when_it_changed() {
        let mut checker = checker();
        let start = Instant::now();
        assert_eq!(checker.since(), None);
        let change = checker.on_result(start, Good);
        assert_eq!(change, Some(Change { from: Verdict::Unknown, to: Verdict::Up }));
        checker.on_result(start + std::time::Duration::from_secs(5), Good);
        assert_eq!(checker.since(), Some(start));
    }

    #[test]
    fn thresholds_of_zero_count_as_one() {
        let mut checker = Checker::new(Thresholds { rise: 0, fall: 0 });
        assert_eq!(run(&mut checker, "gbg"), "udu");
    }
}
