//! One client and all its links, driven by one task: no channel, no lock and no other task stands between a byte's arrival
//! and its departure. This file is the loop; what a frame means is in `calls` (from the client) and `answers` (from backends).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::time::{Instant as TokioInstant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{
    dwelling::Dwelling,
    existence::Probe,
    goodbye::Closing,
    guest::{Delayed, Guest},
    inbound::{Inbound, Read},
    link::{Link, State},
    meter::{Meter, Pressure},
    moving::LOOK,
    open::{Open, Own},
    orphan::Orphan,
    outbox::Outbox,
    sessions::Sessions,
    settings::Shared,
    stage::Stage,
    workspace::{Workspace, with_workspace},
    writing::reset_or_failed,
};
use crate::{
    backend::Socket,
    mux::{Asks, Gather, LinkId, OwnRequests, Requests, Setup},
    pool::Member,
    route::Caller,
    serve::{
        accept::{Seat, Visitor},
        lobby::Place,
    },
    session::Bell,
    telemetry::{ClientEnd, Label, LinkEnd},
    tenancy::Over,
};

/// A client that is about to go is looked at this often.
const DRAIN_TICK: Duration = Duration::from_millis(50);

/// A client that waits for its turn is looked at this often.
const LINE_LOOK: Duration = Duration::from_millis(200);

/// The driver of one client.
pub struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) caller: Caller,
    /// Rung when a session of this client is on its way to another home.
    pub(super) bell: Arc<Bell>,
    pub(super) socket: Socket,
    pub(super) inbound: Inbound,
    pub(super) outbox: Outbox,
    pub(super) links: Vec<Option<Link>>,
    /// Links that are being given up: no other one gets their number before all that was theirs is seen to.
    pub(super) ending: Vec<LinkId>,
    pub(super) requests: Requests<Open>,
    pub(super) own: OwnRequests<Own>,
    pub(super) gathers: Vec<Option<Gather>>,
    pub(super) asks: Asks,
    pub(super) setup: Setup,
    pub(super) sessions: Sessions,
    /// The link for requests without a session.
    pub(super) general: Option<LinkId>,
    /// Provider calls of backends (`llmInference.httpRequestStart`): which link a request id belongs to.
    pub(super) provider_calls: ahash::AHashMap<String, LinkId>,
    /// Backends that could not be dialled a moment ago.
    pub(super) avoid: Vec<(Arc<Member>, Instant)>,
    /// The link whose large frame is on its way to the client; other links wait.
    pub(super) flow_from: Option<LinkId>,
    /// Bytes that are missing of a large frame whose link was lost: the client gets blanks.
    pub(super) padding: usize,
    /// Frames for the client that wait for the end of that.
    pub(super) after_flow: Vec<u8>,
    pub(super) authenticated: bool,
    /// Its place in the lobby, until it has said who it is.
    pub(super) waits: Option<Place>,
    /// The tenant whose certificate it showed.
    pub(super) certified: Option<Arc<str>>,
    /// Who it is, behind a wall.
    pub(super) guest: Option<Guest>,
    /// Where it lives, if its identity has a backend of its own.
    pub(super) dwelling: Option<Box<Dwelling>>,
    /// Its `connect`, which has to wait.
    pub(super) delayed: Option<Delayed>,
    /// Its tenant had too many connections already when it came.
    pub(super) turned_away: Option<Over>,
    /// The `connect` that waited is being judged.
    pub(super) judging: bool,
    /// When it was last refused because of a quota.
    pub(super) refused_at: Option<Instant>,
    /// It is over its quota and not read until then.
    pub(super) paused_until: Option<Instant>,
    /// Ids that backends were asked about before this client may take them.
    pub(super) probes: Vec<Option<Probe>>,
    /// It has attached to a session of somebody else.
    pub(super) borrows: bool,
    /// The version of the shares by which its borrowed sessions were last looked at.
    pub(super) shares_seen: u64,
    /// Wrong tokens so far.
    pub(super) failed_tries: u8,
    pub(super) accepted: Instant,
    /// When something of this client was last running.
    pub(super) last_active: Instant,
    pub(super) client_eof: Option<Instant>,
    pub(super) draining: bool,
    /// It was lost in the middle of a turn.
    pub(super) orphan: Option<Orphan>,
    /// Its bell knows whom to wake.
    listens: bool,
    /// A request that was counted already is being handled once more.
    pub(super) repeating: bool,
    /// The stage that was last looked at.
    stage: Option<Stage>,
    pub(super) closing: Option<Closing>,
    pub(super) now: Instant,
    pub(super) meter: Meter,
    pub(super) pressure: Pressure,
    drain: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    kill: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    tick: Option<Pin<Box<Sleep>>>,
    _seat: Seat,
}

