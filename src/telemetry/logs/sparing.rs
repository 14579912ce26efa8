//! A brake for warnings that a peer or a full table could repeat a thousand times a second.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lets some warnings through in an interval and counts what it held back.
#[derive(Debug)]
pub struct Sparing {
    most: u32,
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    passed: u32,
    left_out: u64,
}

impl Sparing {
    /// A brake that lets one through in `interval`.
    pub fn new(interval: Duration) -> Self {
        Self::of(1, interval)
    }

    /// A brake that lets `most` through in `interval`, which begins with the first of them.
    pub fn of(most: u32, interval: Duration) -> Self {
        Self { most, interval, state: Mutex::default() }
    }

    /// `Some(n)` when a warning may be written now, `n` having been left out since the last one.
    pub fn pass(&self) -> Option<u64> {
        let (now, mut state) = (Instant::now(), self.state.lock());
        if state.since.is_none_or(|since| now.saturating_duration_since(since) >= self.interval) {
            (state.since, state.passed) = (Some(now), 0);
        }
        if state.passed >= self.most {
            state.left_out += 1;
            return None;
        }
        state.passed += 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_passes_in_an_interval() {
        let sparing = Sparing::new(Duration::from_secs(10));
        assert_eq!(sparing.pass(), Some(0));
        assert_eq!(sparing.pass(), None);
        assert_eq!(sparing.pass(), None);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(sparing.pass(), Some(2));
        assert_eq!(sparing.pass(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn or_as_many_as_it_is_told() {
        let sparing = Sparing::of(2, Duration::from_secs(1));
        assert_eq!([sparing.pass(), sparing.pass(), sparing.pass()], [Some(0), Some(0), None]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!([sparing.pass(), sparing.pass(), sparing.pass()], [Some(1), Some(0), None]);
    }
}
