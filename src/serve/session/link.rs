//! The connection from one client to one backend.

use std::{io, pin::Pin, sync::Arc, time::Duration, time::Instant};

use super::{inbound::Inbound, outbox::Outbox};
use crate::{
    backend::{Dialer, Socket},
    pool::{LinkSlot, Member},
    serve::keepalive::Keepalive,
    telemetry::{BackendMetrics, LinkOutcome},
    tls,
    wire::RequestId,
};

/// A dial in progress.
pub type Dial = Pin<Box<dyn Future<Output = io::Result<Socket>> + Send>>;

/// How far a link is.
pub enum State {
    /// The TCP connection is being made.
    Dialing(Dial),
    /// The backend has our `connect` and has not answered.
    Greeting,
    /// Frames flow.
    Ready,
}

/// A frame that waits for its link.
#[derive(Debug)]
pub struct Held {
    /// The client's request id, if it is a request.
    pub id: Option<RequestId>,
    /// Its body.
    pub body: Vec<u8>,
}

/// One link.
pub struct Link {
    /// The backend.
    pub member: Arc<Member>,
    /// How far it is.
    pub state: State,
    /// The socket, once dialled.
    pub socket: Option<Socket>,
    /// What the backend sent.
    pub inbound: Inbound,
    /// What it has not taken yet.
    pub outbox: Outbox,
    /// Frames that wait for the greeting.
    pub held: Vec<Held>,
    /// The client's own `connect` greets this link: its id.
    pub greeted_by: Option<RequestId>,
    /// A large frame of the client is on its way in; what we have to say meanwhile waits in `after`.
    pub taking_flow: bool,
    /// Frames of ours that wait for the end of that.
    pub after: Vec<u8>,
    /// Its writing side was closed behind the client's.
    pub half_closed: bool,
    /// When the dial began.
    pub since: Instant,
    /// The session whose event was last let through a wall.
    pub seen: Box<[u8]>,
    /// Metrics of the backend.
    pub metrics: Arc<BackendMetrics>,
    /// The one of its backend's incarnations that it leads to.
    pub incarnation: u64,
    _slot: LinkSlot,
}

impl Link {
    /// Begins a link: dials, with a deadline.
    pub fn dial(
        (member, incarnation): (Arc<Member>, u64),
        dialer: &Dialer,
        limit: Duration,
        metrics: Arc<BackendMetrics>,
        now: Instant,
    ) -> Self {
        let (dialer, to) = (dialer.clone(), member.clone());
        let dial = async move {
            let socket = tokio::time::timeout(limit, dialer.dial(&to, incarnation)).await??;
            Keepalive::default().ask(&socket);
            Ok(socket)
        };
        Self {
            _slot: member.hold_link(),
            member,
            state: State::Dialing(Box::pin(dial)),
            socket: None,
            inbound: Inbound::default(),
            outbox: Outbox::default(),
            held: Vec::new(),
            greeted_by: None,
            taking_flow: false,
            after: Vec::new(),
            half_closed: false,
            since: now,
            seen: Box::default(),
            metrics,
            incarnation,
        }
    }

    /// Its backend has another address by now.
    pub fn is_outlived(&self) -> bool {
        self.incarnation != self.member.incarnation()
    }

    /// Whether frames flow.
    #[inline]
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// Bytes that wait for the backend.
    pub fn waiting(&self) -> usize {
        self.outbox.len() + self.held.iter().map(|held| held.body.len()).sum::<usize>()
    }
}

/// The metric's word for a failed dial.
pub fn outcome_of(error: &io::Error) -> LinkOutcome {
    if tls::is_final(error) {
        return LinkOutcome::Tls;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => LinkOutcome::Refused,
        io::ErrorKind::TimedOut => LinkOutcome::Timeout,
        _ => LinkOutcome::Error,
    }
}
