//! Which of the sessions that backends list are due.

use std::{borrow::Cow, cmp::Ordering, collections::BinaryHeap, sync::Arc, time::SystemTime};

use serde::Deserialize;

use crate::{
    pool::Member,
    session::{
        expiry::{Expiry, Fate},
        is_session_id,
    },
};

/// A session that is due.
#[derive(Clone, Debug)]
pub(super) struct Old {
    /// When it was used last.
    pub used: SystemTime,
    /// Its id.
    pub id: Box<str>,
    /// Who listed it.
    pub home: Arc<Member>,
}

/// The sessions of one run.
pub(super) struct Survey<'a> {
    expiry: &'a Expiry,
    now: SystemTime,
    most: usize,
    /// The newest is on top, and goes first when there are too many.
    due: BinaryHeap<Old>,
    /// How many are listed.
    pub listed: u64,
    /// How many stay because their ids say so.
    pub excluded: u64,
    /// There are more than are remembered.
    pub more: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    #[serde(borrow)]
    modified_time: Cow<'a, str>,
    #[serde(default)]
    is_remote: bool,
}

impl<'a> Survey<'a> {
    /// Nothing yet; remembers the `most` oldest that are due.
    pub(super) fn new(expiry: &'a Expiry, now: SystemTime, most: usize) -> Self {
        Self { expiry, now, most, due: BinaryHeap::new(), listed: 0, excluded: 0, more: false }
    }

    /// Takes an entry of a backend's list. What cannot be read stays.
    pub(super) fn note(&mut self, entry: &[u8], home: &Arc<Member>) {
        self.listed += 1;
        let Ok(listed) = serde_json::from_slice::<Listed>(entry) else { return };
        let Ok(used) = humantime::parse_rfc3339(&listed.modified_time) else { return };
        if listed.is_remote || !is_session_id(&listed.session_id) {
            return;
        }
        match self.expiry.judge(&listed.session_id, used, self.now) {
            Fate::Young => {}
            Fate::Excluded => self.excluded += 1,
            Fate::Due => {
                self.due.push(Old { used, id: listed.session_id.into(), home: home.clone() });
                if self.due.len() > self.most {
                    self.due.pop();
                    self.more = true;
                }
            }
        }
    }

    /// Forgets what a list told that broke off.
    pub(super) fn begin_again(&mut self) {
        self.due.clear();
        (self.listed, self.excluded, self.more) = (0, 0, false);
    }

    /// Those that are due, the oldest first.
    pub(super) fn due(self) -> Vec<Old> {
        self.due.into_sorted_vec()
    }
}

impl Ord for Old {
    fn cmp(&self, other: &Self) -> Ordering {
        self.used.cmp(&other.used).then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for Old {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Old {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Old {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::session::expiry::Patterns;

    fn entry(id: &str, time: &str, rest: &str) -> String {
        format!(r#"{{"sessionId":"{id}","startTime":"x","modifiedTime":"{time}"{rest},"summary":"\ud83d"}}"#)
    }

    #[test]
    fn the_oldest_are_remembered_and_what_is_not_understood_stays() {
        let expiry = Expiry { ttl: Duration::from_secs(60), exclude: Patterns::new(["keep-*"]) };
        let now = humantime::parse_rfc3339("2026-01-01T12:00:00Z").unwrap();
        let home = Arc::new(Member::new("p".into(), "a".into(), 1, None));
        let mut survey = Survey::new(&expiry, now, 2);
        for text in [
            entry("c", "2026-01-01T11:30:00.000Z", ""),
            entry("a", "2026-01-01T11:10:00.000Z", r#","isRemote":false"#),
            entry("b", "2026-01-01T11:20:00Z", ""),
            entry("young", "2026-01-01T11:59:01.500Z", ""),
            entry("future", "2027-01-01T11:59:01.500Z", ""),
            entry("keep-me", "2020-01-01T11:10:00.000Z", ""),
            entry("remote", "2020-01-01T11:10:00.000Z", r#","isRemote":true"#),
            entry("../x", "2020-01-01T11:10:00.000Z", ""),
            entry("when", "yesterday", ""),
            r#"{"sessionId":7}"#.to_owned(),
            "[]".to_owned(),
        ] {
            survey.note(text.as_bytes(), &home);
        }
        assert_eq!((survey.listed, survey.excluded, survey.more), (11, 1, true));
        let due: Vec<_> = survey.due().into_iter().map(|old| old.id).collect();
        assert_eq!(due, [Box::<str>::from("a"), Box::<str>::from("b")]);
    }
}
