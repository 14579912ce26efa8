//! The method table: every method of the runtime and what the proxy does with it. The table is data (`methods.json`,
//! made from `shared/protocol/method-classes.json`); an upgrade of the runtime changes the file and not this code.

use std::sync::LazyLock;

use ahash::AHashMap;
use serde::Deserialize;

/// How a method finds its backend.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `connect`: ends at the proxy, goes to the first link with the backend's own token.
    Connect,
    /// `$/cancelRequest`: to the link that holds the request.
    Cancel,
    /// Ends the whole process: never forwarded unless a setting says so.
    Shutdown,
    /// Connection-wide set-up: to every link, replayed on later ones.
    Setup,
    /// Answers a provider call of a backend: to the link that the call came from (`params.requestId`).
    ProviderReply,
    /// Makes a session live: placed by the policy.
    Place,
    /// `sessions.fork`: goes where its source lives and makes a session there.
    Fork,
    /// Goes where its session lives.
    Session,
    /// The same, and begins a turn.
    Send,
    /// The same, and this client lets the session go.
    Detach,
    /// The same, and the session ends for everybody.
    End,
    /// Lists and look-ups: as many backends as the storage needs.
    Gather,
    /// To the client's own backend.
    Anywhere,
}

/// Which deadline a request has.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Patience {
    /// Answered from memory or disk.
    Quick,
    /// Starts or loads a session.
    Create,
    /// May run tools, models or user dialogues.
    Long,
}

/// How the answers of several backends become one.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// `result.sessions[]`, newest first, no doubles.
    Sessions,
    /// `result.sessionId` of the newest session: asks for the list.
    Last,
    /// `result.sessionIds[]`.
    Ids,
    /// `result.sizes{}`.
    Sizes,
    /// `result.sessionId` of whoever found it.
    Found,
    /// `result[]` with a `sessionId` each.
    Entries,
    /// `result.inUse[]`.
    InUse,
    /// `result.sessions[]` in the order of the request.
    SessionsKept,
    /// `result.freedBytes{}`.
    Freed,
}

/// One row of the table.
#[derive(Clone, Debug, Deserialize)]
pub struct Method {
    /// The method's name.
    pub name: String,
    /// The class of `method-classes.json`.
    pub class: String,
    /// What a pool shared by tenants does with it.
    pub shared: String,
    /// How it finds its backend.
    pub route: Route,
    /// `safe`: a pure read; `never`: may have run.
    pub replay: String,
    /// Its deadline.
    pub timeout: Patience,
    /// Where session ids stand in the params.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Where session ids stand in the result.
    #[serde(default)]
    pub result_ids: Vec<String>,
    /// How answers are merged.
    #[serde(default)]
    pub merge: Option<Merge>,
    /// The member that follows the id in the runtime's answer for a session that does not exist, `{id}` for the
    /// session's id; `None` for the usual error. Measured on 1.0.102.
    #[serde(default)]
    pub absent: Option<String>,
}

/// A method's row number; [`Methods::UNKNOWN`] for one that the table does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MethodIndex(pub u16);

/// The table.
#[derive(Debug)]
pub struct Methods {
    rows: Vec<Method>,
    by_name: AHashMap<&'static str, MethodIndex>,
}

static TABLE: LazyLock<Methods> = LazyLock::new(Methods::load);

impl Methods {
    /// What every unknown method is.
    pub const UNKNOWN: MethodIndex = MethodIndex(0);

    /// The one table.
    pub fn get() -> &'static Self {
        &TABLE
    }

    /// The row of `name`.
    #[inline]
    pub fn find(&self, name: &str) -> MethodIndex {
        self.by_name.get(name).copied().unwrap_or(Self::UNKNOWN)
    }

    /// The row itself.
    #[inline]
    pub fn row(&self, index: MethodIndex) -> &Method {
        &self.rows[usize::from(index.0)]
    }

    /// Every name in the order of the rows, for the labels of metrics. The first is `other`.
    pub fn names(&self) -> Vec<&str> {
        self.rows.iter().map(|row| row.name.as_str()).collect()
    }

    fn load() -> Self {
        // A broken file is found by the tests and by the first line of `run`; an empty table would route nothing wrongly.
        let known: Vec<Method> = serde_json::from_str(include_str!("methods.json")).unwrap_or_default();
        let other = Method {
            name: "other".into(),
            class: "unknown".into(),
            shared: "deny".into(),
            route: Route::Session,
            replay: "never".into(),
            timeout: Patience::Long,
            ids: Vec::new(),
            result_ids: Vec::new(),
            merge: None,
            absent: None,
        };
        let rows: Vec<Method> = std::iter::once(other).chain(known).collect();
        let by_name = rows
            .iter()
            .enumerate()
            .skip(1)
            .map(|(index, row)| (&*Box::leak(row.name.clone().into_boxed_str()), MethodIndex(index as u16)))
            .collect();
        Self { rows, by_name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::scan::Place;

    #[test]
    fn the_table_is_whole() {
        let table = Methods::get();
        assert_eq!(table.rows.len(), 376);
        assert_eq!(table.row(table.find("session.send")).route, Route::Send);
        assert_eq!(table.row(table.find("runtime.shutdown")).route, Route::Shutdown);
        assert_eq!(table.find("session.nope"), Methods::UNKNOWN);
        assert_eq!(table.names()[0], "other");
    }

    /// Every id place of the table is one that the scanner looks at, or stands inside such a one.
    #[test]
    fn the_scanner_knows_every_place_of_the_table() {
        for row in &Methods::get().rows {
            for path in &row.ids {
                let path = path.trim_start_matches("params.");
                let path = path.split(['?', '(', '[']).next().unwrap_or_default();
                assert!(Place::ALL.iter().any(|place| place.path() == path), "{}: {path}", row.name);
            }
        }
    }

    /// The texts are pasted into answers as they stand.
    #[test]
    fn every_absent_answer_is_one_member() {
        for row in &Methods::get().rows {
            let Some(member) = &row.absent else { continue };
            let body: serde_json::Value = serde_json::from_str(&format!("{{{member}}}")).unwrap();
            let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
            assert!(keys == ["result"] || keys == ["error"], "{}", row.name);
        }
    }

    #[test]
    fn every_gathered_method_says_how() {
        for row in &Methods::get().rows {
            assert_eq!(row.route == Route::Gather, row.merge.is_some(), "{}", row.name);
        }
    }
}
