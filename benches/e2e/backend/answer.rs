//! What the backend answers: the calls of the generator by their shape, everything else (a proxy's own probes) by a parser.

use std::{cell::OnceCell, rc::Rc};

use memchr::memmem;
use serde_json::{Value, json};

use crate::{
    frames::{MIB, START, event, frame},
    out::Out,
};

/// What a request asks for beyond its answer.
pub enum Order {
    Nothing,
    /// A stream of this event.
    Flood(Vec<u8>),
}

/// Appends the answer to `body` to `out`.
pub fn answer(body: &[u8], out: &mut Out) -> Order {
    match call(body) {
        Some((id, session, prompt)) if prompt.starts_with(b"flood") => {
            small(id, out);
            Order::Flood(event(&String::from_utf8_lossy(session)))
        }
        Some((id, _, prompt)) if prompt.starts_with(b"big") => {
            large(id, out);
            Order::Nothing
        }
        Some((id, ..)) => {
            small(id, out);
            Order::Nothing
        }
        None => {
            slowly(body, out);
            Order::Nothing
        }
    }
}

/// Id, session and the start of the prompt of a `session.send` in the SDK's shape.
fn call(body: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let rest = body.strip_prefix(START)?;
    let (id, rest) = rest.split_at(memchr::memchr(b',', rest)?);
    let rest = rest.strip_prefix(br#","method":"session.send","params":{"sessionId":""#)?;
    let (session, rest) = rest.split_at(memchr::memchr(b'"', rest)?);
    Some((id, session, rest.strip_prefix(br#"","prompt":""#)?))
}

/// An answer of 128 bytes, header included, for an id of 7 digits.
fn small(id: &[u8], out: &mut Out) {
    const REST: &[u8] = br#","result":{"messageId":"fb4bd045-6ee2-473c-aae2-fa42c79763a4-000000000000"}}"#;
    let own = out.own();
    let length = START.len() + id.len() + REST.len();
    let digits = [b'0' + (length / 100) as u8, b'0' + (length / 10 % 10) as u8, b'0' + (length % 10) as u8];
    own.extend_from_slice(b"Content-Length: ");
    own.extend_from_slice(if length < 100 { &digits[1..] } else { &digits });
    own.extend_from_slice(b"\r\n\r\n");
    own.extend_from_slice(START);
    own.extend_from_slice(id);
    own.extend_from_slice(REST);
}

/// An answer with a string of 1 MiB.
fn large(id: &[u8], out: &mut Out) {
    thread_local! {
        static TAIL: OnceCell<Rc<Vec<u8>>> = const { OnceCell::new() };
    }
    let tail = TAIL.with(|tail| {
        tail.get_or_init(|| Rc::new(format!(r#","result":{{"content":"{}"}}}}"#, "y".repeat(MIB)).into_bytes())).clone()
    });
    let own = out.own();
    let length = START.len() + id.len() + tail.len();
    own.extend_from_slice(format!("Content-Length: {length}\r\n\r\n").as_bytes());
    own.extend_from_slice(START);
    own.extend_from_slice(id);
    out.share(&tail);
}

/// `connect`, `ping`, `session.create` and whatever else a proxy or the generator's set-up asks.
fn slowly(body: &[u8], out: &mut Out) {
    let Ok(request) = serde_json::from_slice::<Value>(body) else { return slowly_large(body, out) };
    let (Some(id), Some(method)) = (request.get("id"), request["method"].as_str()) else { return };
    if method == "sessions.list" {
        return super::list::answer(&id.to_string(), out);
    }
    let session = &request["params"]["sessionId"];
    if method == "session.metadata.activity" {
        // No session of the list is live.
        let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32603, "message": "Session not found"}});
        return out.own().extend(frame(error.to_string().as_bytes()));
    }
    let result = match method {
        "connect" => r#"{"ok":true,"protocolVersion":3,"version":"1.0.102","taskKinds":["agent","shell"]}"#.into(),
        "ping" => r#"{"message":"pong","timestamp":"2026-11-24T07:02:17.776Z","protocolVersion":3}"#.into(),
        "session.create" | "session.resume" => {
            format!(r#"{{"sessionId":{session},"nativeSessionId":{session},"isRemote":false}}"#)
        }
        _ => r#"{"success":true}"#.into(),
    };
    out.own().extend(frame(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).as_bytes()));
}

/// A body of which only the start was kept, in a shape that is not the generator's.
fn slowly_large(head: &[u8], out: &mut Out) {
    if let Some(at) = memmem::find(head, br#""id":"#) {
        let id = &head[at + 5..];
        let end = id.iter().position(|byte| matches!(byte, b',' | b'}')).unwrap_or(0);
        small(&id[..end], out);
    }
}
