//! A brake for warnings that a peer or a full table could repeat a thousand times a second.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// Lets one warning through in an interval and counts what it held back.
#[derive(Debug)]
pub struct Sparing {
    born: Instant,
    interval: Duration,
    /// Milliseconds since `born` from which on the next one may pass.
    next: AtomicU64,
    left_out: AtomicU64,
}

impl Sparing {
    /// A brake that lets one through in `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { born: Instant::now(), interval, next: AtomicU64::new(0), left_out: AtomicU64::new(0) }
    }

    /// `Some(n)` when a warning may be written now, `n` having been left out since the last one.
    pub fn pass(&self) -> Option<u64> {
        let now = millis(self.born.elapsed());
        let next = self.next.load(Ordering::Relaxed);
        let later = now.saturating_add(millis(self.interval));
        let won = now >= next && self.next.compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if won {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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
}
