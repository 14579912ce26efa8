//! What this proxy holds, to know what is lost when the store is, and who may ask first then.

use std::collections::{HashMap, HashSet};

use crate::store::Key;

/// What this proxy holds.
#[derive(Debug, Default)]
pub(super) struct Holds {
    pins: HashMap<Key, u64>,
    locks: HashMap<Key, u64>,
    /// Pins that were held when the store was lost.
    former: HashSet<Key>,
}

impl Holds {
    pub fn pinned(&mut self, key: &Key, token: u64) {
        self.pins.insert(key.clone(), token);
        self.former.remove(key);
    }

    /// Whether it was held.
    pub fn unpinned(&mut self, key: &Key, token: u64) -> bool {
        remove(&mut self.pins, key, token)
    }

    pub fn locked(&mut self, key: &Key, token: u64) {
        self.locks.insert(key.clone(), token);
    }

    /// Whether it was held.
    pub fn unlocked(&mut self, key: &Key, token: u64) -> bool {
        remove(&mut self.locks, key, token)
    }

    /// All are lost; gives how many.
    pub fn lose(&mut self) -> usize {
        let lost = self.pins.len() + self.locks.len();
        self.former = self.pins.drain().map(|(key, _)| key).collect();
        self.locks.clear();
        lost
    }

    /// Whether it was held when the store was lost.
    pub fn was_pinned(&self, key: &Key) -> bool {
        self.former.contains(key)
    }

    /// Everybody had the time to ask.
    pub fn forget_former(&mut self) {
        self.former = HashSet::new();
    }
}

fn remove(holds: &mut HashMap<Key, u64>, key: &Key, token: u64) -> bool {
    let ours = holds.get(key) == Some(&token);
    if ours {
        holds.remove(key);
    }
    ours
}
