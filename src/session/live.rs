//! One live session, and the hold that a client has on it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{Ended, EventKind, Registry, Turn, TurnEnd};
use crate::{
    pool::{Member, SessionSlot, TurnSlot},
    tenancy::Hold,
};

/// A running turn's places: at its backend, and in its tenant's quota.
type Slots = (TurnSlot, Option<Hold>);

/// A session that lives on one backend: the pin.
#[derive(Debug)]
pub struct Live {
    id: Box<str>,
    home: Arc<Member>,
    pub(super) attached: AtomicU32,
    pub(super) closed: AtomicBool,
    pub(super) slot: Mutex<Option<SessionSlot>>,
    /// When its last client let go; the pin outlives that for a moment, because the old home needs some time to end it.
    pub(super) released: Mutex<Option<Instant>>,
    turn: Mutex<(Turn, Option<Slots>)>,
    /// What it takes of its tenant's quota while anybody holds it.
    pub(super) charge: Mutex<Option<Hold>>,
    /// The client whose link tells the turn's events; two links of one session deliver the same events at different times.
    teller: AtomicU32,
}

impl Live {
    pub(super) fn new(id: &str, home: Arc<Member>) -> Self {
        Self {
            id: id.into(),
            slot: Mutex::new(Some(home.hold_session())),
            home,
            attached: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            released: Mutex::new(None),
            turn: Mutex::default(),
            charge: Mutex::default(),
            teller: AtomicU32::new(0),
        }
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The one backend where it is live.
    pub fn home(&self) -> &Arc<Member> {
        &self.home
    }

    /// Whether a turn runs.
    pub fn is_busy(&self) -> bool {
        self.turn.lock().0.is_running()
    }

    /// How many clients are attached.
    pub fn clients(&self) -> u32 {
        self.attached.load(Ordering::Acquire)
    }

    /// Whether a tenant's quota counts it.
    pub fn is_charged(&self) -> bool {
        self.charge.lock().is_some()
    }

    /// Counts it in a tenant's quota for as long as anybody holds it.
    pub fn charge(&self, hold: Option<Hold>) {
        *self.charge.lock() = hold;
    }

    /// A client sent a prompt.
    pub fn begin_turn(&self, now: Instant) {
        self.begin_turn_under(None, now);
    }

    /// The same; `hold` is the turn's part of a tenant's quota.
    pub fn begin_turn_under(&self, hold: Option<Hold>, now: Instant) {
        let mut turn = self.turn.lock();
        if turn.0.begin(now) {
            turn.1 = Some((self.home.hold_turn(), hold));
        }
    }

    /// An event came over the link of client number `client`. Gives back the time to the first delta, and the turn's end.
    pub fn event(&self, client: u32, kind: EventKind, now: Instant) -> (Option<Duration>, Option<Ended>) {
        let teller = self.teller.compare_exchange(0, client, Ordering::AcqRel, Ordering::Acquire);
        if teller.is_err_and(|teller| teller != client) {
            return (None, None);
        }
        let mut turn = self.turn.lock();
        match kind {
            EventKind::Started if turn.0.begin(now) => turn.1 = Some((self.home.hold_turn(), None)),
            EventKind::Started => {}
            EventKind::Delta => return (turn.0.delta(now), None),
            EventKind::Failed => turn.0.mark(TurnEnd::Error),
            EventKind::Aborted => turn.0.mark(TurnEnd::Aborted),
            EventKind::Idle => return (None, end(&mut turn, TurnEnd::Idle, now)),
            EventKind::Shutdown => return (None, end(&mut turn, TurnEnd::Aborted, now)),
        }
        (None, None)
    }

    /// Ends a turn for a reason that no event tells.
    pub fn end_turn(&self, how: TurnEnd, now: Instant) -> Option<Ended> {
        end(&mut self.turn.lock(), how, now)
    }
}

fn end(turn: &mut (Turn, Option<Slots>), how: TurnEnd, now: Instant) -> Option<Ended> {
    turn.1 = None;
    turn.0.end(how, now)
}

/// A client's hold on a session. The pin stays while anybody holds one.
pub struct Attachment {
    live: Arc<Live>,
    registry: Arc<Registry>,
    client: u32,
    in_order: bool,
}

impl Attachment {
    pub(super) fn new(live: Arc<Live>, registry: Arc<Registry>, client: u32) -> Self {
        live.attached.fetch_add(1, Ordering::AcqRel);
        *live.released.lock() = None;
        live.slot.lock().get_or_insert_with(|| live.home.hold_session());
        Self { live, registry, client, in_order: false }
    }

    /// The session.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// The session ended at its home (deleted, closed, or its home died): the pin is gone for everybody.
    pub fn close(self) {
        self.live.closed.store(true, Ordering::Release);
        self.registry.forget(&self.live);
    }

    /// The client let the session go in good order: if it was the last one, the session lives nowhere now.
    pub fn detach(mut self) {
        self.in_order = true;
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // The next client that hears of a turn tells it.
        let _ = self.live.teller.compare_exchange(self.client, 0, Ordering::AcqRel, Ordering::Acquire);
        self.registry.release(&self.live, self.in_order);
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").field("session", &self.live.id).field("home", &self.live.home.name).finish()
    }
}
