//! Requests about a list of sessions of which some must not be seen: the others are asked about, and the answer is put
//! together in the order of the request, with what the runtime says of a session that does not exist in the gaps.

use ahash::AHashSet;
use serde_json::value::RawValue;

use crate::wire::methods::Merge;

/// One session that was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its id.
    pub id: String,
    /// Its part of the request, as it stood.
    pub raw: Box<str>,
    /// It must not be seen: the backends are not asked about it.
    pub hidden: bool,
}

impl Asked {
    /// What the runtime says of it if it does not exist (measured on 1.0.102); `None`: nothing.
    fn absent(&self, merge: Merge) -> Option<String> {
        let id = serde_json::Value::from(self.id.as_str());
        match merge {
            Merge::Entries => Some(format!(r#"{{"sessionId":{id},"status":"notFound"}}"#)),
            Merge::Freed => Some(format!("{id}:0")),
            Merge::SessionsKept => Some(not_detached(&self.raw)),
            _ => None,
        }
    }
}

/// The parts of an answer in the order of the request. `found` gives a session's own part.
pub(super) fn in_order(asked: &[Asked], merge: Merge, found: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let part = |one: &Asked| if one.hidden { one.absent(merge) } else { found(&one.id) };
    let mut seen = AHashSet::new();
    // A map has each id once, as the runtime's has.
    let once = |one: &&Asked| merge != Merge::Freed || seen.insert(one.id.clone());
    asked.iter().filter(once).filter_map(part).collect()
}

/// A record with `"isDetached":false` as its last member, where it does not say that itself.
fn not_detached(raw: &str) -> String {
    let members = serde_json::from_str::<std::collections::BTreeMap<String, &RawValue>>(raw).unwrap_or_default();
    match raw.trim_end().strip_suffix('}') {
        Some(open) if !members.contains_key("isDetached") => {
            let comma = if members.is_empty() { "" } else { "," };
            format!(r#"{open}{comma}"isDetached":false}}"#)
        }
        _ => raw.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(hidden: bool) -> Asked {
        Asked { id: "x".into(), raw: r#"{"sessionId":"x","name":"n"}"#.into(), hidden }
    }

    #[test]
    fn gaps_are_filled_with_what_an_absent_session_gets() {
        let found = |_: &str| Some("found".to_owned());
        let one = |merge| in_order(&[asked(false), asked(true)], merge, found);
        assert_eq!(one(Merge::Entries), ["found", r#"{"sessionId":"x","status":"notFound"}"#]);
        assert_eq!(one(Merge::SessionsKept), ["found", r#"{"sessionId":"x","name":"n","isDetached":false}"#]);
        assert_eq!(one(Merge::InUse), ["found"]);
        assert_eq!(in_order(&[asked(true), asked(true)], Merge::Freed, found), [r#""x":0"#]);
        assert_eq!(in_order(&[asked(true), asked(true)], Merge::Entries, found).len(), 2);
        assert_eq!(not_detached(r#"{"isDetached":true}"#), r#"{"isDetached":true}"#);
        assert_eq!(not_detached("{}"), r#"{"isDetached":false}"#);
    }
}
