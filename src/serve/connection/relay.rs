//! Both directions of one connection in one task, until either side ends, nothing moves any more, or we are stopped.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::flow::{Fault, Flow};
use crate::{
    backend::Socket,
    telemetry::{BackendMetrics, BackpressureMetrics, ClientEnd, LinkEnd, ListenerMetrics, Towards, Way},
};

/// How long nothing may move.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// While both sides may still send; `None` = for ever.
    pub idle: Option<Duration>,
    /// Once one side has said that it will not send any more; `None` = as `idle`.
    pub half_closed: Option<Duration>,
}

/// What a connection is counted on.
#[derive(Clone, Copy, Debug)]
pub struct Meters<'a> {
    /// The client's side.
    pub listener: &'a ListenerMetrics,
    /// The backend's side.
    pub backend: &'a BackendMetrics,
    /// What waits.
    pub pressure: &'a BackpressureMetrics,
}

/// How a connection ended, and how much it moved.
#[derive(Debug)]
pub struct Ending {
    /// Why the client's socket was closed.
    pub client: ClientEnd,
    /// Why the backend's socket was closed.
    pub link: LinkEnd,
    /// Bytes read from the client.
    pub bytes_in: u64,
    /// Bytes written to the client.
    pub bytes_out: u64,
    /// What the kernel said, when a socket failed.
    pub fault: Option<Fault>,
}

/// Moves bytes between `client` and `backend`; `first` goes to the backend before anything else.
pub async fn relay(
    mut client: Socket,
    mut backend: Socket,
    first: Vec<u8>,
    may_splice: bool,
    patience: Patience,
    meters: Meters<'_>,
    kill: &CancellationToken,
) -> Ending {
    let mut pair = Pair {
        up: Flow::new(Towards::Backend, first, may_splice),
        down: Flow::new(Towards::Client, Vec::new(), may_splice),
        first_to_end: None,
        bytes_in: 0,
        bytes_out: 0,
        fault: None,
    };
    let mut idle = IdleClock::new(patience);
    let mut killed = std::pin::pin!(kill.cancelled());
    let (client_end, link_end) = poll_fn(|cx| {
        let ended = pair.poll(cx, &mut client, &mut backend, meters.pressure);
        let moved = pair.count(meters);
        if ended.is_ready() {
            return ended;
        }
        if killed.as_mut().poll(cx).is_ready() {
            return Poll::Ready((ClientEnd::Deadline, LinkEnd::Cut));
        }
        idle.poll(cx, moved, pair.first_to_end.is_some()).map(|()| (ClientEnd::Idle, LinkEnd::Idle))
    })
    .await;
    Ending { client: client_end, link: link_end, bytes_in: pair.bytes_in, bytes_out: pair.bytes_out, fault: pair.fault }
}

struct Pair {
    up: Flow,
    down: Flow,
    first_to_end: Option<(ClientEnd, LinkEnd)>,
    bytes_in: u64,
    bytes_out: u64,
    fault: Option<Fault>,
}

impl Pair {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Socket,
        backend: &mut Socket,
        pressure: &BackpressureMetrics,
    ) -> Poll<(ClientEnd, LinkEnd)> {
        let up = self.up.poll(cx, client, backend, pressure);
        if let Poll::Ready(Err(fault)) = up {
            let client = matches!(fault, Fault::Read(_));
            return Poll::Ready(self.failed(fault, client));
        }
        let down = self.down.poll(cx, backend, client, pressure);
        if let Poll::Ready(Err(fault)) = down {
            let client = matches!(fault, Fault::Write(_));
            return Poll::Ready(self.failed(fault, client));
        }
        if self.first_to_end.is_none() {
            if self.up.source_ended() {
                self.first_to_end = Some((ClientEnd::Client, LinkEnd::Client));
            } else if self.down.source_ended() {
                self.first_to_end = Some((ClientEnd::Backend, LinkEnd::Backend));
            }
        }
        match (up, down, self.first_to_end) {
            (Poll::Ready(_), Poll::Ready(_), Some(first)) => Poll::Ready(first),
            _ => Poll::Pending,
        }
    }

    /// A socket failed. If a side had ended before, that is the cause, and the failure its consequence.
    fn failed(&mut self, fault: Fault, client_failed: bool) -> (ClientEnd, LinkEnd) {
        self.fault = Some(fault);
        match self.first_to_end {
            Some(first) => first,
            None if client_failed => (ClientEnd::Reset, LinkEnd::Client),
            None => (ClientEnd::BackendReset, LinkEnd::Reset),
        }
    }

    /// Adds what moved to the counters; says whether anything did.
    fn count(&mut self, meters: Meters<'_>) -> bool {
        let up = std::mem::take(&mut self.up.moved);
        let down = std::mem::take(&mut self.down.moved);
        let (client, backend) = (&meters.listener.bytes, &meters.backend.bytes);
        for (counter, bytes) in [
            (client.get(Way::In), up.read),
            (backend.get(Way::Out), up.written),
            (backend.get(Way::In), down.read),
            (client.get(Way::Out), down.written),
            (&meters.listener.spliced, up.spliced + down.spliced),
        ] {
            if bytes > 0 {
                counter.inc_by(bytes);
            }
        }
        self.bytes_in += up.read;
        self.bytes_out += down.written;
        up.read + up.written + down.read + down.written > 0
    }
}

/// Looks at the clock when something moved and sets its alarm only when the last one rang, so that a busy connection
/// does not move a timer for every message.
struct IdleClock {
    patience: Patience,
    last: Instant,
    half_closed: bool,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl IdleClock {
    fn new(patience: Patience) -> Self {
        let last = Instant::now();
        let mut clock = Self { patience, last, half_closed: false, alarm: None };
        clock.set_alarm();
        clock
    }

    fn limit(&self) -> Option<Duration> {
        if self.half_closed { self.patience.half_closed.or(self.patience.idle) } else { self.patience.idle }
    }

    fn set_alarm(&mut self) {
        self.alarm = self.limit().and_then(|limit| self.last.checked_add(limit)).map(|at| Box::pin(sleep_until(at)));
    }

    /// Ready when nothing moved for too long.
    fn poll(&mut self, cx: &mut Context<'_>, moved: bool, half_closed: bool) -> Poll<()> {
        if half_closed && !self.half_closed {
            self.half_closed = true;
            self.last = Instant::now();
            self.set_alarm();
        }
        let limit = self.limit();
        let (Some(alarm), Some(limit)) = (&mut self.alarm, limit) else { return Poll::Pending };
        if moved {
            self.last = Instant::now();
        }
        while alarm.as_mut().poll(cx).is_ready() {
            let due = self.last + limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(due);
        }
        Poll::Pending
    }
}
