//! What is left of a session when no process has it: the real one's `COPILOT_HOME`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::shapes::quote;

/// Clones are the same disk: give one to several fakes for shared storage.
#[derive(Clone, Debug, Default)]
pub struct Storage(Arc<Mutex<BTreeMap<String, Kept>>>);

#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub start: String,
    pub modified: String,
    pub summary: String,
    pub events: Vec<String>,
    /// The fake that has it live, as the real one's `inuse.{pid}.lock`.
    pub used_by: Option<String>,
}

impl Storage {
    /// The ids on the disk.
    pub fn sessions(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    /// How many events of `session` are on the disk.
    pub fn events(&self, session: &str) -> usize {
        self.0.lock().unwrap().get(session).map_or(0, |kept| kept.events.len())
    }

    pub(super) fn read(&self, session: &str) -> Option<Kept> {
        self.0.lock().unwrap().get(session).cloned()
    }

    pub(super) fn write(&self, session: &str, kept: Kept) {
        self.0.lock().unwrap().insert(session.into(), kept);
    }

    pub(super) fn claim(&self, session: &str, process: Option<&str>) {
        if let Some(kept) = self.0.lock().unwrap().get_mut(session) {
            kept.used_by = process.map(Into::into);
        }
    }

    pub(super) fn delete(&self, session: &str) -> bool {
        self.0.lock().unwrap().remove(session).is_some()
    }

    pub(super) fn newest(&self) -> Option<String> {
        let map = self.0.lock().unwrap();
        map.iter().max_by(|a, b| a.1.modified.cmp(&b.1.modified)).map(|(id, _)| id.clone())
    }

    /// The `sessions` array of `session.list`, newest first.
    pub(super) fn list(&self) -> String {
        let map = self.0.lock().unwrap();
        let mut all: Vec<_> = map.iter().collect();
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