impl Client {
    /// A driver for a client that was just accepted.
    pub fn new(shared: Arc<Shared>, visitor: Visitor, certified: Option<Arc<str>>, waits: Option<Place>) -> Self {
        let Visitor { socket, peer: address, seat, .. } = visitor;
        let number = shared.clients.fetch_add(1, std::sync::atomic::Ordering::Relaxed).wrapping_add(1).max(1);
        let now = Instant::now();
        let pressure = Pressure::new(&shared.metrics.backpressure);
        Self {
            caller: Caller { number, address },
            bell: Arc::new(Bell::new(number)),
            authenticated: !shared.asks(),
            waits,
            certified,
            guest: None,
            dwelling: None,
            delayed: None,
            turned_away: None,
            judging: false,
            refused_at: None,
            paused_until: None,
            probes: Vec::new(),
            borrows: false,
            shares_seen: 0,
            drain: Some(Box::pin(shared.stage.drain.clone().cancelled_owned())),
            kill: Some(Box::pin(shared.stage.kill.clone().cancelled_owned())),
            shared,
            socket,
            inbound: Inbound::default(),
            outbox: Outbox::default(),
            links: Vec::new(),
            ending: Vec::new(),
            requests: Requests::default(),
            own: OwnRequests::default(),
            gathers: Vec::new(),
            asks: Asks::default(),
            setup: Setup::default(),
            failed_tries: 0,
            sessions: Sessions::default(),
            general: None,
            provider_calls: ahash::AHashMap::new(),
            avoid: Vec::new(),
            flow_from: None,
            padding: 0,
            after_flow: Vec::new(),
            accepted: now,
            last_active: now,
            client_eof: None,
            draining: false,
            orphan: None,
            listens: false,
            repeating: false,
            stage: None,
            closing: None,
            now,
            meter: Meter::default(),
            pressure,
            tick: None,
            _seat: seat,
        }
    }

    /// Serves until it ends; gives back why.
    pub async fn run(mut self) -> ClientEnd {
        self.shared.router.registry().enter(&self.bell);
        if !self.admit_certified() {
            self.admit_default();
        }
        let end = std::future::poll_fn(|cx| with_workspace(|workspace| self.poll(cx, workspace))).await;
        self.leave();
        self.shared.listener.closed.get(end).inc();
        tracing::debug!(conn = self.caller.number, client.addr = %self.caller.address, reason = end.label(), "client gone");
        end
    }

    fn poll(&mut self, cx: &mut Context<'_>, workspace: &mut Workspace) -> Poll<ClientEnd> {
        self.now = Instant::now();
        if self.waits.as_mut().is_some_and(|place| place.poll_asked_to_go(cx).is_ready()) {
            return Poll::Ready(ClientEnd::Unauthenticated);
        }
        self.hear_signals(cx, workspace);
        if !std::mem::replace(&mut self.listens, true) {
            // One task drives this client from its first to its last poll.
            self.bell.listen(cx.waker());
        }
        let end = loop {
            match self.round(cx, workspace) {
                Err(end) if self.is_orphaned(end, true, &mut workspace.out) => {}
                Err(end) => break Some(end),
                Ok(true) if self.meter.is_used_up(self.is_metered()) => {
                    yields(cx);
                    break None;
                }
                Ok(true) => {}
                Ok(false) => break None,
            }
        };
        self.report_meter();
        self.report_pressure();
        end.map_or(Poll::Pending, Poll::Ready)
    }

    /// Reads every socket that has something once, then writes once to each that gets something. `Ok(true)`: look again.
    fn round(&mut self, cx: &mut Context<'_>, workspace: &mut Workspace) -> Result<bool, ClientEnd> {
        self.write_waiting(cx)?;
        let mut progress = self.poll_links(cx, workspace)?;
        progress |= self.poll_client(cx, workspace)?;
        progress |= self.answer_bell(&mut workspace.out);
        progress |= self.pad(&mut workspace.out);
        progress |= self.poll_tick(cx, workspace);
        if !workspace.out.is_empty() {
            self.flush(cx, workspace)?;
        }
        workspace.filled = 0;
        let runs = self.is_running();
        if runs || self.meter.frames_in > 0 {
            self.last_active = self.now;
        }
        self.note_life(runs);
        self.poll_end(cx, workspace).map_or(Ok(progress), Err)
    }

