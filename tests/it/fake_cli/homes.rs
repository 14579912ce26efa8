//! What only an onlooker over all fakes of one disk can tell: who has which session live, and who executed what.

use std::collections::BTreeMap;

use super::storage::Storage;

/// Two fakes that had one session live at the same moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    pub session: String,
    /// Who had it, and who took it all the same.
    pub fakes: [String; 2],
}

/// Kept beside the disk, for it has to outlive every fake.
#[derive(Debug, Default)]
pub(super) struct Homes {
    live: BTreeMap<String, Vec<String>>,
    overlaps: Vec<Overlap>,
    already_in_use: usize,
    /// The most sessions that were ever live in each fake at a time.
    peaks: BTreeMap<String, usize>,
    executed: BTreeMap<String, Vec<String>>,
}

impl Homes {
    /// Whether any other fake than `fake` has `session` live.
    pub fn elsewhere(&self, session: &str, fake: &str) -> bool {
        self.live.get(session).is_some_and(|homes| homes.iter().any(|home| home != fake))
    }

    pub fn enter(&mut self, session: &str, fake: &str) {
        let homes = self.live.entry(session.into()).or_default();
        for home in homes.iter().filter(|home| *home != fake) {
            self.overlaps.push(Overlap { session: session.into(), fakes: [home.clone(), fake.into()] });
        }
        homes.retain(|home| home != fake);
        homes.push(fake.into());
        let count = self.live.values().filter(|homes| homes.iter().any(|home| home == fake)).count();
        let peak = self.peaks.entry(fake.into()).or_default();
        *peak = count.max(*peak);
    }

    pub fn leave(&mut self, session: &str, fake: &str) {
        if let Some(homes) = self.live.get_mut(session) {
            homes.retain(|home| home != fake);
        }
    }

    pub fn in_use(&mut self) {
        self.already_in_use += 1;
    }

    pub fn execute(&mut self, prompt: &str, fake: &str) {
        self.executed.entry(prompt.into()).or_default().push(fake.into());
    }
}

impl Storage {
    /// Every moment at which two fakes had one session live, since the beginning.
    pub fn overlaps(&self) -> Vec<Overlap> {
        self.disk().homes.overlaps.clone()
    }

    /// The fakes that have `session` live now.
    pub fn homes(&self, session: &str) -> Vec<String> {
        self.disk().homes.live.get(session).cloned().unwrap_or_default()
    }

    /// The most sessions that were ever live in one fake at a time.
    pub fn peak(&self) -> usize {
        self.disk().homes.peaks.values().copied().max().unwrap_or(0)
    }

    /// How many resumes were answered with `alreadyInUse: true`.
    pub fn already_in_use(&self) -> usize {
        self.disk().homes.already_in_use
    }

    /// How often a turn of `prompt` was begun, over all fakes.
    pub fn executed(&self, prompt: &str) -> usize {
        self.disk().homes.executed.get(prompt).map_or(0, Vec::len)
    }

    /// Prompts whose turn was begun more than once, and by whom.
    pub fn executed_twice(&self) -> Vec<(String, Vec<String>)> {
        let disk = self.disk();
        disk.homes.executed.iter().filter(|(_, by)| by.len() > 1).map(|(what, by)| (what.clone(), by.clone())).collect()
    }
}
