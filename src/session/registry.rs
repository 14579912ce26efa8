//! The pins: which session lives on which backend. Asked at create and resume and when a client first names a session;
//! every later message of that client is found in the client's own table.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use ahash::{AHashMap, RandomState};
use parking_lot::Mutex;

use super::{Attachment, Bell, Leases, Live, Room, RoomSettings, departed::Departures, room::Full};
use crate::pool::Member;

/// Enough that two clients seldom meet at one lock.
const SHARDS: usize = 64;

/// Sessions by id.
pub(super) type Shard = AHashMap<Arc<str>, Arc<Live>>;

/// All live sessions of one pool.
#[derive(Debug)]
pub struct Registry {
    pub(super) shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    pub(super) linger: Duration,
    room: Arc<Room>,
    leases: Arc<Leases>,
    /// The clients, with sessions or without.
    clients: Mutex<Vec<Weak<Bell>>>,
    /// Sessions that end with their clients.
    pub(super) departures: Departures,
}

/// What a claim gave.
#[derive(Debug)]
pub struct Claim {
    /// The hold on the session.
    pub attachment: Attachment,
    /// The session was not known to live anywhere: this claim placed it.
    pub fresh: bool,
    /// There is no seat for it at its home; it stands in line.
    pub full: Option<Full>,
}

/// Sessions of one backend by state, for metrics and status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Live without a turn.
    pub idle: i64,
    /// Live with a turn.
    pub busy: i64,
    /// On their way to another home.
    pub moving: i64,
    /// Nowhere: kept by us, to be opened when somebody needs them.
    pub parked: i64,
}

impl std::ops::AddAssign for Census {
    fn add_assign(&mut self, other: Self) {
        self.idle += other.idle;
        self.busy += other.busy;
        self.moving += other.moving;
        self.parked += other.parked;
    }
}

impl Registry {
    /// An empty registry. A pin outlives its last client by `linger` (unless the session was closed in good order), so
    /// that a client that comes back at once meets the old home, which may not have let go of the session yet.
    pub fn new(linger: Duration) -> Self {
        Self::with_room(linger, Room::new(RoomSettings::default()), Leases::alone())
    }

    /// The same, with room for so many live sessions, and a store.
    pub fn with_room(linger: Duration, room: Arc<Room>, leases: Arc<Leases>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self {
            shards,
            hasher: RandomState::new(),
            linger,
            room,
            leases,
            clients: Mutex::default(),
            departures: Departures::default(),
        }
    }

    /// The seats of its live sessions.
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// A client is there, and wants to hear when something concerns all clients.
    pub fn enter(&self, bell: &Arc<Bell>) {
        self.clients.lock().push(Arc::downgrade(bell));
    }

    /// Whether any client is there, with sessions or without.
    pub fn has_clients(&self) -> bool {
        self.clients.lock().iter().any(|bell| bell.strong_count() > 0)
    }

    /// Something concerns all clients: each looks around.
    pub fn rouse_clients(&self) {
        self.clients.lock().iter().filter_map(Weak::upgrade).for_each(|bell| bell.rouse());
    }

    /// Where `id` lives, if that is known.
    pub fn find(&self, id: &str, now: Instant) -> Option<Arc<Live>> {
        let shard = self.shard(id).lock();
        shard.get(id).filter(|live| self.holds(live, now)).cloned()
    }

    /// Attaches `client` to `id` at its home, or places it with `place` if it lives nowhere. Two clients that
    /// come at the same time get the same home. `None` if `place` finds none, or it is being deleted.
    pub fn claim(
        self: &Arc<Self>,
        id: &str,
        client: &Arc<Bell>,
        now: Instant,
        place: impl FnOnce() -> Option<Arc<Member>>,
    ) -> Option<Claim> {
        let mut shard = self.shard(id).lock();
        if self.departures.is_condemned(id) {
            return None;
        }
        if let Some(live) = shard.get(id).filter(|live| self.holds(live, now)) {
            if self.departures.returned(id) {
                live.set_ephemeral(true);
            }
            let attachment = Attachment::new(live.clone(), self.clone(), client);
            let full = self.seat(attachment.live(), now).err();
            return Some(Claim { attachment, fresh: false, full });
        }
        let live = Arc::new(Live::new(id, place()?, client.bearer().cloned(), self, now));
        live.set_ephemeral(self.departures.returned(id));
        shard.insert(live.id.clone(), live.clone());
        let attachment = Attachment::new(live, self.clone(), client);
        // At once: the next one is placed by the counts.
        let full = self.seat(attachment.live(), now).err();
        Some(Claim { attachment, fresh: true, full })
    }

