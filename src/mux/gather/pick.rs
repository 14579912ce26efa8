//! Look-ups that are answered from the list of sessions: what a backend finds by itself may be another tenant's, and hides
//! the one that the caller may see.

use std::borrow::Cow;

use serde::Deserialize;

/// Which session of a list is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The last modified (`session.getLastId`).
    Newest,
    /// The one whose id begins so, if there is only one (`sessions.findByPrefix`).
    Prefix(String),
    /// The one of this task (`sessions.findByTaskId`).
    Task(String),
    /// The last modified in this place, else the last modified (`sessions.getLastForContext`).
    Context(Context),
}

/// Where an agent works, as far as a list says it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Context {
    cwd: Option<String>,
    git_root: Option<String>,
    repository: Option<String>,
}

/// The members of a list's entry that are looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    #[serde(borrow, default)]
    mc_task_id: Option<Cow<'a, str>>,
    #[serde(default)]
    context: Option<Context>,
}

/// Fewer characters are no prefix to the runtime (measured on 1.0.102).
const SHORTEST_PREFIX: usize = 7;

impl Pick {
    /// What the body of a look-up asks for; `None` if it does not ask for anything that can be found.
    pub fn read(method: &str, body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Asked {
            #[serde(default)]
            params: Option<Params>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Params {
            prefix: Option<String>,
            task_id: Option<String>,
            context: Option<Context>,
        }
        let params = serde_json::from_slice::<Asked>(body).ok()?.params.unwrap_or_default();
        match method {
            "session.getLastId" => Some(Self::Newest),
            "sessions.findByPrefix" => params.prefix.map(Self::Prefix),
            "sessions.findByTaskId" => params.task_id.map(Self::Task),
            "sessions.getLastForContext" => Some(Self::Context(params.context.unwrap_or_default())),
            _ => None,
        }
    }

    /// The session that is looked for, of entries with the newest first.
    pub(super) fn find(&self, entries: &[String]) -> Option<String> {
        let listed: Vec<Listed<'_>> = entries.iter().filter_map(|raw| serde_json::from_str(raw).ok()).collect();
        let found = match self {
            Self::Newest => listed.first(),
            Self::Prefix(prefix) => {
                let mut fits = listed.iter().filter(|entry| begins_with(&entry.session_id, prefix));
                fits.next().filter(|_| fits.next().is_none())
            }
            Self::Task(task) => listed.iter().find(|entry| entry.mc_task_id.as_deref() == Some(task)),
            Self::Context(context) => {
                listed.iter().find(|entry| entry.context.as_ref().is_some_and(|of| context.fits(of))).or(listed.first())
            }
        };
        found.map(|entry| entry.session_id.to_string())
    }
}

impl Context {
    fn fits(&self, of: &Self) -> bool {
        let pairs = [(&self.cwd, &of.cwd), (&self.git_root, &of.git_root), (&self.repository, &of.repository)];
        pairs.iter().any(|(wanted, has)| wanted.is_some() && wanted == has)
    }
}

/// As the runtime compares: at least seven hexadecimal digits or dashes, whatever their case.
fn begins_with(id: &str, prefix: &str) -> bool {
    let plain = prefix.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    plain
        && prefix.len() >= SHORTEST_PREFIX
        && id.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Vec<String> {
        [
            r#"{"sessionId":"35ace27a-77e4","context":{"cwd":"/b"}}"#,
            r#"{"sessionId":"35ace27b-77e4","context":{"cwd":"/a","repository":"o/r"},"mcTaskId":"t"}"#,
            r#"{"sessionId":"alice--x"}"#,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn find(method: &str, params: &str) -> Option<String> {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        Pick::read(method, body.as_bytes())?.find(&list())
    }

    #[test]
    fn what_is_found() {
        assert_eq!(find("session.getLastId", "{}").as_deref(), Some("35ace27a-77e4"));
        assert_eq!(find("sessions.findByPrefix", r#"{"prefix":"35ACE27B"}"#).as_deref(), Some("35ace27b-77e4"));
        assert_eq!(find("sessions.findByPrefix", r#"{"prefix":"35ace27"}"#), None, "two begin so");
        assert_eq!(find("sessions.findByPrefix", r#"{"prefix":"alice--"}"#), None, "not hexadecimal");
        assert_eq!(find("sessions.findByTaskId", r#"{"taskId":"t"}"#).as_deref(), Some("35ace27b-77e4"));
        assert_eq!(find("sessions.findByTaskId", r#"{"taskId":"u"}"#), None);
        let at = |cwd: &str| find("sessions.getLastForContext", &format!(r#"{{"context":{{"cwd":"{cwd}"}}}}"#));
        assert_eq!(at("/a").as_deref(), Some("35ace27b-77e4"));
        assert_eq!(at("/nowhere").as_deref(), Some("35ace27a-77e4"), "as the runtime: else the newest");
        assert_eq!(find("sessions.findByPrefix", r#"{"prefix":5}"#), None);
    }
}
