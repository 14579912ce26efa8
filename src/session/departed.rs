//! Sessions that end with their clients: marked while they live, remembered when the last client has gone, until somebody comes
//! back or their time is over. And the ids that nobody may claim, because they are being deleted.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use ahash::{AHashMap, AHashSet};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Live, Registry, registry::Shard};
use crate::pool::Member;

/// How long a session outlives its last client, if nothing else is set.
const LINGER: Duration = Duration::from_secs(60);

/// A session whose clients have gone.
#[derive(Clone, Debug)]
pub struct Departed {
    /// Its id.
    pub id: Box<str>,
    /// Where it lived last.
    pub home: Arc<Member>,
    /// How often it could not be deleted.
    pub failures: u32,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Departures {
    table: Mutex<Table>,
    arrived: Notify,
}

#[derive(Debug)]
struct Table {
    linger: Duration,
    queue: BTreeMap<(Instant, u64), Departed>,
    places: AHashMap<Box<str>, (Instant, u64)>,
    condemned: AHashSet<Box<str>>,
    numbers: u64,
}

impl Default for Departures {
    fn default() -> Self {
        let table = Table {
            linger: LINGER,
            queue: BTreeMap::new(),
            places: AHashMap::new(),
            condemned: AHashSet::new(),
            numbers: 0,
        };
        Self { table: Mutex::new(table), arrived: Notify::new() }
    }
}

impl Departures {
    fn add(&self, departed: Departed, due: Instant) {
        self.table.lock().add(departed, due);
        self.arrived.notify_one();
    }

    /// The last client of `live` has gone.
    pub(super) fn left(&self, live: &Live, now: Instant) {
        if live.is_ephemeral() {
            let due = now + self.table.lock().linger;
            self.add(Departed { id: live.id().into(), home: live.home(), failures: 0 }, due);
        }
    }

    /// Somebody has claimed `id`. Whether it had been on its way out.
    pub(super) fn returned(&self, id: &str) -> bool {
        self.table.lock().remove(id).is_some()
    }

    /// Whether `id` is being deleted.
    pub(super) fn is_condemned(&self, id: &str) -> bool {
        self.table.lock().condemned.contains(id)
    }
}

impl Table {
    fn add(&mut self, departed: Departed, due: Instant) {
        self.remove(&departed.id);
        self.numbers += 1;
        let place = (due, self.numbers);
        self.places.insert(departed.id.clone(), place);
        self.queue.insert(place, departed);
    }

    fn remove(&mut self, id: &str) -> Option<Departed> {
        self.places.remove(id).and_then(|place| self.queue.remove(&place))
    }
}

impl Live {
    /// It ends with its clients.
    pub fn is_ephemeral(&self) -> bool {
        self.ephemeral.load(Ordering::Acquire)
    }

    /// Says whether it does.
    pub fn set_ephemeral(&self, ephemeral: bool) {
        self.ephemeral.store(ephemeral, Ordering::Release);
    }
}

impl Registry {
    /// Sessions that end with their clients outlive them by `linger`.
    pub fn set_departure_linger(&self, linger: Duration) {
        self.departures.table.lock().linger = linger;
    }

    /// How long sessions outlive their last client.
    pub fn departure_linger(&self) -> Duration {
        self.departures.table.lock().linger
    }

    /// How many wait for their end.
    pub fn departed(&self) -> usize {
        self.departures.table.lock().queue.len()
    }

    /// Waits until one is due, and gives it back. May be dropped at any time.
    pub async fn next_departed(&self) -> Departed {
        loop {
            let next = self.departures.table.lock().queue.first_key_value().map(|((due, _), _)| *due);
            let arrived = self.departures.arrived.notified();
            match next {
                Some(due) if due <= Instant::now() => {
                    if let Some(departed) = self.take_departed(Instant::now()) {
                        return departed;
                    }
                }
                Some(due) => {
                    let _ = tokio::time::timeout_at(due.into(), arrived).await;
                }
                None => arrived.await,
            }
        }
    }

    /// One that is due.
    fn take_departed(&self, now: Instant) -> Option<Departed> {
        let mut table = self.departures.table.lock();
        let entry = table.queue.first_entry().filter(|entry| entry.key().0 <= now)?;
        let departed = entry.remove();
        table.places.remove(&departed.id);
        Some(departed)
    }

    /// It could not be deleted, or another process left it to us: looked at again at `due`, unless somebody claims it before.
    pub fn expect_departure(&self, departed: Departed, due: Instant) {
        let shard = self.shard(&departed.id).lock();
        match shard.get(&*departed.id).filter(|live| live.clients() > 0) {
            Some(live) => live.set_ephemeral(true),
            None => self.departures.add(departed, due),
        }
    }

