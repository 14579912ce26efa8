//! What the recycler remembers of one backend.

use std::time::{Duration, Instant};

/// The pause after a first failure; it doubles with each in a row.
const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// One backend's record.
#[derive(Debug, Default)]
pub(super) struct Record {
    began: Option<Instant>,
    random: u64,
    failures: u32,
    rests_until: Option<Instant>,
    told: bool,
}

impl Record {
    /// It lives since `began`; a life that is not known yet begins a new page.
    pub(super) fn meet(&mut self, began: Instant) {
        if self.began != Some(began) {
            self.began = Some(began);
            self.random = uuid::Uuid::new_v4().as_u64_pair().1;
            self.told = false;
        }
    }

    /// The number that is this life's own.
    pub(super) fn random(&self) -> u64 {
        self.random
    }

    /// Whether it is left alone after a failure.
    pub(super) fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// It could not be started again or not taken out, or that was of no use.
    pub(super) fn failed(&mut self, now: Instant) {
        let rest = FIRST_REST.saturating_mul(1 << self.failures.min(16)).min(LONGEST_REST);
        self.failures += 1;
        self.rests_until = now.checked_add(rest);
    }

    /// It was started again.
    pub(super) fn done(&mut self) {
        (self.failures, self.rests_until) = (0, None);
    }

    /// Whether to tell that it has to wait: once in a life.
    pub(super) fn tell_waiting(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_with_failures_and_end_with_a_success() {
        let (mut record, now) = (Record::default(), Instant::now());
        assert!(!record.rests(now));
        let mut rests = Vec::new();
        for _ in 0..9 {
            record.failed(now);
            rests.push((record.rests_until.unwrap() - now).as_secs());
        }
        assert_eq!(rests, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert!(record.rests(now) && !record.rests(now + LONGEST_REST));
        record.done();
        assert!(!record.rests(now));
    }

    #[test]
    fn waiting_is_told_once_in_a_life() {
        let (mut record, now) = (Record::default(), Instant::now());
        record.meet(now);
        assert!(record.tell_waiting() && !record.tell_waiting());
        record.meet(now);
        assert!(!record.tell_waiting());
        record.meet(now + FIRST_REST);
        assert!(record.tell_waiting());
    }
}
