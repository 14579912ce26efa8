//! Limits of lists. A backend counts over everybody's sessions, so behind a wall it is asked for all, and the limit is
//! applied to what is left: otherwise the caller would miss its own, and could count the others'.

use serde_json::{Value, value::RawValue};

/// More than any backend has.
const ALL: u64 = 1_000_000;

/// `sessions.listNonEmptySessionIds` without a limit (measured on 1.0.102).
const USUAL_IDS: usize = 2;

/// What entries of `sessions.list` behind `metadataLimit` do not have (measured on 1.0.102).
const METADATA: &[&str] = &["summary", "name", "clientName", "context"];

/// A limit that the caller set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many ids.
    Ids(usize),
    /// So many entries with their metadata.
    Metadata(usize),
}

impl Limit {
    /// Takes the limit out of the body of a list: the same body that asks for all. `None`: it has no limit.
    pub fn take(method: &str, body: &[u8]) -> Option<(Self, Vec<u8>)> {
        let mut call: Value = serde_json::from_slice(body).ok()?;
        let params = call.as_object_mut()?.entry("params").or_insert_with(|| Value::Object(Default::default()));
        let params = params.as_object_mut()?;
        let number = |value: Option<Value>| value.and_then(|value| value.as_u64()).map(|number| number as usize);
        let limit = match method {
            "sessions.listNonEmptySessionIds" => {
                Self::Ids(number(params.insert("limit".into(), ALL.into())).unwrap_or(USUAL_IDS))
            }
            "sessions.list" => Self::Metadata(number(params.remove("metadataLimit"))?),
            _ => return None,
        };
        Some((limit, call.to_string().into_bytes()))
    }

    /// Cuts ids to the limit.
    pub(super) fn cut<T>(limit: Option<Self>, ids: &mut Vec<T>) {
        if let Some(Self::Ids(most)) = limit {
            ids.truncate(most);
        }
    }

    /// Takes the metadata off the entries behind the limit.
    pub(super) fn strip(limit: Option<Self>, entries: &mut [String]) {
        let Some(Self::Metadata(most)) = limit else { return };
        for entry in entries.iter_mut().skip(most) {
            if let Some(bare) = bare(entry) {
                *entry = bare;
            }
        }
    }
}

/// An entry without its metadata, the rest as it stood.
fn bare(entry: &str) -> Option<String> {
    let members: Vec<(String, Box<RawValue>)> = serde_json::from_str::<Members>(entry).ok()?.0;
    let kept = members.iter().filter(|(key, _)| !METADATA.contains(&key.as_str()));
    let kept: Vec<String> = kept.map(|(key, raw)| format!("{}:{}", Value::from(key.as_str()), raw.get())).collect();
    Some(format!("{{{}}}", kept.join(",")))
}

/// The members of an object in their order.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> serde::de::Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(method: &str, params: &str) -> Option<(Limit, Value)> {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let (limit, body) = Limit::take(method, body.as_bytes())?;
        Some((limit, serde_json::from_slice::<Value>(&body).unwrap()["params"].take()))
    }

    #[test]
    fn backends_are_asked_for_all() {
        let ids = "sessions.listNonEmptySessionIds";
        assert_eq!(take(ids, "{}"), Some((Limit::Ids(2), serde_json::json!({"limit": ALL}))));
        assert_eq!(take(ids, r#"{"limit":5}"#), Some((Limit::Ids(5), serde_json::json!({"limit": ALL}))));
        let list = take("sessions.list", r#"{"metadataLimit":1,"source":"local"}"#);
        assert_eq!(list, Some((Limit::Metadata(1), serde_json::json!({"source": "local"}))));
        assert_eq!(take("sessions.list", "{}"), None);
    }

    #[test]
    fn limits_count_what_is_left() {
        let mut ids = vec![1, 2, 3];
        Limit::cut(Some(Limit::Ids(2)), &mut ids);
        assert_eq!(ids, [1, 2]);
        let entry = r#"{"sessionId":"a","summary":"s","isRemote":false,"context":{"cwd":"/"}}"#.to_owned();
        let mut entries = [entry.clone(), entry.clone()];
        Limit::strip(Some(Limit::Metadata(1)), &mut entries);
        assert_eq!(entries, [entry, r#"{"sessionId":"a","isRemote":false}"#.to_owned()]);
    }
}
