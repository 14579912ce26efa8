//! A token bucket as one number: the time at which it will be full again (GCRA).

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Ticks of a nanosecond, so that a small part of a high rate is not rounded away.
const TICKS: u64 = 16;

/// So many in a period; a whole period's worth may come at once.
#[derive(Debug)]
pub(super) struct Rate {
    most: u64,
    /// A period, in ticks.
    period: u64,
    /// When the bucket is full again, in ticks since the first look at it.
    full_at: AtomicU64,
    first: OnceLock<Instant>,
}

impl Rate {
    pub(super) fn new(most: u64, period: Duration) -> Self {
        Self { most, period: ticks(period), full_at: AtomicU64::new(0), first: OnceLock::new() }
    }

    /// Takes `count`, or says how long until that would succeed. What is more than a whole bucket is taken from a full one.
    #[inline]
    pub(super) fn take(&self, count: u64, now: Instant) -> Result<(), Duration> {
        let (now, cost) = (self.since_first(now), self.cost(count));
        let taken = self.full_at.fetch_update(Relaxed, Relaxed, |full_at| {
            (self.short_of(full_at, cost, now) == 0).then(|| full_at.max(now).saturating_add(cost))
        });
        match taken {
            Ok(_) => Ok(()),
            Err(full_at) => Err(duration(self.short_of(full_at, cost, now))),
        }
    }

    /// How long until `count` could be taken.
    pub(super) fn wait(&self, count: u64, now: Instant) -> Duration {
        let (now, cost) = (self.since_first(now), self.cost(count));
        duration(self.short_of(self.full_at.load(Relaxed), cost, now))
    }

    /// Gives back what was taken a moment ago.
    pub(super) fn give_back(&self, count: u64) {
        // The sum of what was taken is never less than what is given back.
        self.full_at.fetch_sub(self.cost(count), Relaxed);
    }

    fn short_of(&self, full_at: u64, cost: u64, now: u64) -> u64 {
        if self.most == 0 {
            return self.period;
        }
        let allowance = self.period.saturating_sub(cost);
        full_at.saturating_sub(now).saturating_sub(allowance)
    }

    /// Rounded down, or the last of a whole bucket would not be had.
    fn cost(&self, count: u64) -> u64 {
        if count == 1 {
            return self.period / self.most.max(1);
        }
        let cost = u128::from(count) * u128::from(self.period) / u128::from(self.most.max(1));
        u64::try_from(cost).unwrap_or(u64::MAX)
    }

    fn since_first(&self, now: Instant) -> u64 {
        let first = *self.first.get_or_init(|| now);
        ticks(now.saturating_duration_since(first))
    }
}

fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).saturating_mul(TICKS)
}

/// Rounded up.
fn duration(ticks: u64) -> Duration {
    Duration::from_nanos(ticks.div_ceil(TICKS))
}
