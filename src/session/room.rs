//! Room for live sessions: how many may live at one backend, in the pool, and of one tenant. A session gets its seat before it
//! is opened at a backend and gives it back when it is closed there. Who finds no seat stands in line; where idle sessions make
//! way, the one that was not used for longest does, and only one of the same tenant.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ahash::AHashMap;
use parking_lot::Mutex;

use super::{Live, relocation::Cause};
use crate::pool::{Member, SessionSlot};

/// A lost client's session lives on for as long as its backend needs to notice (16 ms measured on the runtime 1.0.102).
const FADES: Duration = Duration::from_millis(250);

/// A session that something kept from making way is not asked again for so long.
const REST_MS: u64 = 500;

/// Who stands in line asks many times a second. One that has not asked for so long has left.
const LEFT: Duration = Duration::from_secs(3);

/// What happens where there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evict {
    /// The idle session that was not used for longest makes way; if there is none, one waits for it.
    #[default]
    OldestIdle,
    /// The session is refused.
    Reject,
    /// It waits.
    Queue,
}

/// What can be set.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoomSettings {
    /// Live sessions on one backend; `None`: no limit.
    pub backend: Option<usize>,
    /// Live sessions in the pool.
    pub pool: Option<usize>,
    /// What happens at a limit.
    pub evict: Evict,
}

/// Who a session belongs to, as far as room goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The tenant's name.
    pub tenant: Arc<str>,
    /// How many sessions of it may be live.
    pub limit: Option<usize>,
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The backend's.
    Backend(usize),
    /// The pool's.
    Pool(usize),
    /// The tenant's own.
    Tenant(usize),
}

/// There is no seat now.
#[derive(Clone, Debug)]
pub struct Full {
    /// Which limit it is.
    pub limit: Limit,
    /// How many stand before it in line.
    pub ahead: usize,
    /// A session that may make way, if one is still needed.
    pub victim: Option<Arc<Live>>,
}

/// The seats of one pool.
#[derive(Debug)]
pub struct Room {
    settings: RoomSettings,
    epoch: Instant,
    state: Mutex<State>,
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    seated: AHashMap<u64, Seated>,
    /// How many seats are taken at each backend, and by each tenant, those that fade included.
    at: AHashMap<Arc<str>, usize>,
    of: AHashMap<Option<Arc<str>>, usize>,
    fading: Vec<(Instant, Arc<Member>, Option<Arc<str>>)>,
    line: Vec<Waiting>,
    serial: u64,
}

#[derive(Debug)]
struct Seated {
    at: Arc<Member>,
    tenant: Option<Arc<str>>,
    live: Weak<Live>,
}

#[derive(Debug)]
struct Waiting {
    live: Weak<Live>,
    at: Arc<Member>,
    /// When it last asked.
    asked: Instant,
}

/// A session's place at a backend.
#[derive(Debug)]
pub struct Seat {
    room: Arc<Room>,
    serial: u64,
    slot: SessionSlot,
}

impl Room {
    /// An empty one.
    pub fn new(settings: RoomSettings) -> Arc<Self> {
        let (state, waiting) = (Mutex::default(), AtomicUsize::new(0));
        Arc::new(Self { settings, epoch: Instant::now(), state, waiting })
    }

    /// What was set.
    pub fn settings(&self) -> &RoomSettings {
        &self.settings
    }

    /// A moment as sessions remember it: milliseconds since this was made.
    #[inline]
    pub fn stamp(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_millis() as u64
    }

    /// How many stand in line.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Seats a session at `at`, where it will be opened, unless it sits there. One that finds no seat stands in line from now on.
    pub fn take(self: &Arc<Self>, live: &Arc<Live>, at: &Arc<Member>, now: Instant) -> Result<(), Full> {
        if live.is_seated_at(at) {
            // It may have asked for a seat elsewhere meanwhile: nobody may stand behind it there.
            self.leave_line(live);
            return Ok(());
        }
        let mut state = self.state.lock();
        state.refresh(now);
        match state.full(self, live, at) {
            None => {
                let seat = self.seat(&mut state, live, at);
                self.waiting.store(state.line.len(), Ordering::Relaxed);
                drop(state);
                // Outside of the lock. Where it sat before it was not closed in order, or it would have stood up.
                live.change_seat(seat, now);
                Ok(())
            }
            Some((limit, ahead)) => {
                state.line_up(live, at, now);
                let victim = state.victim(self, live, at, limit, ahead, self.stamp(now));
                self.waiting.store(state.line.len(), Ordering::Relaxed);
                Err(Full { limit, ahead, victim })
            }
        }
    }

