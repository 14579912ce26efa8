//! Idle sessions that nobody has used for long are closed at their backend and kept: they are resumed when they are needed.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::session::{Live, Registry, relocation::Cause};

/// No more often than this, and no less often than that, whatever the time-out.
const LOOKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// At one look no more than so many are closed: a fleet that fell asleep at once must not keep its backends busy.
const AT_ONCE: usize = 50;

/// Sends idle sessions away until its future is dropped.
pub struct Idler {
    registry: Arc<Registry>,
    timeout: Duration,
}

impl Idler {
    /// Over the sessions of `registry`, after `timeout`. `None`: never.
    pub fn new(registry: Arc<Registry>, timeout: Duration) -> Option<Self> {
        (!timeout.is_zero()).then_some(Self { registry, timeout })
    }

    /// Does it.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval((self.timeout / 8).clamp(LOOKS.0, LOOKS.1));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look(Instant::now().into_std());
        }
    }

    fn look(&self, now: std::time::Instant) {
        let room = self.registry.room();
        let stamp = room.stamp(now);
        let timeout = self.timeout.as_millis() as u64;
        let due = |live: &Arc<Live>| live.may_make_way() && stamp.saturating_sub(live.used()) >= timeout;
        for live in room.seated().into_iter().filter(due).take(AT_ONCE) {
            live.begin_move(Cause::Idle, None, now);
        }
    }
}
