//! What is left of a session when no process has it: the real one's `COPILOT_HOME`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use super::{homes::Homes, log::Entry, shapes::quote};

/// Clones are the same disk: give one to several fakes for shared storage.
#[derive(Clone, Debug, Default)]
pub struct Storage(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
pub(super) struct Disk {
    kept: BTreeMap<String, Kept>,
    /// Folders of sessions that have had no turn yet: the real one makes them at create.
    made: BTreeSet<String>,
    pub homes: Homes,
}

#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub start: String,
    pub modified: String,
    pub summary: String,
    pub events: Vec<Arc<Entry>>,
    /// The fake that has it live, as the real one's `inuse.{pid}.lock`.
    pub used_by: Option<String>,
}

impl Storage {
    /// The ids on the disk.
    pub fn sessions(&self) -> Vec<String> {
        self.disk().kept.keys().cloned().collect()
    }

    /// Puts a session there that nobody here has made, last used at `modified`.
    pub fn put(&self, session: &str, modified: &str) {
        let (start, modified) = (modified.to_owned(), modified.to_owned());
        self.write(session, Kept { start, modified, summary: "old".into(), events: Vec::new(), used_by: None });
    }

    /// How many events of `session` are on the disk.
    pub fn events(&self, session: &str) -> usize {
        self.disk().kept.get(session).map_or(0, |kept| kept.events.len())
    }

    /// The types of the events of `session` on the disk.
    pub fn history(&self, session: &str) -> Vec<String> {
        let kind = |entry: &Arc<Entry>| {
            let event: serde_json::Value = serde_json::from_str(&entry.text).expect("an event of ours");
            event["type"].as_str().unwrap_or("").to_owned()
        };
        self.disk().kept.get(session).map_or_else(Vec::new, |kept| kept.events.iter().map(kind).collect())
    }

    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    pub(super) fn read(&self, session: &str) -> Option<Kept> {
        self.disk().kept.get(session).cloned()
    }

    pub(super) fn write(&self, session: &str, kept: Kept) {
        let mut disk = self.disk();
        disk.made.remove(session);
        disk.kept.insert(session.into(), kept);
    }

    pub(super) fn claim(&self, session: &str, process: Option<&str>) {
        if let Some(kept) = self.disk().kept.get_mut(session) {
            kept.used_by = process.map(Into::into);
        }
    }

    pub(super) fn delete(&self, session: &str) -> bool {
        let mut disk = self.disk();
        disk.made.remove(session);
        disk.kept.remove(session).is_some()
    }

    /// A session begins: its folder is there before its first turn is.
    pub(super) fn make(&self, session: &str) {
        let mut disk = self.disk();
        if !disk.kept.contains_key(session) {
            disk.made.insert(session.into());
        }
    }

    /// A session ended; without a turn nothing is left of it.
    pub(super) fn tidy(&self, session: &str) {
        self.disk().made.remove(session);
    }

    /// Whether anything of `session` is on the disk.
    pub(super) fn exists(&self, session: &str) -> bool {
        let disk = self.disk();
        disk.kept.contains_key(session) || disk.made.contains(session)
    }

    pub(super) fn newest(&self) -> Option<String> {
        let disk = self.disk();
        disk.kept.iter().max_by(|a, b| a.1.modified.cmp(&b.1.modified)).map(|(id, _)| id.clone())
    }

    /// The `sessions` array of `session.list`, newest first.
    pub(super) fn list(&self) -> String {
        let disk = self.disk();
        let mut all: Vec<_> = disk.kept.iter().collect();
        all.sort_by(|a, b| b.1.modified.cmp(&a.1.modified));
        let rows: Vec<_> = all.into_iter().map(|(id, kept)| row(id, kept)).collect();
        format!("[{}]", rows.join(","))
    }
}

pub(super) fn row(id: &str, kept: &Kept) -> String {
    let (id, summary) = (quote(id), quote(&kept.summary));
    format!(
        r#"{{"sessionId":{id},"startTime":"{}","modifiedTime":"{}","isRemote":false,"isDetached":false,"summary":{summary},"name":{summary},"clientName":"sdk","context":{{"cwd":"/work"}}}}"#,
        kept.start, kept.modified
    )
}
