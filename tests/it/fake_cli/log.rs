//! Reading a session's events: `session.getMessages` and `session.eventLog.read`.

use std::sync::Arc;

use serde_json::Value;

use super::{live::Live, shapes::quote};

/// One event as it went, or should have gone, over the wire.
#[derive(Debug)]
pub struct Entry {
    pub id: String,
    pub text: String,
    pub ephemeral: bool,
}

/// The answer to `session.getMessages`: what lasts, in order.
pub fn messages(live: &Live) -> String {
    format!(r#"{{"events":[{}]}}"#, texts(&live.kept.events))
}

/// The answer to `session.eventLog.read`: what came behind the cursor's event. A cursor that is not known is not an error, but
/// everything is told again.
pub fn read(live: &Live, params: &Value) -> String {
    let lasting = params["includeEphemeral"] == false;
    let log = if lasting { &live.kept.events } else { &live.log };
    let cursor = params["cursor"].as_str().unwrap_or("0");
    let id = cursor.split('|').next().unwrap_or(cursor);
    let behind = log.iter().position(|entry| entry.id == id).map(|at| at + 1);
    let status = if behind.is_some() || id == "0" { "ok" } else { "expired" };
    let rest = &log[behind.unwrap_or(0)..];
    let max = params["max"].as_u64().map_or(200, |max| max as usize).min(rest.len());
    let last = rest[..max].iter().rev().find(|entry| !entry.ephemeral).map_or(id, |entry| entry.id.as_str());
    format!(
        r#"{{"events":[{}],"cursor":{},"hasMore":{},"cursorStatus":"{status}"}}"#,
        texts(&rest[..max]),
        quote(&format!("{last}|{}", log.len() - rest.len() + max)),
        max < rest.len()
    )
}

/// The answer to `session.eventLog.tail`.
pub fn tail(live: &Live) -> String {
    let last = live.kept.events.last().map_or("0", |entry| entry.id.as_str());
    format!(r#"{{"cursor":{}}}"#, quote(&format!("{last}|{}", live.log.len())))
}

/// The answer to `session.metadata.activity`.
pub fn activity(live: &Live) -> String {
    let busy = live.turn.is_some();
    format!(r#"{{"abortable":{busy},"hasActiveWork":{busy}}}"#)
}

fn texts(entries: &[Arc<Entry>]) -> String {
    entries.iter().map(|entry| entry.text.as_str()).collect::<Vec<_>>().join(",")
}