    /// Every session here that ends with its clients, gone ones too, with the name of its home.
    pub fn ephemerals(&self) -> Vec<(Box<str>, Arc<str>)> {
        let lives = self.all(|live| live.clients() > 0 && live.is_ephemeral());
        let mut all: Vec<_> = lives.iter().map(|live| (Box::from(live.id()), live.home().name.clone())).collect();
        let table = self.departures.table.lock();
        all.extend(table.queue.values().map(|departed| (departed.id.clone(), departed.home.name.clone())));
        all
    }

    /// Keeps everybody from claiming `id` while it is deleted. `None`: somebody has it, or it is being deleted already.
    pub fn condemn(self: &Arc<Self>, id: &str, now: Instant) -> Option<Condemned> {
        let shard = self.shard(id).lock();
        if self.is_had(&shard, id, now) || !self.departures.table.lock().condemned.insert(id.into()) {
            return None;
        }
        Some(Condemned { registry: self.clone(), id: id.into() })
    }

    /// Whether it is being deleted at this moment.
    pub fn is_condemned(&self, id: &str) -> bool {
        self.departures.is_condemned(id)
    }

    fn is_had(&self, shard: &Shard, id: &str, now: Instant) -> bool {
        shard.get(id).is_some_and(|live| self.holds(live, now))
    }
}

/// An id that nobody may claim, for as long as this is there.
#[derive(Debug)]
pub struct Condemned {
    registry: Arc<Registry>,
    id: Box<str>,
}

impl Condemned {
    /// It is deleted.
    pub fn deleted(self) {
        self.registry.departures.table.lock().remove(&self.id);
    }
}

impl Drop for Condemned {
    fn drop(&mut self) {
        self.registry.departures.table.lock().condemned.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pool::Verdict,
        session::{Attachment, Bell},
    };

    const MINUTE: Duration = Duration::from_secs(60);

    fn member() -> Arc<Member> {
        let member = Member::new("p".into(), "a".into(), 1, Some(([127, 0, 0, 1], 1).into()));
        member.set_verdict(Verdict::Up);
        Arc::new(member)
    }

    fn registry() -> Arc<Registry> {
        Arc::new(Registry::new(Duration::ZERO))
    }

    fn claim(registry: &Arc<Registry>, id: &str, client: u32) -> Option<Attachment> {
        let bell = Arc::new(Bell::new(client));
        registry.claim(id, &bell, Instant::now(), || Some(member())).map(|claim| claim.attachment)
    }

    #[test]
    fn a_session_departs_with_its_last_client_and_comes_back_as_it_was() {
        let registry = registry();
        let (one, two) = (claim(&registry, "s", 1).unwrap(), claim(&registry, "s", 2).unwrap());
        one.live().set_ephemeral(true);
        one.detach();
        assert_eq!(registry.departed(), 0);
        two.detach();
        assert_eq!(registry.departed(), 1);
        assert!(registry.take_departed(Instant::now()).is_none());
        let back = claim(&registry, "s", 3).unwrap();
        assert!(registry.departed() == 0 && back.live().is_ephemeral());
        drop(back);
        let due = registry.take_departed(Instant::now() + MINUTE).unwrap();
        assert_eq!((&*due.id, &*due.home.name), ("s", "a"));
        assert!(registry.take_departed(Instant::now() + MINUTE).is_none());
        claim(&registry, "other", 1).unwrap().detach();
        assert_eq!(registry.departed(), 0);
    }

    #[test]
    fn nobody_claims_what_is_being_deleted() {
        let registry = registry();
        let held = claim(&registry, "s", 1).unwrap();
        assert!(registry.condemn("s", Instant::now()).is_none(), "somebody has it");
        held.detach();
        let condemned = registry.condemn("s", Instant::now()).unwrap();
        assert!(claim(&registry, "s", 1).is_none() && registry.is_condemned("s"));
        assert!(registry.condemn("s", Instant::now()).is_none());
        drop(condemned);
        assert!(claim(&registry, "s", 1).is_some());
    }

    #[test]
    fn what_another_process_left_is_ours_from_then_on() {
        let registry = registry();
        let held = claim(&registry, "held", 1).unwrap();
        for id in ["held", "gone"] {
            let departed = Departed { id: id.into(), home: member(), failures: 0 };
            registry.expect_departure(departed, Instant::now() + MINUTE);
        }
        assert!(held.live().is_ephemeral());
        assert_eq!(registry.departed(), 1);
        let mut all = registry.ephemerals();
        all.sort();
        assert_eq!(all, [("gone".into(), "a".into()), ("held".into(), "a".into())]);
    }

    #[tokio::test]
    async fn the_next_one_is_waited_for() {
        let registry = registry();
        registry.set_departure_linger(Duration::from_millis(20));
        let waiting = tokio::spawn({
            let registry = registry.clone();
            async move { registry.next_departed().await.id }
        });
        tokio::task::yield_now().await;
        let held = claim(&registry, "s", 1).unwrap();
        held.live().set_ephemeral(true);
        drop(held);
        assert_eq!(&*waiting.await.unwrap(), "s");
    }
}
