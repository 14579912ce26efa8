//! What one client moves, and what waits because somebody does not read: told to the metrics once a wake-up.

use std::time::Duration;

use super::{client::Client, link::Link};
use crate::{
    mux::LinkId,
    telemetry::{BackpressureMetrics, Held, Towards, Way},
};

/// What is read at once of most clients: about a thousand calls, a millisecond.
const USUAL_BYTES: usize = 128 << 10;

/// The same of a client whose frames are counted against a quota.
const METERED_BYTES: usize = 32 << 10;

/// The same of one that was refused within [`SIPS`]: what it sends may only be refused again.
const SIP_BYTES: usize = 8 << 10;

/// How long a client is read in sips after a refusal.
const SIPS: Duration = Duration::from_secs(5);

/// Counts of this task that go to the metrics once a wake-up.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub frames_in: u64,
    pub frames_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Meter {
    /// Whether this client had its turn: others on the same thread wait while it is served. About a millisecond's worth; of
    /// one with a quota (`metered`) a small part of that: eight that send large frames as fast as they can are eight turns to wait.
    pub fn is_used_up(&self, metered: bool) -> bool {
        let (frames, bytes) = if metered { (64, 64 << 10) } else { (1024, 4 << 20) };
        self.frames_in + self.frames_out > frames || self.bytes_in + self.bytes_out > bytes
    }
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
        if let Some(guest) = self.guest.as_ref().filter(|_| meter.frames_in > 0) {
            guest.metrics.frames.inc_by(meter.frames_in);
            guest.metrics.bytes.inc_by(meter.bytes_in);
        }
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
        let (client_full, backend_full) = (self.is_client_full(), self.is_backend_full());
        let metrics = &self.shared.metrics.backpressure;
        self.pressure.note(metrics, Towards::Client, self.outbox.len(), client_full);
        let waiting = self.links.iter().flatten().map(Link::waiting).sum();
        self.pressure.note(metrics, Towards::Backend, waiting, backend_full);
    }

    /// How much of this client is read at once. What was read is handled in one go, and others on the same thread wait for
    /// that; a large frame that only passes through costs little. `None`: as much as there is room for.
    pub(super) fn bytes_at_once(&self) -> Option<usize> {
        let flows = self.inbound.flow.is_some() || self.inbound.collects();
        let refused = self.refused_at.is_some_and(|at| self.now.saturating_duration_since(at) < SIPS);
        match &self.guest {
            Some(_) if refused => Some(SIP_BYTES),
            None if flows => None,
            Some(_) if flows && !self.is_metered() => None,
            Some(_) if self.is_metered() => Some(METERED_BYTES),
            _ => Some(USUAL_BYTES),
        }
    }

    /// The client is read only while what it sent before has somewhere to go; whoever does not read its answers sends nothing
    /// new either.
    pub(super) fn may_read_client(&self) -> bool {
        let waits = self.delayed.is_some() || self.paused_until.is_some();
        !waits && !self.is_backend_full() && self.outbox.len() <= self.shared.settings.high_watermark
    }

    /// A backend does not take what it gets. What does not go out at once has to be copied, and a large frame is large: it
    /// is read on when its last piece has gone.
    pub(super) fn is_backend_full(&self) -> bool {
        let flow_to = self.inbound.flow.as_ref().and_then(|flow| flow.dest);
        let high = self.shared.settings.high_watermark;
        self.links.iter().enumerate().any(|(id, link)| {
            let high = if flow_to == Some(id as LinkId) { 0 } else { high };
            link.as_ref().is_some_and(|link| link.waiting() > high)
        })
    }

    /// The client does not take what it gets.
    pub(super) fn is_client_full(&self) -> bool {
        let high = if self.flow_from.is_some() { 0 } else { self.shared.settings.high_watermark };
        self.outbox.len() > high
    }
}
