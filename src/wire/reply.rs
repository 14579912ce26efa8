//! Bodies that we write ourselves.

use serde_json::{Value, json};

use super::{code::Reason, id::RequestId};

/// An error answer: `data.reason` and `data.retryable` as DESIGN section 5 says. `id: None` is `null`.
pub fn error(id: Option<&RequestId>, reason: Reason, message: &str) -> Vec<u8> {
    error_with(id, reason, message, json!({}))
}

/// The same with more members in `data`.
pub fn error_with(id: Option<&RequestId>, reason: Reason, message: &str, mut data: Value) -> Vec<u8> {
    let code = reason.code();
    if let Some(data) = data.as_object_mut() {
        data.insert("reason".into(), reason.text().into());
        data.insert("retryable".into(), code.retryable.into());
    }
    let error = json!({ "code": code.number, "message": message, "data": data });
    answer(id, "error", &error)
}

/// A result answer.
pub fn result(id: &RequestId, result: &Value) -> Vec<u8> {
    answer(Some(id), "result", result)
}

/// An error towards a backend for a request of its that no client will answer.
pub fn refuse_backend(id_token: &[u8], number: i32, message: &str) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    out.extend_from_slice(id_token);
    out.extend_from_slice(format!(r#","error":{{"code":{number},"message":{}}}}}"#, json!(message)).as_bytes());
    out
}

/// A `session.event` notification of our own: how a cut turn ends for a client.
pub fn event(session: &str, kind: &str, data: &Value, event_id: &str, timestamp: &str) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"#.to_vec();
    out.extend_from_slice(json!(session).to_string().as_bytes());
    let tail = format!(
        r#","event":{{"type":{},"data":{data},"ephemeral":true,"id":{},"timestamp":{},"parentId":null}}}}}}"#,
        json!(kind),
        json!(event_id),
        json!(timestamp)
    );
    out.extend_from_slice(tail.as_bytes());
    out
}

fn answer(id: Option<&RequestId>, key: &str, value: &Value) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    match id {
        Some(id) => id.append_json(&mut out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(format!(r#","{key}":{value}}}"#).as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_json_rpc() {
        let body = error(Some(&RequestId::Number(0)), Reason::NoBackend, "no \"backend\"");
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["id"], 0);
        assert_eq!(value["error"]["code"], -32010);
        assert_eq!(value["error"]["data"]["reason"], "no_backend");
        assert_eq!(value["error"]["data"]["retryable"], true);
        let null: Value = serde_json::from_slice(&error(None, Reason::ParseError, "x")).unwrap();
        assert!(null["id"].is_null());
    }

    #[test]
    fn events_have_the_runtime_s_shape() {
        let body = event("s", "session.idle", &json!({}), "e", "2026-11-24T00:00:00Z");
        assert!(matches!(super::super::glance::glance(&body, true), Some(super::super::glance::Glance::Event { .. })));
        assert!(serde_json::from_slice::<Value>(&body).is_ok());
    }
}
