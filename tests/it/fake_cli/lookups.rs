//! What the real CLI (1.0.102) says of sessions that it is asked about by id, and how it takes the beginning of an id for the
//! whole. Measured on its wire: what is live and what is on the disk count differently for each method.

use serde_json::{Value, json};

use super::{live::State, record::Frame, shapes::quote, storage};

/// The runtime takes from this many characters on for the beginning of an id, and a whole one for itself.
const ABBREVIATION: std::ops::Range<usize> = 7..36;

/// The answer to a look-up of the `sessions.*` family; `None`: not one of those.
pub fn answer(state: &State, frame: &Frame) -> Option<Result<String, String>> {
    let session = frame.session();
    let ids = || {
        let ids = frame.params()["sessionIds"].as_array();
        ids.map(|ids| ids.iter().filter_map(Value::as_str).collect::<Vec<_>>()).ok_or_else(|| missing("sessionIds"))
    };
    Some(match frame.method() {
        "sessions.getClientMetadata" => ids().map(|ids| client_metadata(state, &ids)),
        "sessions.checkInUse" => ids().map(|ids| in_use(state, &ids)),
        "sessions.getMetadata" => {
            Ok(state.storage.read(session).map_or_else(|| "{}".into(), |kept| storage::row(session, &kept)))
        }
        "sessions.listNonEmptySessionIds" => Ok(json!({"sessionIds": state.storage.sessions()}).to_string()),
        "sessions.getSizes" => {
            let sizes: serde_json::Map<_, _> =
                state.storage.sessions().into_iter().map(|id| (id.clone(), json!(state.storage.events(&id)))).collect();
            Ok(json!({ "sizes": sizes }).to_string())
        }
        "sessions.findByPrefix" => match frame.params()["prefix"].as_str() {
            Some(prefix) => Ok(found(abbreviated(state, prefix))),
            None => Err("missing or non-string parameter 'prefix'".into()),
        },
        "sessions.findByTaskId" => Ok("{}".into()),
        "sessions.getLastForContext" => Ok(found(state.storage.newest())),
        "session.getForeground" => Ok("{}".into()),
        "sessions.readPersistedEvents" if state.storage.read(session).is_none() => {
            Err(format!("Persisted event journal is unavailable for session {session}"))
        }
        "sessions.getPersistedRemoteSteerable"
        | "sessions.getBoardEntryCount"
        | "sessions.save"
        | "sessions.reloadPluginHooks" => Ok("{}".into()),
        "sessions.loadDeferredRepoHooks" => Ok(r#"{"startupPrompts":[],"hookCount":0}"#.into()),
        _ => return None,
    })
}

/// What `bulkDelete` deletes and says: every id, with nothing freed where there was nothing.
pub fn freed(state: &State, frame: &Frame) -> Result<(Vec<String>, String), String> {
    let ids = frame.params()["sessionIds"].as_array().ok_or_else(|| missing("sessionIds"))?;
    let mut distinct: Vec<String> = Vec::new();
    for id in ids.iter().filter_map(Value::as_str) {
        if !distinct.iter().any(|known| known == id) {
            distinct.push(id.into());
        }
    }
    let size = |id: &String| if exists(state, id) { 27450 } else { 0 };
    let members: Vec<_> = distinct.iter().map(|id| format!("{}:{}", quote(id), size(id))).collect();
    Ok((distinct, format!(r#"{{"freedBytes":{{{}}}}}"#, members.join(","))))
}

/// The whole id that `session.resume` and `session.delete` take `asked` for: an exact one wins.
pub fn resolved(state: &State, asked: &str) -> String {
    if state.live.contains_key(asked) || state.storage.read(asked).is_some() {
        return asked.into();
    }
    abbreviated(state, asked).unwrap_or_else(|| asked.into())
}

/// The one UUID on the disk that begins so, without regard to case.
fn abbreviated(state: &State, asked: &str) -> Option<String> {
    if !ABBREVIATION.contains(&asked.len()) || !asked.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return None;
    }
    let begins = |id: &String| id[..asked.len()].eq_ignore_ascii_case(asked);
    let mut all = state.storage.sessions().into_iter().filter(|id| is_uuid(id)).filter(begins);
    all.next().filter(|_| all.next().is_none())
}

fn is_uuid(id: &str) -> bool {
    let dash = |at| matches!(at, 8 | 13 | 18 | 23);
    id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| if dash(at) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// Live here, or with anything on the disk: also before the first turn, and also when another process holds it.
fn exists(state: &State, id: &str) -> bool {
    state.live.contains_key(id) || state.storage.exists(id)
}

fn client_metadata(state: &State, ids: &[&str]) -> String {
    let entry = |id: &&str| {
        if exists(state, id) {
            format!(r#"{{"sessionId":{},"status":"ok","metadata":{{}}}}"#, quote(id))
        } else {
            format!(r#"{{"sessionId":{},"status":"notFound"}}"#, quote(id))
        }
    };
    format!("[{}]", ids.iter().map(entry).collect::<Vec<_>>().join(","))
}

/// Those that another process holds; the one that is asked does not name its own.
fn in_use(state: &State, ids: &[&str]) -> String {
    let other = |id: &&&str| {
        let holder = state.storage.read(id).and_then(|kept| kept.used_by);
        holder.is_some_and(|holder| holder != state.process)
    };
    json!({"inUse": ids.iter().filter(other).collect::<Vec<_>>()}).to_string()
}

fn found(id: Option<String>) -> String {
    id.map_or_else(|| "{}".into(), |id| format!(r#"{{"sessionId":{}}}"#, quote(&id)))
}

fn missing(key: &str) -> String {
    format!("missing or non-array parameter '{key}'")
}
