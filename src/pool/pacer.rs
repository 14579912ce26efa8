//! Spreads work over time: when a backend dies, its sessions do not fall on the others all at once.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::health::jittered;

/// Hands out moments, so many a second.
#[derive(Debug)]
pub struct Pacer {
    gap: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pacer {
    /// `rate` moments a second; none or less: no limit.
    pub fn new(rate: f64) -> Self {
        let gap = if rate > 0.0 { Duration::from_secs_f64(1.0 / rate) } else { Duration::ZERO };
        Self { gap, next: Mutex::default() }
    }

    /// The next moment that is free, which is taken by that; `random` says where in the first half of its gap it lies, so that
    /// several proxies do not go in step.
    pub fn next(&self, now: Instant, random: u64) -> Instant {
        let mut next = self.next.lock();
        let at = next.map_or(now, |at| at.max(now));
        *next = Some(at + self.gap);
        let half = self.gap / 2;
        at + (half - jittered(half, 1.0, random))
    }

    /// Takes a moment if one is free by now. For whoever looks every `step` only: what came free since the look before counts,
    /// what came free before that is not saved up.
    pub fn take(&self, now: Instant, step: Duration) -> bool {
        let mut next = self.next.lock();
        let free = next.is_none_or(|at| at <= now);
        if free {
            let oldest = now.checked_sub(step).unwrap_or(now);
            *next = Some(next.map_or(now, |at| at.max(oldest)) + self.gap);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_apart() {
        let (pacer, now) = (Pacer::new(10.0), Instant::now());
        let gap = Duration::from_millis(100);
        assert_eq!([pacer.next(now, 0), pacer.next(now, 0), pacer.next(now, 0)], [now, now + gap, now + gap * 2]);
        assert_eq!(pacer.next(now, 1 << 63), now + gap * 3 + gap / 4);
        assert_eq!(pacer.next(now + gap * 9, 0), now + gap * 9, "what was not used is not saved up");
        assert!(!pacer.take(now + gap * 9, gap));
        assert!(pacer.take(now + gap * 10, gap) && !pacer.take(now + gap * 10, gap));
        // Looked at every three gaps: three at a time, and no more after a long silence.
        let taken = |at: u32| (0..10).filter(|_| pacer.take(now + gap * at, gap * 3)).count();
        assert_eq!([13, 16, 19, 90].map(taken), [3, 3, 3, 4]);
        let free = Pacer::new(0.0);
        assert_eq!([free.next(now, 7), free.next(now, u64::MAX)], [now, now]);
    }
}
