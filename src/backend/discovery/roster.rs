//! Who belongs to the pool, by what a source has said so far. Pure: answers and the time go in, changes come out.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Found, Said};
use crate::model::Endpoint;

/// How much a source is believed.
#[derive(Clone, Copy, Debug)]
pub struct RosterSettings {
    /// So long nobody leaves because the source says that there is no backend at all.
    pub keep_empty: Duration,
    /// So long answers have to leave a backend out before it leaves.
    pub removal_delay: Duration,
}

/// A backend as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: Arc<str>,
    /// Where it listens, as far as this is known.
    pub address: Option<Endpoint>,
    /// `host:port` that has to be looked up for that.
    pub host: Option<Arc<str>>,
    /// The name that its certificate should have.
    pub server: Option<Arc<str>>,
    /// Its share of placements.
    pub weight: u32,
    /// Whether the source wants it drained.
    pub drain: bool,
}

/// What has to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Somebody else has its address now: it has none.
    Vacate(Arc<str>),
    /// It is not to be used any more.
    Leave(Arc<str>),
    /// It is there again before it was removed.
    Return(Entry),
    /// It is not as it was.
    Alter(Entry),
    /// It is new.
    Join(Entry),
}

#[derive(Debug)]
struct Record {
    entry: Entry,
    missing: Option<Instant>,
    leaves: bool,
}

/// Who belongs to the pool.
#[derive(Debug)]
pub struct Roster {
    settings: RosterSettings,
    known: BTreeMap<Arc<str>, Record>,
    empty: Option<Instant>,
}

impl Roster {
    /// Nobody yet.
    pub fn new(settings: RosterSettings) -> Self {
        Self { settings, known: BTreeMap::new(), empty: None }
    }

    /// What follows from what was said at `now`. A failure changes nothing, however long it lasts.
    pub fn hear(&mut self, said: &Said, now: Instant) -> Vec<Change> {
        match said {
            Said::Failed(_) => Vec::new(),
            Said::Nothing(_) => {
                let since = *self.empty.get_or_insert(now);
                let believed = now.saturating_duration_since(since) >= self.settings.keep_empty;
                if believed { self.leave(self.staying()) } else { Vec::new() }
            }
            Said::Backends(found) => {
                self.empty = None;
                self.take(found, now)
            }
        }
    }

    /// It is no longer in the pool.
    pub fn removed(&mut self, name: &str) {
        self.known.retain(|known, record| **known != *name || !record.leaves);
    }

    /// Those that belong to the pool.
    pub fn count(&self) -> usize {
        self.known.values().filter(|record| !record.leaves).count()
    }

    /// Those that are on their way out.
    pub fn leaving(&self) -> Vec<Arc<str>> {
        self.known.iter().filter(|(_, record)| record.leaves).map(|(name, _)| name.clone()).collect()
    }

    fn staying(&self) -> Vec<Arc<str>> {
        self.known.iter().filter(|(_, record)| !record.leaves).map(|(name, _)| name.clone()).collect()
    }

    fn leave(&mut self, names: Vec<Arc<str>>) -> Vec<Change> {
        for name in &names {
            if let Some(record) = self.known.get_mut(name) {
                record.leaves = true;
            }
        }
        names.into_iter().map(Change::Leave).collect()
    }

    fn take(&mut self, found: &[Found], now: Instant) -> Vec<Change> {
        let mut entries: BTreeMap<&str, Entry> = BTreeMap::new();
        for found in found {
            entries.entry(&found.name).or_insert_with(|| self.entry(found));
        }
        let taken: HashSet<Endpoint> = entries.values().filter_map(|entry| entry.address.clone()).collect();
        let mut changes = self.missing(&entries, &taken, now);
        let (mut altered, mut joining) = (Vec::new(), Vec::new());
        for entry in entries.into_values() {
            match self.known.get_mut(&entry.name) {
                None => {
                    let record = Record { entry: entry.clone(), missing: None, leaves: false };
                    self.known.insert(entry.name.clone(), record);
                    joining.push(Change::Join(entry));
                }
                Some(record) => {
                    record.missing = None;
                    let back = std::mem::take(&mut record.leaves);
                    if back || record.entry != entry {
                        record.entry = entry.clone();
                        altered.push(if back { Change::Return(entry) } else { Change::Alter(entry) });
                    }
                }
            }
        }
        changes.extend(altered);
        changes.extend(joining);
        changes
    }

    /// The address that it has is kept as long as it is one of those it may have.
    fn entry(&self, found: &Found) -> Entry {
        let before = self.known.get(&found.name).and_then(|record| record.entry.address.clone());
        let address = match before {
            Some(before) if found.addresses.is_empty() || found.addresses.contains(&before) => Some(before),
            _ => found.addresses.first().cloned(),
        };
        let Found { name, host, server, weight, drain, .. } = found.clone();
        Entry { name, address, host, server, weight, drain }
    }

    /// Those that the answer leaves out.
    fn missing(&mut self, entries: &BTreeMap<&str, Entry>, taken: &HashSet<Endpoint>, now: Instant) -> Vec<Change> {
        let (mut vacated, mut leaving) = (Vec::new(), Vec::new());
        for (name, record) in self.known.iter_mut().filter(|(name, _)| !entries.contains_key(&***name)) {
            let since = *record.missing.get_or_insert(now);
            let replaced = record.entry.address.as_ref().is_some_and(|address| taken.contains(address));
            if replaced {
                record.entry.address = None;
                vacated.push(Change::Vacate(name.clone()));
            }
            let due = replaced || now.saturating_duration_since(since) >= self.settings.removal_delay;
            if due && !record.leaves {
                record.leaves = true;
                leaving.push(Change::Leave(name.clone()));
            }
        }
        leaving.extend(vacated);
        leaving
    }
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
