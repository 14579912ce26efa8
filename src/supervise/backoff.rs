//! Pauses between restarts.

use std::time::Duration;

/// Doubles from `first` to `max`; each pause is shortened by up to half, so that processes that died together do not
/// start together.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, next: first.min(max) }
    }

    /// The next pause.
    pub(super) fn pause(&mut self, random: u64) -> Duration {
        let pause = crate::health::jittered(self.next, 0.5, random);
        self.next = self.next.saturating_mul(2).min(self.max);
        pause
    }

    /// It ran well for a while: begin again.
    pub(super) fn reset(&mut self) {
        self.next = self.first.min(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_begins_again() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let pauses: Vec<_> = (0..5).map(|_| backoff.pause(0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        backoff.reset();
        let shortest = backoff.pause(u64::MAX);
        assert!(shortest >= Duration::from_millis(500) && shortest < Duration::from_millis(501), "{shortest:?}");
    }
}
