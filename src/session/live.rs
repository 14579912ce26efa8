//! One live session.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    Backlog, Bearer, Ended, EventKind, Leases, Registry, Relocation, Room, Seat, Turn, TurnEnd,
    lease::Lease,
    relocation::{Cause, Step},
    room::Full,
    teller::Teller,
};
use crate::{
    pool::{Member, TurnSlot},
    tenancy::Hold,
};

/// A running turn's places: at its backend, and in its tenant's quota.
type Slots = Box<(TurnSlot, Option<Hold>)>;

/// A session that lives on one backend: the pin.
#[derive(Debug)]
pub struct Live {
    pub(super) id: Arc<str>,
    /// Where it lives, who is attached, and its way to another home if it is on one.
    pub(super) course: Mutex<Relocation>,
    /// It is on its way: one load tells.
    under_way: AtomicBool,
    parked: AtomicBool,
    /// A client of ours has it open at its home.
    open: AtomicBool,
    /// The client that looks for a place where it can be opened.
    seeker: AtomicU32,
    /// Its turn is to end.
    hurried: AtomicU8,
    pub(super) attached: AtomicU32,
    pub(super) closed: AtomicBool,
    /// Its backend has said that it is gone.
    pub(super) gone: AtomicBool,
    /// Its place at a backend, while it lives there or is about to.
    seat: Mutex<Option<Seat>>,
    room: Arc<Room>,
    bearer: Option<Arc<Bearer>>,
    /// What it is to several proxies.
    lease: Lease,
    pub(super) leases: Arc<Leases>,
    /// When it was last used, and when it last would not make way: as the room stamps moments.
    used: AtomicU64,
    refused: AtomicU64,
    /// When its last client let go; the pin outlives that for a moment, because the old home needs some time to end it.
    pub(super) released: Mutex<Option<Instant>>,
    turn: Mutex<(Turn, Option<Slots>)>,
    /// What it takes of its tenant's quota while anybody holds it.
    pub(super) charge: Mutex<Option<Hold>>,
    /// What it told while its client was lost.
    backlog: Mutex<Option<Box<Backlog>>>,
    kept: AtomicBool,
    /// It ends with its clients.
    pub(super) ephemeral: AtomicBool,
    teller: Teller,
}