    /// Reads and handles what the client sent, once. `Ok(true)`: look again.
    fn poll_client(&mut self, cx: &mut Context<'_>, workspace: &mut Workspace) -> Result<bool, ClientEnd> {
        if self.client_eof.is_some() || !self.may_read_client() {
            return Ok(false);
        }
        if self.inbound.needs_room(workspace) {
            self.flush(cx, workspace)?;
        }
        if self.is_at_gate() {
            return Ok(self.passes_gate(workspace));
        }
        self.inbound.most = self.bytes_at_once();
        let read = match self.inbound.poll_read(&mut self.socket, cx, workspace) {
            Poll::Pending => return Ok(false),
            Poll::Ready(read) => read.map_err(|error| reset_or_failed(&error))?,
        };
        match read {
            Read::End => {
                self.client_eof = Some(self.now);
                self.leave_lines(&mut workspace.out);
                self.is_orphaned(ClientEnd::Client, false, &mut workspace.out);
            }
            Read::More => self.inbound.mark(true, false, self.now),
            Read::Chunk(_) if self.closing.is_some() => self.inbound.keep(&[]),
            Read::Chunk(chunk) => self.client_chunk(&workspace.read, chunk, &mut workspace.out),
        }
        if self.inbound.waiting_since.is_some() && self.inbound.flow.is_none() {
            // The SDK writes header and body in two writes without TCP_NODELAY: the second waits for our ACK (44 ms -> 0.4 ms).
            self.socket.quick_ack();
        }
        Ok(true)
    }

    fn poll_links(&mut self, cx: &mut Context<'_>, workspace: &mut Workspace) -> Result<bool, ClientEnd> {
        let mut progress = false;
        for id in 0..self.links.len() as LinkId {
            progress |= self.poll_link(cx, workspace, id)?;
        }
        Ok(progress)
    }

    fn poll_link(&mut self, cx: &mut Context<'_>, workspace: &mut Workspace, id: LinkId) -> Result<bool, ClientEnd> {
        if self.is_client_full() || self.flow_from.is_some_and(|from| from != id) {
            return Ok(false);
        }
        let Some(link) = &mut self.links[id as usize] else { return Ok(false) };
        if let State::Dialing(dial) = &mut link.state {
            let Poll::Ready(dialled) = dial.as_mut().poll(cx) else { return Ok(false) };
            self.dialled(id, dialled, &mut workspace.out);
            return Ok(true);
        }
        if link.inbound.needs_room(workspace) {
            self.flush(cx, workspace)?;
        }
        let Some(link) = &mut self.links[id as usize] else { return Ok(true) };
        let Some(socket) = &mut link.socket else { return Ok(false) };
        match link.inbound.poll_read(socket, cx, workspace) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(Read::More)) => {}
            Poll::Ready(Ok(Read::End)) => self.lose_link(id, LinkEnd::Backend, &mut workspace.out),
            Poll::Ready(Err(_)) => self.lose_link(id, LinkEnd::Reset, &mut workspace.out),
            Poll::Ready(Ok(Read::Chunk(chunk))) => self.link_chunk(id, &workspace.read, chunk, &mut workspace.out),
        }
        Ok(true)
    }

    /// The tokens wake this task; whether they did is read from one atomic, for polling them takes a lock each.
    fn hear_signals(&mut self, cx: &mut Context<'_>, workspace: &mut Workspace) {
        let stage = self.shared.stage.now();
        if self.stage == Some(stage) {
            return;
        }
        self.stage = Some(stage);
        for token in [&mut self.drain, &mut self.kill] {
            if token.as_mut().is_some_and(|heard| heard.as_mut().poll(cx).is_ready()) {
                *token = None;
            }
        }
        self.draining = stage != Stage::Serving;
        if self.draining {
            self.hurry();
        }
        if stage == Stage::Over {
            self.cut_at_deadline(&mut workspace.out);
            let _ = self.flush(cx, workspace);
        }
    }

    fn poll_tick(&mut self, cx: &mut Context<'_>, workspace: &mut Workspace) -> bool {
        if self.tick.is_none() && self.has_deadlines() {
            let tick = self.shared.settings.tick();
            let ending = self.draining || self.closing.is_some();
            let tick = if ending { tick.min(DRAIN_TICK) } else { tick };
            let tick = tick.min(self.wakes_in());
            let at = TokioInstant::now() + tick;
            self.tick = Some(Box::pin(tokio::time::sleep_until(at)));
        }
        let fired = self.tick.as_mut().is_some_and(|tick| tick.as_mut().poll(cx).is_ready());
        if fired {
            self.tick = None;
            self.now = Instant::now();
            self.check_deadlines(&mut workspace.out);
        }
        fired
    }

    /// When this client has to be looked at for a delay or a pause of its own.
    fn wakes_in(&self) -> Duration {
        let until = [self.delayed.as_ref().map(|delayed| delayed.until), self.paused_until];
        let wakes = until.into_iter().flatten().map(|at| at.saturating_duration_since(self.now)).min();
        let away = if self.sessions.has_aways() || self.orphan.is_some() { LOOK } else { Duration::MAX };
        let locks = if self.sessions.has_locks() { LINE_LOOK } else { Duration::MAX };
        wakes.unwrap_or(Duration::MAX).min(away).min(locks)
    }

    /// Looks at the deadlines sooner than the tick that is running would.
    pub(super) fn hurry(&mut self) {
        self.tick = None;
    }
}

/// Lets others have their turn, sockets included, and asks to be called again after that.
fn yields(cx: &mut Context<'_>) {
    let later = std::pin::pin!(tokio::task::yield_now());
    let _ = later.poll(cx);
}
