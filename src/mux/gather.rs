//! One request that several backends answer, and how their answers become one.

mod asked;
mod limit;
mod pick;

use std::borrow::Cow;

use ahash::AHashMap;
use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::{asked::Asked, limit::Limit, pick::Pick};
use crate::wire::{RequestId, methods::Merge};

/// A gathering in progress.
#[derive(Debug)]
pub struct Gather {
    id: RequestId,
    merge: Merge,
    waiting: usize,
    missing: usize,
    answers: Vec<Vec<u8>>,
    error: Option<Vec<u8>>,
    pick: Option<Pick>,
    limit: Option<Limit>,
    asked: Vec<Asked>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

/// The members of results that merging reads. Whatever else a backend writes is left as it is, lone surrogates included:
/// raw values are not decoded.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Parts<'a> {
    #[serde(borrow)]
    sessions: Vec<&'a RawValue>,
    #[serde(borrow)]
    session_ids: Vec<&'a RawValue>,
    #[serde(borrow)]
    in_use: Vec<&'a RawValue>,
    #[serde(borrow)]
    sizes: std::collections::BTreeMap<Cow<'a, str>, &'a RawValue>,
    #[serde(borrow)]
    freed_bytes: std::collections::BTreeMap<Cow<'a, str>, &'a RawValue>,
    #[serde(borrow)]
    session_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    #[serde(borrow, default)]
    modified_time: Option<Cow<'a, str>>,
}

impl Parts<'_> {
    /// Takes out whatever names a session that must not be seen, and what does not say which session it is about.
    fn keep(&mut self, may_see: &dyn Fn(&str) -> bool) {
        self.sessions.retain(|raw| names(raw).is_some_and(|id| may_see(&id)));
        self.session_ids.retain(|raw| text(raw).is_some_and(|id| may_see(&id)));
        self.in_use.retain(|raw| text(raw).is_some_and(|id| may_see(&id)));
        self.sizes.retain(|id, _| may_see(id));
        self.freed_bytes.retain(|id, _| may_see(id));
        self.session_id = self.session_id.take().filter(|id| may_see(id));
    }
}

/// The session that an entry is about.
fn names(raw: &RawValue) -> Option<String> {
    of(raw.get())
}