    /// Seats a session that is live there already, whatever the limits.
    pub fn take_anyway(self: &Arc<Self>, live: &Arc<Live>, at: &Arc<Member>) {
        if live.is_seated_at(at) {
            return self.leave_line(live);
        }
        let mut state = self.state.lock();
        let seat = self.seat(&mut state, live, at);
        self.waiting.store(state.line.len(), Ordering::Relaxed);
        drop(state);
        drop(live.sit(Some(seat)));
    }

    /// A session that may make way where there are more than may be: it was let in anyway.
    pub fn surplus(&self, at: &Arc<Member>, live: &Arc<Live>, now: Instant) -> Option<Arc<Live>> {
        let state = self.state.lock();
        let most = self.settings.backend?;
        let leaving = state.leaving(|seated| Arc::ptr_eq(&seated.at, at));
        let over = self.settings.evict == Evict::OldestIdle && state.count_at(at) > most + leaving;
        over.then(|| {
            state.oldest(self.stamp(now), |seated| Arc::ptr_eq(&seated.at, at) && seated.tenant == live.tenant())
        })?
    }

    /// A session does not wait any more.
    pub fn leave_line(&self, live: &Live) {
        let mut state = self.state.lock();
        state.line.retain(|waiting| !std::ptr::eq(waiting.live.as_ptr(), live));
        self.waiting.store(state.line.len(), Ordering::Relaxed);
    }

    /// Every session that is seated.
    pub fn seated(&self) -> Vec<Arc<Live>> {
        self.state.lock().seated.values().filter_map(|seated| seated.live.upgrade()).collect()
    }

    fn seat(self: &Arc<Self>, state: &mut State, live: &Arc<Live>, at: &Arc<Member>) -> Seat {
        state.serial += 1;
        let (serial, tenant) = (state.serial, live.tenant());
        *state.at.entry(at.name.clone()).or_default() += 1;
        *state.of.entry(tenant.clone()).or_default() += 1;
        state.seated.insert(serial, Seated { at: at.clone(), tenant, live: Arc::downgrade(live) });
        state.line.retain(|waiting| !std::ptr::eq(waiting.live.as_ptr(), Arc::as_ptr(live)));
        Seat { room: self.clone(), serial, slot: at.hold_session() }
    }

    fn give_back(&self, serial: u64, fades: Option<Instant>) {
        let next = {
            let mut state = self.state.lock();
            let Some(Seated { at, tenant, .. }) = state.seated.remove(&serial) else { return };
            match fades {
                Some(until) => state.fading.push((until, at.clone(), tenant)),
                None => state.uncount(&at, &tenant),
            }
            state.line.iter().find(|waiting| Arc::ptr_eq(&waiting.at, &at)).and_then(|waiting| waiting.live.upgrade())
        };
        if let Some(next) = next {
            next.ring();
        }
    }
}

impl State {
    fn refresh(&mut self, now: Instant) {
        while let Some(index) = self.fading.iter().position(|(until, ..)| *until <= now) {
            let (_, at, tenant) = self.fading.swap_remove(index);
            self.uncount(&at, &tenant);
        }
        let stays = |waiting: &Waiting| now.saturating_duration_since(waiting.asked) < LEFT;
        self.line.retain(|waiting| stays(waiting) && waiting.live.upgrade().is_some_and(|live| live.clients() > 0));
    }

    fn uncount(&mut self, at: &Member, tenant: &Option<Arc<str>>) {
        less(&mut self.at, &at.name);
        less(&mut self.of, tenant);
    }

    fn count_at(&self, at: &Member) -> usize {
        self.at.get(&at.name).copied().unwrap_or(0)
    }

    fn count_of(&self, tenant: &Option<Arc<str>>) -> usize {
        self.of.get(tenant).copied().unwrap_or(0)
    }

