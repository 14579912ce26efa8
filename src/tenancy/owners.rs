//! Ids that were recorded: whose sessions they are that do not say it themselves.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use ahash::{AHashMap, AHasher};
use parking_lot::Mutex;

/// Enough that the records of one are copied in a millisecond or two.
const SHARDS: usize = 256;
const MOST: usize = 1_000_000;

/// Whose a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The tenant.
    pub tenant: Arc<str>,
    /// The user, where the users of the tenant are apart.
    pub user: Option<Arc<str>>,
}

/// The same, borrowed from an id or a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerRef<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The user, where the users of the tenant are apart.
    pub user: Option<&'a str>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is new.
    New,
    /// The same owner had it already.
    Same,
    /// It is somebody else's.
    Taken,
    /// There is no room, for anybody or for this tenant.
    Full,
}

type Shard = Mutex<AHashMap<Box<str>, Owner>>;

/// The records of one pool.
#[derive(Debug)]
pub struct Owners {
    shards: Box<[Shard]>,
    room: Mutex<Room>,
}

/// Taken while a shard's lock is held and never the other way round.
#[derive(Debug)]
struct Room {
    most: usize,
    total: usize,
    by_tenant: AHashMap<Arc<str>, usize>,
}

impl Default for Owners {
    fn default() -> Self {
        Self::new()
    }
}

impl Owners {
    /// No records yet, and room for a million.
    pub fn new() -> Self {
        Self::with_room(MOST)
    }

    /// Room for `most` records. One tenant gets half of it at most, so that it cannot keep the others from making sessions.
    pub fn with_room(most: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            room: Mutex::new(Room { most, total: 0, by_tenant: AHashMap::new() }),
        }
    }

    /// Whose `id` is.
    pub fn find(&self, id: &str) -> Option<Owner> {
        self.shard(id).lock().get(id).cloned()
    }

    /// Records `id` unless somebody has it: of several who try at once exactly one succeeds.
    pub fn record(&self, id: &str, owner: Owner) -> Recorded {
        let mut shard = self.shard(id).lock();
        match shard.get(id) {
            Some(known) if *known == owner => Recorded::Same,
            Some(_) => Recorded::Taken,
            None if self.room.lock().take(&owner.tenant) => {
                shard.insert(id.into(), owner);
                Recorded::New
            }
            None => Recorded::Full,
        }
    }

    /// Nobody owns `id` any more.
    pub fn forget(&self, id: &str) {
        let mut shard = self.shard(id).lock();
        if let Some(owner) = shard.remove(id) {
            self.room.lock().give_back(&owner.tenant);
        }
    }

    /// All records, a part of them at each step: let others have their turn in between.
    pub fn parts(&self) -> impl Iterator<Item = Vec<(Box<str>, Owner)>> {
        let part = |shard: &Shard| shard.lock().iter().map(|(id, owner)| (id.clone(), owner.clone())).collect();
        self.shards.iter().map(part)
    }

    /// All records at once.
    pub fn all(&self) -> Vec<(Box<str>, Owner)> {
        self.parts().flatten().collect()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.room.lock().total
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, id: &str) -> &Shard {
        let mut hasher = AHasher::default();
        id.hash(&mut hasher);
        // The map inside uses the other end of its hash.
        &self.shards[(hasher.finish() >> 32) as usize % SHARDS]
    }
}

impl Room {
    fn take(&mut self, tenant: &Arc<str>) -> bool {
        let used = self.by_tenant.get(tenant).copied().unwrap_or(0);
        if self.total >= self.most || used >= self.most.div_ceil(2) {
            return false;
        }
        self.total += 1;
        self.by_tenant.insert(tenant.clone(), used + 1);
        true
    }

    fn give_back(&mut self, tenant: &Arc<str>) {
        self.total = self.total.saturating_sub(1);
        if let Some(used) = self.by_tenant.get_mut(tenant) {
            *used = used.saturating_sub(1);
            if *used == 0 {
                self.by_tenant.remove(tenant);
            }
        }
    }
}

impl Owner {
    /// The same, borrowed.
    pub fn borrowed(&self) -> OwnerRef<'_> {
        OwnerRef { tenant: &self.tenant, user: self.user.as_deref() }
    }
}

#[cfg(test)]
mod tests;