fn of(raw: &str) -> Option<String> {
    serde_json::from_str::<Entry<'_>>(raw).ok().map(|entry| entry.session_id.into_owned())
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

impl Gather {
    /// A gathering for the client's request `id` from `waiting` backends.
    pub fn new(id: RequestId, merge: Merge, waiting: usize) -> Self {
        Self {
            id,
            merge,
            waiting,
            missing: 0,
            answers: Vec::new(),
            error: None,
            pick: None,
            limit: None,
            asked: Vec::new(),
        }
    }

    /// Whatever the merge says: the backends are asked for their lists, and the one session is found in those.
    pub fn picking(mut self, pick: Option<Pick>) -> Self {
        self.pick = pick;
        self
    }

    /// So many of what is left are told.
    pub fn limited(mut self, limit: Option<Limit>) -> Self {
        self.limit = limit;
        self
    }

    /// The answer is about these sessions, in this order.
    pub fn about(mut self, asked: Vec<Asked>) -> Self {
        self.asked = asked;
        self
    }

    /// Whether the sessions are deleted by it.
    pub fn is_deletion(&self) -> bool {
        self.merge == Merge::Freed
    }

    /// The sessions that the backends are asked about.
    pub fn asked(&self) -> impl Iterator<Item = &str> {
        self.asked.iter().filter(|one| !one.hidden).map(|one| one.id.as_str())
    }

    /// So many backends are asked.
    pub fn wait_for(&mut self, waiting: usize) {
        self.waiting = waiting;
    }

    /// The client's request.
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// A backend answered with this body.
    pub fn answered(&mut self, body: &[u8], ok: bool) {
        self.waiting = self.waiting.saturating_sub(1);
        if ok {
            self.answers.push(body.to_vec());
        } else {
            self.missing += 1;
            self.error.get_or_insert_with(|| body.to_vec());
        }
    }

    /// A backend will not answer.
    pub fn missed(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        self.missing += 1;
    }

    /// Whether nobody is waited for any more.
    pub fn is_complete(&self) -> bool {
        self.waiting == 0
    }

    /// The answer for the client: merged, with `incomplete: true` where a backend did not answer. Where all refused, the
    /// first one's own error. `None`: nobody answered at all. Sessions for which `may_see` says no are left out, as if they did
    /// not exist.
    pub fn finish(&self, may_see: &dyn Fn(&str) -> bool) -> Option<Vec<u8>> {
        if self.answers.is_empty() {
            return self.error.as_deref().map(|body| with_id(body, &self.id));
        }
        let results: Vec<&str> = self.answers.iter().filter_map(|body| result_of(body)).collect();
        let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
        self.id.append_json(&mut out);
        out.extend_from_slice(br#","result":"#);
        out.extend_from_slice(self.merged(&results, may_see).as_bytes());
        out.push(b'}');
        Some(out)
    }

    fn merged(&self, results: &[&str], may_see: &dyn Fn(&str) -> bool) -> String {
        if self.merge == Merge::Entries {
            let entries = entries(results, may_see);
            let found =
                |id: &str| entries.iter().find(|raw| of(raw).as_deref() == Some(id)).map(|raw| (*raw).to_owned());
            let ordered = asked::in_order(&self.asked, self.merge, found);
            return format!("[{}]", if self.asked.is_empty() { entries.join(",") } else { ordered.join(",") });
        }
        let mut parts: Vec<Parts<'_>> = results.iter().filter_map(|result| serde_json::from_str(result).ok()).collect();
        parts.iter_mut().for_each(|part| part.keep(may_see));
        let member = match self.merge {
            _ if self.pick.is_some() => {
                id_member(self.pick.as_ref().and_then(|pick| pick.find(&sessions(&parts, true))))
            }
            Merge::SessionsKept if !self.asked.is_empty() => {
                let kept = sessions(&parts, false);
                let found = |id: &str| kept.iter().find(|raw| of(raw).as_deref() == Some(id)).cloned();
                format!(r#""sessions":[{}]"#, asked::in_order(&self.asked, self.merge, found).join(","))
            }
            Merge::Freed if !self.asked.is_empty() => {
                let freed = largest(parts.iter().map(|part| &part.freed_bytes));
                let found = |id: &str| Some(format!("{}:{}", serde_json::Value::from(id), freed.get(id)?));
                format!(r#""freedBytes":{{{}}}"#, asked::in_order(&self.asked, self.merge, found).join(","))
            }
            Merge::Sessions => {
                let mut sessions = sessions(&parts, true);
                Limit::strip(self.limit, &mut sessions);
                format!(r#""sessions":[{}]"#, sessions.join(","))
            }
            Merge::SessionsKept => format!(r#""sessions":[{}]"#, sessions(&parts, false).join(",")),
            Merge::Last => id_member(newest(&parts)),
            Merge::Found => id_member(parts.iter().find_map(|part| part.session_id.as_deref()).map(str::to_owned)),
            Merge::Ids => {
                let mut ids = union(parts.iter().map(|part| &part.session_ids));
                Limit::cut(self.limit, &mut ids);
                format!(r#""sessionIds":[{}]"#, ids.join(","))
            }
            Merge::InUse => format!(r#""inUse":[{}]"#, union(parts.iter().map(|part| &part.in_use)).join(",")),
            Merge::Sizes => format!(r#""sizes":{{{}}}"#, members(&largest(parts.iter().map(|part| &part.sizes)))),
            Merge::Freed => {
                format!(r#""freedBytes":{{{}}}"#, members(&largest(parts.iter().map(|part| &part.freed_bytes))))
            }
            Merge::Entries => String::new(),
        };
        let flag = if self.missing == 0 { "" } else { r#""incomplete":true"# };
        let comma = if member.is_empty() || flag.is_empty() { "" } else { "," };
        format!("{{{member}{comma}{flag}}}")
    }
}

/// `result.sessionId` of an answer that made or found a session.
pub fn session_id_of(body: &[u8]) -> Option<String> {
    let parts: Parts<'_> = serde_json::from_str(result_of(body)?).ok()?;
    parts.session_id.map(Cow::into_owned)
}

fn result_of(body: &[u8]) -> Option<&str> {
    serde_json::from_slice::<Answer<'_>>(body).ok()?.result.map(RawValue::get)
}

fn with_id(body: &[u8], id: &RequestId) -> Vec<u8> {
    use crate::wire::{
        edit::replace,
        glance::{Glance, glance},
    };
    match glance(body, true) {
        Some(Glance::Answer { id: span, .. }) => {
            let mut json = Vec::new();
            id.append_json(&mut json);
            replace(body, span, &json)
        }
        _ => body.to_vec(),
    }
}

fn id_member(id: Option<String>) -> String {
    id.map(|id| format!(r#""sessionId":{}"#, serde_json::Value::from(id))).unwrap_or_default()
}

/// Sessions of all answers, each once (the last modified of its doubles), newest first if `sorted`.
fn sessions(parts: &[Parts<'_>], sorted: bool) -> Vec<String> {
    let mut kept: Vec<(Option<Cow<'_, str>>, &str)> = Vec::new();
    let mut at: AHashMap<Cow<'_, str>, usize> = AHashMap::new();
    for raw in parts.iter().flat_map(|part| &part.sessions) {
        let Ok(Entry { session_id, modified_time }) = serde_json::from_str(raw.get()) else { continue };
        match at.get(&session_id) {
            Some(&index) if (&modified_time, raw.get().len()) > (&kept[index].0, kept[index].1.len()) => {
                kept[index] = (modified_time, raw.get());
            }
            Some(_) => {}
            None => {
                at.insert(session_id, kept.len());
                kept.push((modified_time, raw.get()));
            }
        }
    }
    if sorted {
        // RFC 3339 in UTC sorts as text.
        kept.sort_by(|a, b| b.0.cmp(&a.0));
    }
    kept.into_iter().map(|(_, raw)| raw.to_owned()).collect()
}

fn newest(parts: &[Parts<'_>]) -> Option<String> {
    let first = sessions(parts, true).into_iter().next()?;
    serde_json::from_str::<Entry<'_>>(&first).ok().map(|entry| entry.session_id.into_owned())
}

/// Entries of all answers in the order of the first to name each; of doubles the longest.
fn entries<'a>(results: &[&'a str], may_see: &dyn Fn(&str) -> bool) -> Vec<&'a str> {
    let (mut kept, mut at) = (Vec::new(), AHashMap::new());
    for raw in results.iter().flat_map(|result| serde_json::from_str::<Vec<&RawValue>>(result).unwrap_or_default()) {
        let Some(id) = names(raw).filter(|id| may_see(id)) else { continue };
        let index = *at.entry(id).or_insert(kept.len());
        match kept.get_mut(index) {
            None => kept.push(raw.get()),
            Some(known) if raw.get().len() > known.len() => *known = raw.get(),
            Some(_) => {}
        }
    }
    kept
}

fn union<'a>(lists: impl Iterator<Item = &'a Vec<&'a RawValue>>) -> Vec<&'a str> {
    let mut seen = ahash::AHashSet::new();
    lists.flatten().map(|raw| raw.get()).filter(|raw| seen.insert(*raw)).collect()
}

type Largest<'a> = std::collections::BTreeMap<&'a str, &'a str>;

/// Of each id the largest number of all answers.
fn largest<'a>(maps: impl Iterator<Item = &'a std::collections::BTreeMap<Cow<'a, str>, &'a RawValue>>) -> Largest<'a> {
    let mut all = Largest::new();
    let size = |raw: &str| raw.parse::<f64>().unwrap_or(0.0);
    for (id, raw) in maps.flatten() {
        let kept = all.entry(id).or_insert(raw.get());
        if size(raw.get()) > size(kept) {
            *kept = raw.get();
        }
    }
    all
}

fn members(of: &Largest<'_>) -> String {
    let members: Vec<String> = of.iter().map(|(id, raw)| format!("{}:{raw}", serde_json::Value::from(*id))).collect();
    members.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(merge: Merge, results: &[&str], missing: usize) -> serde_json::Value {
        let mut gather = Gather::new(RequestId::Number(9), merge, results.len() + missing);
        for (index, result) in results.iter().enumerate() {
            gather.answered(
                format!(r#"{{"jsonrpc":"2.0","id":"pilotfish-{index}","result":{result}}}"#).as_bytes(),
                true,
            );
        }
        (0..missing).for_each(|_| gather.missed());
        assert!(gather.is_complete());
        serde_json::from_slice(&gather.finish(&|_| true).unwrap()).unwrap()
    }

    const A: &str = r#"{"sessions":[{"sessionId":"a","modifiedTime":"2026-01-01T00:00:00Z","summary":"x"},{"sessionId":"b","modifiedTime":"2026-01-03T00:00:00Z"}]}"#;
    const B: &str = r#"{"sessions":[{"sessionId":"a","modifiedTime":"2026-01-05T00:00:00Z"},{"sessionId":"c"}]}"#;

    #[test]
    fn sessions_newest_first_without_doubles() {
        let all = gather(Merge::Sessions, &[A, B], 0);
        let ids: Vec<_> =
            all["result"]["sessions"].as_array().unwrap().iter().map(|s| s["sessionId"].as_str().unwrap()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        assert_eq!(all["id"], 9);
        assert!(all["result"].get("incomplete").is_none());
        assert_eq!(gather(Merge::Sessions, &[A], 1)["result"]["incomplete"], true);
        assert_eq!(gather(Merge::Last, &[A, B], 0)["result"]["sessionId"], "a");
    }

    #[test]
    fn the_other_merges() {
        assert_eq!(gather(Merge::Found, &["{}", r#"{"sessionId":"z"}"#], 0)["result"]["sessionId"], "z");
        assert_eq!(gather(Merge::Found, &["{}"], 0)["result"], serde_json::json!({}));
        assert_eq!(
            gather(Merge::Sizes, &[r#"{"sizes":{"a":1}}"#, r#"{"sizes":{"a":5,"b":2}}"#], 0)["result"]["sizes"],
            serde_json::json!({"a":5,"b":2})
        );
        assert_eq!(
            gather(Merge::Ids, &[r#"{"sessionIds":["a"]}"#, r#"{"sessionIds":["a","b"]}"#], 0)["result"]["sessionIds"],
            serde_json::json!(["a", "b"])
        );
        assert_eq!(
            gather(Merge::Entries, &[r#"[{"sessionId":"a"}]"#, r#"[{"sessionId":"a","clientName":"x"}]"#], 0)["result"]
                [0]["clientName"],
            "x"
        );
    }

    #[test]
    fn an_error_of_all_is_the_first_one_s() {
        let mut gather = Gather::new(RequestId::text("q"), Merge::Ids, 1);
        gather.answered(br#"{"jsonrpc":"2.0","id":"pilotfish-1","error":{"code":-32601,"message":"x"}}"#, false);
        let value: serde_json::Value = serde_json::from_slice(&gather.finish(&|_| true).unwrap()).unwrap();
        assert_eq!((&value["id"], &value["error"]["code"]), (&"q".into(), &(-32601).into()));
    }

    #[test]
    fn lone_surrogates_pass() {
        let odd = br#"{"sessions":[{"sessionId":"a","summary":"\ud83d"}]}"#;
        let mut gather = Gather::new(RequestId::Number(1), Merge::Sessions, 1);
        gather.answered(
            format!(r#"{{"jsonrpc":"2.0","id":"pilotfish-1","result":{}}}"#, std::str::from_utf8(odd).unwrap())
                .as_bytes(),
            true,
        );
        assert!(String::from_utf8(gather.finish(&|_| true).unwrap()).unwrap().contains(r"\ud83d"));
    }

    #[test]
    fn a_made_session_is_read_from_its_answer() {
        assert_eq!(
            session_id_of(br#"{"jsonrpc":"2.0","id":1,"result":{"status":"created","sessionId":"n"}}"#),
            Some("n".into())
        );
    }
}