    /// Which limit keeps `live` from a seat, and how many stand before it.
    fn full(&self, room: &Room, live: &Arc<Live>, at: &Arc<Member>) -> Option<(Limit, usize)> {
        let RoomSettings { backend, pool, .. } = room.settings;
        // Where it sits now counts for nothing in the pool and of its tenant: it only changes places.
        let own = usize::from(live.is_seated());
        let mine = std::ptr::from_ref::<Live>(live);
        let before = |wanted: &dyn Fn(&Waiting) -> bool| {
            let line = self.line.iter().take_while(|waiting| !std::ptr::eq(waiting.live.as_ptr(), mine));
            line.filter(|waiting| wanted(waiting)).count()
        };
        let same = |waiting: &Waiting| waiting.live.upgrade().is_some_and(|other| other.tenant() == live.tenant());
        if let Some(most) = live.bearer().and_then(|bearer| bearer.limit) {
            let ahead = before(&same);
            if self.count_of(&live.tenant()) + ahead >= most + own {
                return Some((Limit::Tenant(most), ahead));
            }
        }
        if let Some(most) = pool {
            let ahead = before(&|_| true);
            if self.seated.len() + self.fading.len() + ahead >= most + own {
                return Some((Limit::Pool(most), ahead));
            }
        }
        // Who waits for its own tenant's room keeps nobody else waiting.
        let free = |waiting: &Waiting| Arc::ptr_eq(&waiting.at, at) && !self.is_over_its_own(waiting);
        let (most, ahead) = (backend?, before(&free));
        (self.count_at(at) + ahead >= most).then_some((Limit::Backend(most), ahead))
    }

    fn is_over_its_own(&self, waiting: &Waiting) -> bool {
        waiting.live.upgrade().is_some_and(|live| {
            let limit = live.bearer().and_then(|bearer| bearer.limit);
            limit.is_some_and(|most| self.count_of(&live.tenant()) >= most)
        })
    }

    fn line_up(&mut self, live: &Arc<Live>, at: &Arc<Member>, now: Instant) {
        match self.line.iter_mut().find(|waiting| std::ptr::eq(waiting.live.as_ptr(), Arc::as_ptr(live))) {
            Some(waiting) => (waiting.at, waiting.asked) = (at.clone(), now),
            None => self.line.push(Waiting { live: Arc::downgrade(live), at: at.clone(), asked: now }),
        }
    }

    /// Who makes way: nobody while as many are on their way out as stand in line up to this one.
    fn victim(
        &self,
        room: &Room,
        live: &Arc<Live>,
        at: &Arc<Member>,
        limit: Limit,
        ahead: usize,
        now: u64,
    ) -> Option<Arc<Live>> {
        if room.settings.evict != Evict::OldestIdle {
            return None;
        }
        let here = |seated: &Seated| !matches!(limit, Limit::Backend(_)) || Arc::ptr_eq(&seated.at, at);
        let fits = |seated: &Seated| here(seated) && seated.tenant == live.tenant();
        if self.leaving(here) > ahead {
            return None;
        }
        self.oldest(now, fits)
    }

    fn leaving(&self, of: impl Fn(&Seated) -> bool) -> usize {
        let leaves = |seated: &&Seated| {
            of(seated) && seated.live.upgrade().is_some_and(|live| live.cause().is_some_and(Cause::parks))
        };
        self.seated.values().filter(leaves).count()
    }

    fn oldest(&self, now: u64, fits: impl Fn(&Seated) -> bool) -> Option<Arc<Live>> {
        let rested = |live: &Arc<Live>| live.refused().is_none_or(|at| at + REST_MS <= now);
        let lives = self.seated.values().filter(|seated| fits(seated)).filter_map(|seated| seated.live.upgrade());
        lives.filter(|live| live.may_make_way() && rested(live)).min_by_key(|live| live.used())
    }
}

fn less<K: std::hash::Hash + Eq>(counts: &mut AHashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Seat {
    /// Where.
    pub fn member(&self) -> &Arc<Member> {
        self.slot.member()
    }

    /// Its session's client was lost: the backend needs a moment to notice.
    pub fn fade(mut self, now: Instant) {
        let serial = std::mem::take(&mut self.serial);
        self.room.give_back(serial, Some(now + FADES));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.give_back(self.serial, None);
    }
}

#[cfg(test)]
mod tests;