    /// What several proxies agree on.
    pub fn leases(&self) -> &Arc<Leases> {
        &self.leases
    }

    /// Seats a session at its home, unless it is on its way.
    pub fn seat(&self, live: &Arc<Live>, now: Instant) -> Result<(), Full> {
        if live.is_under_way() { Ok(()) } else { self.room.take(live, &live.home(), now) }
    }

    /// Drops pins that nobody holds any more, a part of them at each step: let others have their turn in between. To be done
    /// every few seconds.
    pub fn sweep(&self, now: Instant) -> impl Iterator<Item = ()> {
        self.clients.lock().retain(|bell| bell.strong_count() > 0);
        self.shards.iter().map(move |shard| shard.lock().retain(|_, live| self.holds(live, now)))
    }

    /// Counts the sessions of each backend.
    pub fn census(&self) -> AHashMap<Arc<str>, Census> {
        let mut all: AHashMap<Arc<str>, Census> = AHashMap::new();
        for shard in &self.shards {
            for live in shard.lock().values().filter(|live| live.clients() > 0) {
                let census = all.entry(live.home().name.clone()).or_default();
                match live.is_under_way() {
                    true if live.is_parked() => census.parked += 1,
                    true => census.moving += 1,
                    false if live.is_busy() => census.busy += 1,
                    false => census.idle += 1,
                }
            }
        }
        all
    }

    /// The sessions that live at `home` and have a client.
    pub fn living_at(&self, home: &Member) -> Vec<Arc<Live>> {
        self.all(|live| live.clients() > 0 && *live.home().name == *home.name)
    }

    /// The sessions for which `wanted` holds.
    pub fn all(&self, wanted: impl Fn(&Live) -> bool) -> Vec<Arc<Live>> {
        let of = |shard: &Mutex<Shard>| shard.lock().values().filter(|live| wanted(live)).cloned().collect::<Vec<_>>();
        self.shards.iter().flat_map(of).collect()
    }

    /// A pin holds while a client is attached, and for the linger after the last one if its home is still there.
    pub(super) fn holds(&self, live: &Live, now: Instant) -> bool {
        if live.closed.load(Ordering::Acquire) {
            return false;
        }
        if live.clients() > 0 {
            return true;
        }
        let lingers = live.released.lock().is_some_and(|at| now.saturating_duration_since(at) < self.linger);
        lingers && live.home().verdict() != crate::pool::Verdict::Down
    }

    /// Takes one client off. Whether it was the last is only known under the lock: two that let go at once each saw the other.
    pub(super) fn release(&self, live: &Live, in_order: bool, fades: bool) {
        let mut shard = self.shard(live.id()).lock();
        if live.attached.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let now = Instant::now();
        live.stand_up(fades && !live.gone.load(Ordering::Acquire), now);
        live.set_open(false);
        self.leases.let_go(live);
        self.leases.leave(live, in_order);
        *live.charge.lock() = None;
        *live.released.lock() = Some(now);
        self.departures.left(live, now);
        if in_order {
            live.closed.store(true, Ordering::Release);
        }
        if live.closed.load(Ordering::Acquire) {
            remove(&mut shard, live);
        }
    }

    /// Drops a pin that only lingers.
    pub fn forget_unheld(&self, live: &Live) {
        let mut shard = self.shard(live.id()).lock();
        if live.clients() == 0 {
            remove(&mut shard, live);
        }
    }

    pub(super) fn forget(&self, live: &Live) {
        remove(&mut self.shard(live.id()).lock(), live);
    }

    pub(super) fn shard(&self, id: &str) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }
}

impl Live {
    /// The session's id, to be kept.
    pub fn shared_id(&self) -> &Arc<str> {
        &self.id
    }
}

