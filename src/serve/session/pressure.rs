//! What waits because somebody does not read, for the metrics: a client's share of the gauges, looked at once a wake-up.

use crate::telemetry::{BackpressureMetrics, Held, Towards};

/// One client's share.
#[derive(Debug)]
pub struct Pressure {
    towards: [Share; 2],
}

#[derive(Debug)]
struct Share {
    buffered: Held,
    stalled: bool,
}

impl Pressure {
    /// Nothing waits yet.
    pub fn new(metrics: &BackpressureMetrics) -> Self {
        let share = |towards| Share { buffered: Held::new(metrics.buffered.get(towards), 0), stalled: false };
        Self { towards: [share(Towards::Client), share(Towards::Backend)] }
    }

    /// So many bytes wait now. `stalled`: so many that the reading behind them has stopped.
    pub fn note(&mut self, metrics: &BackpressureMetrics, towards: Towards, bytes: usize, stalled: bool) {
        let share = &mut self.towards[usize::from(towards == Towards::Backend)];
        share.buffered.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        if stalled && !share.stalled {
            metrics.stalls.get(towards).inc();
        }
        share.stalled = stalled;
    }
}
