//! Bodies that we write ourselves.

use serde_json::{Value, json};

use super::{code::Reason, id::RequestId, methods::Method};

/// An error answer: `data.reason` and `data.retryable` as DESIGN section 5 says. `id: None` is `null`.
pub fn error(id: Option<&RequestId>, reason: Reason, message: &str) -> Vec<u8> {
    error_with(id, reason, message, json!({}))
}

/// The same with more members in `data`.
pub fn error_with(id: Option<&RequestId>, reason: Reason, message: &str, mut data: Value) -> Vec<u8> {
    let code = reason.code();
    if matches!(reason, Reason::AuthenticationRequired | Reason::AuthenticationFailed) {
        // The runtime's own answers, which have no data.
        return answer(id, "error", &json!({ "code": code.number, "message": message }));
    }
    if let Some(data) = data.as_object_mut() {
        data.insert("reason".into(), reason.text().into());
        data.insert("retryable".into(), code.retryable.into());
    }
    let error = json!({ "code": code.number, "message": message, "data": data });
    answer(id, "error", &error)
}

/// A request of our own; `params` is JSON.
pub fn request(id: &RequestId, method: &str, params: &str) -> Vec<u8> {
    member_answer(id, &format!(r#""method":{},"params":{params}"#, json!(method)))
}

/// A result answer.
pub fn result(id: &RequestId, result: &Value) -> Vec<u8> {
    answer(Some(id), "result", result)
}

/// What the runtime answers for a session that does not exist, byte for byte: the runtime looks for the session before
/// it looks at the other params, so the method and the id decide alone. `name` is the method as it was called.
pub fn absent(id: &RequestId, row: &Method, name: &str, session: &str) -> Vec<u8> {
    let member = match &row.absent {
        Some(member) => member.replace("{id}", &inside_quotes(session)),
        None => {
            let (name, session) = (inside_quotes(name), inside_quotes(session));
            format!(
                r#""error":{{"code":-32603,"message":"Request {name} failed with message: Session not found for sessionId: {session}"}}"#
            )
        }
    };
    member_answer(id, &member)
}

/// Methods whose reader is older than the schema: it words a missing session id in its own way.
const OLDER: &[&str] = &[
    "session.resume",
    "session.destroy",
    "session.detach",
    "session.delete",
    "session.getMetadata",
    "session.getMessages",
];

/// What the runtime answers to a call that names no session although it has to (measured on 1.0.102).
pub fn missing(id: &RequestId, name: &str) -> Vec<u8> {
    let quoted = inside_quotes(name);
    let why = match name {
        _ if OLDER.contains(&name) => "Missing sessionId parameter".to_owned(),
        _ if name.starts_with("sessions.") => "Invalid sessionId: undefined".to_owned(),
        _ => format!("Missing sessionId in {quoted} request"),
    };
    member_answer(id, &format!(r#""error":{{"code":-32603,"message":"Request {quoted} failed with message: {why}"}}"#))
}

/// What the runtime answers to `session.mode.set` with the plan of a session that does not exist (measured on 1.0.102).
pub fn absent_base(id: &RequestId, name: &str, session: &str) -> Vec<u8> {
    let (name, session) = (inside_quotes(name), inside_quotes(session));
    let message = format!("Request {name} failed with message: session not found: {session}");
    member_answer(id, &format!(r#""error":{{"code":-32603,"message":"{message}"}}"#))
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

// Ids are letters, digits, `_` and `-` wherever a wall asks; anything else is escaped all the same.
fn inside_quotes(text: &str) -> String {
    let mut quoted = json!(text).to_string();
    quoted.pop();
    quoted.drain(..1);
    quoted
}

fn member_answer(id: &RequestId, member: &str) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    id.append_json(&mut out);
    out.push(b',');
    out.extend_from_slice(member.as_bytes());
    out.push(b'}');
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

    /// Bodies as the real CLI 1.0.102 sent them.
    #[test]
    fn absent_sessions_are_answered_as_the_runtime_does() {
        let recorded = [
            (
                597,
                "session.send",
                "absent-61",
                r#"{"jsonrpc":"2.0","id":597,"error":{"code":-32603,"message":"Request session.send failed with message: Session not found for sessionId: absent-61"}}"#,
            ),
            (
                5,
                "session.delete",
                "absent-10",
                r#"{"jsonrpc":"2.0","id":5,"result":{"success":false,"error":"Session file not found for absent-10"}}"#,
            ),
            (
                2,
                "session.resume",
                "absent-1",
                r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"Request session.resume failed with message: Failed to load session events: Session not found: absent-1"}}"#,
            ),
            (4, "session.detach", "absent-7", r#"{"jsonrpc":"2.0","id":4,"result":{"success":true}}"#),
            (6, "session.getMetadata", "absent-13", r#"{"jsonrpc":"2.0","id":6,"result":{}}"#),
            (
                14,
                "sessions.fork",
                "absent-28",
                r#"{"jsonrpc":"2.0","id":14,"error":{"code":-32603,"message":"Request sessions.fork failed with message: Cannot fork session absent-28: no persisted or in-memory events found"}}"#,
            ),
            (646, "sessions.open", "absent-900", r#"{"jsonrpc":"2.0","id":646,"result":{"status":"not_found"}}"#),
            (
                40,
                "session.factory.run",
                "absent-98",
                r#"{"jsonrpc":"2.0","id":40,"error":{"code":-32601,"message":"Unhandled method session.factory.run"}}"#,
            ),
        ];
        let table = crate::wire::Methods::get();
        for (number, name, session, body) in recorded {
            let id = RequestId::Number(number);
            let answer = absent(&id, table.row(table.find(name)), name, session);
            assert_eq!(String::from_utf8(answer).unwrap(), body);
        }
    }

    #[test]
    fn an_absent_answer_is_json_whatever_the_id() {
        let table = crate::wire::Methods::get();
        let id = RequestId::text("a\"b");
        for name in ["session.send", "session.delete"] {
            let body = absent(&id, table.row(table.find(name)), name, "x\"{id}\\y\"");
            let value: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(value["id"], "a\"b");
        }
    }

    #[test]
    fn a_missing_session_is_told_as_the_runtime_tells_it() {
        let send = String::from_utf8(missing(&RequestId::Number(1), "session.send")).unwrap();
        let told = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Request session.send failed with message: Missing sessionId in session.send request"}}"#;
        assert_eq!(send, told);
        assert!(
            String::from_utf8(missing(&RequestId::Number(1), "session.delete"))
                .unwrap()
                .contains("Missing sessionId parameter")
        );
    }

    #[test]
    fn authentication_is_refused_as_the_runtime_does() {
        let body = error(Some(&RequestId::Number(4)), Reason::AuthenticationFailed, "AUTHENTICATION_FAILED");
        assert_eq!(body, br#"{"jsonrpc":"2.0","id":4,"error":{"code":-32002,"message":"AUTHENTICATION_FAILED"}}"#);
    }

    #[test]
    fn requests_of_ours_are_json_rpc() {
        let body = request(&RequestId::own(1), "session.detach", r#"{"sessionId":"s"}"#);
        let wanted = br#"{"jsonrpc":"2.0","id":"pilotfish-1","method":"session.detach","params":{"sessionId":"s"}}"#;
        assert_eq!(body, wanted);
    }

    #[test]
    fn events_have_the_runtime_s_shape() {
        let body = event("s", "session.idle", &json!({}), "e", "2026-11-24T00:00:00Z");
        assert!(matches!(super::super::glance::glance(&body, true), Some(super::super::glance::Glance::Event { .. })));
        assert!(serde_json::from_slice::<Value>(&body).is_ok());
    }
}