/// Removes the pin unless the id lives again elsewhere already.
fn remove(shard: &mut Shard, live: &Live) {
    if shard.get(live.id()).is_some_and(|now| std::ptr::eq(&**now, live)) {
        shard.remove(live.id());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pool::Verdict,
        session::{EventKind, TurnEnd},
    };

    fn member(name: &str) -> Arc<Member> {
        let member = Member::new("p".into(), name.into(), 1, Some(([127, 0, 0, 1], 1).into()));
        member.set_verdict(Verdict::Up);
        Arc::new(member)
    }

    fn bell(client: u32) -> Arc<Bell> {
        Arc::new(Bell::new(client))
    }

    fn sessions(member: &Member) -> i64 {
        member.sessions.load(Ordering::Relaxed)
    }

    #[test]
    fn two_clients_meet_at_one_home() {
        let registry = Arc::new(Registry::new(Duration::from_secs(5)));
        let (a, b) = (member("a"), member("b"));
        let now = Instant::now();
        let first = registry.claim("s", &bell(1), now, || Some(a.clone())).unwrap();
        let second = registry.claim("s", &bell(2), now, || Some(b.clone())).unwrap();
        assert!(first.fresh && !second.fresh);
        assert_eq!(&*second.attachment.live().home().name, "a");
        assert_eq!((sessions(&a), sessions(&b)), (1, 0));
        drop(first);
        assert_eq!(sessions(&a), 1, "the second client still holds it");
        second.attachment.detach();
        assert_eq!(sessions(&a), 0);
        assert!(registry.find("s", now).is_none(), "closed in good order: lives nowhere");
    }

    #[test]
    fn a_lost_client_leaves_the_pin_for_a_moment() {
        let registry = Arc::new(Registry::new(Duration::from_secs(5)));
        let a = member("a");
        let now = Instant::now();
        drop(registry.claim("s", &bell(1), now, || Some(a.clone())));
        assert!(registry.find("s", Instant::now()).is_some());
        let later = Instant::now() + Duration::from_secs(6);
        assert!(registry.find("s", later).is_none());
        a.set_verdict(Verdict::Down);
        assert!(registry.find("s", Instant::now()).is_none(), "a dead home holds nothing");
        registry.sweep(later).for_each(drop);
        assert!(registry.census().is_empty());
    }

    #[test]
    fn a_lost_client_that_is_gone_keeps_nothing() {
        let registry = Arc::new(Registry::new(Duration::from_secs(5)));
        let now = Instant::now();
        let lost = registry.claim("s", &bell(1), now, || Some(member("a"))).unwrap();
        let other = registry.claim("s", &bell(2), now, || None).unwrap();
        let live = other.attachment.live();
        assert!(live.keep(1) && !live.keep(2) && live.is_kept());
        drop(lost);
        assert!(!live.is_kept() && live.keep(2));
    }

    #[test]
    fn a_closed_session_is_placed_anew() {
        let registry = Arc::new(Registry::new(Duration::from_secs(5)));
        let (a, b) = (member("a"), member("b"));
        let now = Instant::now();
        let first = registry.claim("s", &bell(1), now, || Some(a.clone())).unwrap();
        let other = registry.claim("s", &bell(2), now, || None).unwrap();
        first.attachment.close();
        let again = registry.claim("s", &bell(3), now, || Some(b.clone())).unwrap();
        assert_eq!(&*again.attachment.live().home().name, "b");
        drop(other);
        assert!(registry.find("s", now).is_some(), "the old hold does not take the new pin with it");
    }

    #[test]
    fn one_link_tells_the_turn() {
        let registry = Arc::new(Registry::new(Duration::ZERO));
        let a = member("a");
        let now = Instant::now();
        let one = registry.claim("s", &bell(1), now, || Some(a.clone())).unwrap().attachment;
        let two = registry.claim("s", &bell(2), now, || None).unwrap().attachment;
        two.live().begin_turn(now);
        assert_eq!(a.turns.load(Ordering::Relaxed), 1);
        assert!(one.live().event(1, EventKind::Delta, now).0.is_some());
        assert_eq!(one.live().event(1, EventKind::Idle, now).1.map(|ended| ended.end), Some(TurnEnd::Idle));
        two.live().event(2, EventKind::Started, now);
        assert!(!two.live().is_busy(), "the slower link repeats what the first told");
        drop(one);
        two.live().event(2, EventKind::Started, now);
        assert!(two.live().is_busy());
        assert_eq!(registry.census().get("a"), Some(&Census { busy: 1, ..Census::default() }));
    }
}
