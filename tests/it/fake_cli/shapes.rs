//! Texts of the wire in the key order of the real CLI. `serde_json` would sort the keys, so they are written out.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

/// A body behind its `Content-Length` header.
pub fn frame(body: &str) -> Bytes {
    Bytes::from(format!("Content-Length: {}\r\n\r\n{body}", body.len()))
}

/// The answer to request `id` (its JSON text).
pub fn answer(id: &str, result: &str) -> Bytes {
    frame(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
}

/// The error answer to request `id` (its JSON text, `null` for a malformed frame).
pub fn failure(id: &str, code: i64, message: &str) -> Bytes {
    let message = quote(message);
    frame(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}}}}}"#))
}

/// A request of the server; `params` is JSON text.
pub fn request(id: u64, method: &str, params: &str) -> Bytes {
    frame(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{},"params":{params}}}"#, quote(method)))
}

/// A notification of the server; `params` is JSON text.
pub fn notification(method: &str, params: &str) -> Bytes {
    frame(&format!(r#"{{"jsonrpc":"2.0","method":{},"params":{params}}}"#, quote(method)))
}

/// One event of a session: its JSON text and its id, the parent of the next one.
pub fn event(kind: &str, data: &str, ephemeral: bool, parent: &Option<String>) -> (String, String) {
    let id = Uuid::new_v4().to_string();
    let flag = if ephemeral { r#""ephemeral":true,"# } else { "" };
    let parent = parent.as_deref().map_or_else(|| "null".into(), quote);
    let text = format!(
        r#"{{"type":{},"data":{data},{flag}"id":"{id}","timestamp":"{}","parentId":{parent}}}"#,
        quote(kind),
        stamp()
    );
    (text, id)
}

/// `session.event` around an event's text.
pub fn session_event(session: &str, event: &str) -> Bytes {
    notification("session.event", &format!(r#"{{"sessionId":{},"event":{event}}}"#, quote(session)))
}

/// `session.lifecycle`; a deleted session has no times.
pub fn lifecycle(kind: &str, session: &str, times: Option<(&str, &str)>) -> Bytes {
    let metadata = times.map_or_else(String::new, |(start, modified)| {
        format!(r#","metadata":{{"startTime":"{start}","modifiedTime":"{modified}"}}"#)
    });
    notification("session.lifecycle", &format!(r#"{{"type":"{kind}","sessionId":{}{metadata}}}"#, quote(session)))
}

/// The result of `session.create` and `session.resume`.
pub fn opened(session: &str, start: &str) -> String {
    let id = quote(session);
    format!(
        r#"{{"sessionId":{id},"nativeSessionId":{id},"startTime":"{start}","isRemote":false,"mode":"interactive","workspacePath":"/home/fake/session-state/{session}","capabilities":{{"ui":{{"elicitation":false,"mcpApps":false,"canvases":false}},"extensions":false}},"modelState":{{}}}}"#
    )
}

/// A JSON string.
pub fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// A time that grows by a millisecond with every call, over all fakes of the test, so that "newest" has one meaning.
pub fn stamp() -> String {
    static TICK: AtomicU64 = AtomicU64::new(0);
    let ms = TICK.fetch_add(1, Ordering::Relaxed);
    let (s, m, h) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    format!("2026-11-24T{:02}:{:02}:{:02}.{:03}Z", h % 24, m % 60, s % 60, ms % 1_000)
}