impl Live {
    pub(super) fn new(id: &str, home: Arc<Member>, bearer: Option<Arc<Bearer>>, of: &Registry, now: Instant) -> Self {
        let (room, leases) = (of.room().clone(), of.leases().clone());
        Self {
            id: id.into(),
            seat: Mutex::default(),
            bearer,
            lease: Lease::new(leases.is_shared()),
            leases,
            used: AtomicU64::new(room.stamp(now)),
            refused: AtomicU64::new(0),
            room,
            course: Mutex::new(Relocation::new(home)),
            under_way: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            open: AtomicBool::new(false),
            seeker: AtomicU32::new(0),
            hurried: AtomicU8::new(0),
            attached: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            released: Mutex::new(None),
            turn: Mutex::default(),
            charge: Mutex::default(),
            backlog: Mutex::default(),
            kept: AtomicBool::new(false),
            ephemeral: AtomicBool::new(false),
            teller: Teller::default(),
        }
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The one backend where it is live, or was last while it is on its way to another one.
    pub fn home(&self) -> Arc<Member> {
        self.course.lock().home().clone()
    }

    /// Whether it is on its way to another home.
    #[inline]
    pub fn is_under_way(&self) -> bool {
        self.under_way.load(Ordering::Acquire)
    }

    /// Whether it lives nowhere until somebody needs it.
    pub fn is_parked(&self) -> bool {
        self.parked.load(Ordering::Acquire)
    }

    /// When it last came to a new home.
    pub fn moved(&self) -> Option<Instant> {
        self.course.lock().moved()
    }

    /// Begins a move of an idle session to `wish`, or to wherever the policy says. `false`: not now.
    pub fn begin_move(self: &Arc<Self>, cause: Cause, wish: Option<Arc<Member>>, now: Instant) -> bool {
        self.hurried.store(0, Ordering::Release);
        !self.is_busy() && self.relocate(|course| course.begin(cause, wish, now))
    }

    /// Why it is on its way.
    pub fn cause(&self) -> Option<Cause> {
        self.course.lock().cause()
    }

    /// Nobody can have it any more.
    pub fn is_lost(&self) -> bool {
        self.course.lock().is_lost()
    }

    /// Nobody was attached any more when it was opened last.
    pub fn was_cut_off(&self) -> bool {
        self.course.lock().was_cut_off()
    }

    /// What a client has to do for it now.
    pub fn step(self: &Arc<Self>, client: u32) -> Step {
        self.course.lock().step(client)
    }

    /// Changes the course, and tells the clients if they have to look at it.
    pub fn relocate<R>(self: &Arc<Self>, change: impl FnOnce(&mut Relocation) -> R) -> R {
        let mut course = self.course.lock();
        let (was, result) = (course.is_under_way(), change(&mut course));
        self.after_change(&course, was);
        result
    }

    fn after_change(self: &Arc<Self>, course: &Relocation, was: bool) {
        let is = course.is_under_way();
        self.under_way.store(is, Ordering::Release);
        self.parked.store(course.is_parked(), Ordering::Release);
        if !course.is_sought() {
            self.seeker.store(0, Ordering::Release);
        }
        if was || is {
            course.bells().for_each(|bell| bell.ring(self));
        }
    }

    /// Whether a client of ours has it open at its home.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// A client of ours has opened it, or none has it any more.
    pub fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Release);
    }

    /// Whether `client` is the one that looks for a place where it can be opened: two of them would look at two places, and keep
    /// or wait for a seat at both.
    pub fn is_sought_by(&self, client: u32) -> bool {
        let seeker = self.seeker.compare_exchange(0, client, Ordering::AcqRel, Ordering::Acquire);
        seeker.is_ok() || seeker == Err(client)
    }

    /// `client` does not find one now: another one may look.
    pub fn is_not_sought_by(&self, client: u32) {
        let _ = self.seeker.compare_exchange(client, 0, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The link of `client` to its home is gone, or it ended there by itself.
    pub fn cut_off(self: &Arc<Self>, client: u32, now: Instant) {
        self.resign(client);
        self.relocate(|course| course.lost(client, now));
    }

    /// Others tell of its turn from now on.
    pub(super) fn resign(self: &Arc<Self>, client: u32) {
        let busy = self.is_busy();
        self.teller.resign(client, busy);
        if busy {
            self.ring();
        }
    }

    /// Whether `client` has to find out if its turn runs, because another one is gone.
    pub fn succeeds(&self, client: u32) -> bool {
        self.teller.succeed(client) && self.is_busy()
    }

    /// Its turn is to end, because its home is being drained and the time is over. `cut`: even without its home's help.
    pub fn hurry(self: &Arc<Self>, cut: bool) {
        self.hurried.fetch_max(if cut { 2 } else { 1 }, Ordering::AcqRel);
        self.ring();
    }

    /// Whether its turn is to end: 1 by an abort, 2 at once.
    pub fn hurried(&self) -> u8 {
        self.hurried.load(Ordering::Acquire)
    }

    /// `client` opens it at `at`, if nobody else does (`false`), and if there is a seat. First the right to it, then the seat:
    /// somebody else who looks for a place must not take the seat elsewhere meanwhile.
    pub fn open_at(self: &Arc<Self>, client: u32, at: &Arc<Member>, now: Instant) -> Result<bool, Full> {
        if !self.course.lock().opening(client, at) {
            return Ok(false);
        }
        let seated = self.room.take(self, at, now);
        if seated.is_err() {
            self.course.lock().not_opening(client);
        }
        seated.map(|()| true)
    }

    /// It lives at the backend where `client` opened it; counted there from now on.
    pub fn arrived(self: &Arc<Self>, client: u32, now: Instant) -> bool {
        let arrived = self.relocate(|course| course.opened(client, now));
        if arrived {
            self.set_open(true);
            self.room.take_anyway(self, &self.home());
        }
        arrived
    }

    /// It is closed at its old home.
    pub fn closed(self: &Arc<Self>, client: u32) {
        self.relocate(|course| course.closed(client));
        self.set_open(false);
        drop(self.sit(None));
        if self.is_parked() {
            self.leases.leave(self, true);
        }
    }

    /// Whose it is, where tenants are apart: that of its first client.
    pub fn bearer(&self) -> Option<&Bearer> {
        self.bearer.as_deref()
    }

    /// The name of it.
    pub fn tenant(&self) -> Option<Arc<str>> {
        self.bearer.as_ref().map(|bearer| bearer.tenant.clone())
    }

    /// A client does something with it. `false`: it must not, for the hold on it is over, or not confirmed.
    #[inline]
    pub fn touch(&self, now: Instant) -> bool {
        let stamp = self.room.stamp(now);
        self.used.store(stamp, Ordering::Relaxed);
        // While the store is known to be away, nobody else can get a hold there either.
        self.lease.is_good(stamp) || self.leases.is_away()
    }

    /// What it is to several proxies.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Who asks for it.
    pub fn leases(&self) -> &Arc<Leases> {
        &self.leases
    }

    /// A moment as this session remembers it.
    pub fn stamp(&self, now: Instant) -> u64 {
        self.room.stamp(now)
    }

    /// When that was last, as the room stamps moments.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// It would not make way: something of it is under way.
    pub fn refuses(&self, now: Instant) {
        self.refused.store(self.room.stamp(now).max(1), Ordering::Relaxed);
    }

    /// When that was last, if ever.
    pub fn refused(&self) -> Option<u64> {
        Some(self.refused.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// Idle, at home, and with somebody who will wake it.
    pub fn may_make_way(&self) -> bool {
        !self.is_busy() && !self.is_under_way() && !self.is_kept() && self.clients() > 0
    }

    /// Whether it has a seat.
    pub fn is_seated(&self) -> bool {
        self.seat.lock().is_some()
    }

    /// Whether it is there.
    pub fn is_seated_at(&self, member: &Arc<Member>) -> bool {
        self.seat.lock().as_ref().is_some_and(|seat| Arc::ptr_eq(seat.member(), member))
    }

    /// Takes another seat, or none. Gives back the one that it had.
    #[must_use]
    pub fn sit(&self, seat: Option<Seat>) -> Option<Seat> {
        std::mem::replace(&mut *self.seat.lock(), seat)
    }

    /// Takes a seat elsewhere. Where it had one it was lost, or could not be opened: that backend needs a moment to notice.
    pub(super) fn change_seat(&self, seat: Seat, now: Instant) {
        let old = self.seat.lock().replace(seat);
        if let Some(old) = old {
            old.fade(now);
        }
    }

    /// It lives nowhere, as its links were lost or it could not be opened.
    pub fn lie_down(&self, now: Instant) {
        self.stand_up(true, now);
    }

    /// The same, because its last client is gone. `faded`: the backend needs a moment to notice.
    pub(super) fn stand_up(&self, faded: bool, now: Instant) {
        let old = self.seat.lock().take();
        if let Some(seat) = old.filter(|_| faded) {
            seat.fade(now);
        }
        self.room.leave_line(self);
    }

    /// Client number `client`, which is lost itself, keeps it and what it tells. `false`: somebody else does.
    pub fn keep(&self, client: u32) -> bool {
        let mut backlog = self.backlog.lock();
        let mine = backlog.get_or_insert_with(|| Box::new(Backlog::new(client))).keeper() == client;
        self.kept.store(true, Ordering::Release);
        mine
    }

    /// Whether a lost client keeps it.
    pub fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire)
    }

    /// What it told while its client was lost.
    pub fn backlog<R>(&self, look: impl FnOnce(&mut Backlog) -> R) -> Option<R> {
        self.backlog.lock().as_deref_mut().map(look)
    }

    /// The lost client has let go of it.
    pub fn unkeep(self: &Arc<Self>, client: u32) {
        let mut backlog = self.backlog.lock();
        if backlog.as_ref().is_some_and(|backlog| backlog.keeper() == client) {
            *backlog = None;
            self.kept.store(false, Ordering::Release);
            drop(backlog);
            self.ring();
        }
    }

    /// Rings for every client that is attached.
    pub fn ring(self: &Arc<Self>) {
        self.course.lock().bells().for_each(|bell| bell.ring(self));
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
            turn.1 = Some(Box::new((self.home().hold_turn(), hold)));
        }
    }

    /// An event came over the link of client number `client`. Gives back the time to the first delta, and the turn's end.
    pub fn event(&self, client: u32, kind: EventKind, now: Instant) -> (Option<Duration>, Option<Ended>) {
        if !self.teller.is(client) {
            return (None, None);
        }
        let mut turn = self.turn.lock();
        match kind {
            EventKind::Started if turn.0.begin(now) => turn.1 = Some(Box::new((self.home().hold_turn(), None))),
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
