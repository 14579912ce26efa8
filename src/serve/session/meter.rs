//! What one client moves, and what waits because somebody does not read: told to the metrics once a wake-up.

use super::{client::Client, link::Link};
use crate::telemetry::{BackpressureMetrics, Held, Towards, Way};

/// Counts of this task that go to the metrics once a wake-up.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub frames_in: u64,
    pub frames_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// One client's share of what waits.
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

impl Client {
    pub(super) fn report_meter(&mut self) {
        let meter = std::mem::take(&mut self.meter);
        let listener = &self.shared.listener;
        for (counter, count) in [
            (listener.frames.get(Way::In), meter.frames_in),
            (listener.frames.get(Way::Out), meter.frames_out),
            (listener.bytes.get(Way::In), meter.bytes_in),
            (listener.bytes.get(Way::Out), meter.bytes_out),
        ] {
            if count > 0 {
                counter.inc_by(count);
            }
        }
    }

    pub(super) fn report_pressure(&mut self) {
        let (metrics, high) = (&self.shared.metrics.backpressure, self.shared.settings.high_watermark);
        let waiting = self.outbox.len();
        self.pressure.note(metrics, Towards::Client, waiting, waiting > high);
        let links = self.links.iter().flatten().map(Link::waiting);
        let (all, most) = links.fold((0, 0), |(all, most), waiting| (all + waiting, most.max(waiting)));
        self.pressure.note(metrics, Towards::Backend, all, most > high);
    }
}
