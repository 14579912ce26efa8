//! The scanner of client bodies against serde_json: it agrees or refuses.

use pilotfish::wire::{
    Scan, Scanner,
    scan::{Params, Place, Value},
};
use serde_json::Value as Json;

/// Bodies up to this size are split at every byte, longer ones at a few.
const EVERY: usize = 2048;

/// Scans `data` as one body. True if it is accepted.
pub fn check(data: &[u8]) -> bool {
    let whole = Scan::read(data);
    every_split_agrees(data, whole.is_ok());
    let json: Result<Json, _> = serde_json::from_slice(data);
    match (&whole, json) {
        (Ok(scan), Ok(json)) => agrees(data, scan, &json),
        (Ok(_), Err(error)) => panic!("accepted what serde_json refuses: {error}"),
        (Err(refused), Ok(json)) => {
            if let Some(id) = &refused.id {
                same_id(
                    &{
                        let mut text = Vec::new();
                        id.append_json(&mut text);
                        text
                    },
                    &json["id"],
                );
            }
        }
        (Err(_), Err(_)) => {}
    }
    whole.is_ok()
}

fn every_split_agrees(data: &[u8], accepted: bool) {
    let step = if data.len() <= EVERY { 1 } else { data.len() / 8 };
    for at in (0..=data.len()).step_by(step) {
        let mut scanner = Scanner::default();
        let (head, tail) = data.split_at(at);
        let end = scanner.feed(head).and_then(|()| scanner.feed(tail)).and_then(|()| scanner.finish());
        assert_eq!(end.is_ok(), accepted, "split at {at}: {end:?}");
    }
}

fn agrees(data: &[u8], scan: &Scan, json: &Json) {
    assert!(json.is_object(), "accepted {json}");
    assert_eq!(json["jsonrpc"], "2.0");
    assert_eq!(scan.method_name(data).as_deref(), json["method"].as_str(), "method");
    match scan.id {
        Some(span) => same_id(span.of(data).expect("a span inside the body"), &json["id"]),
        None => assert!(json.get("id").is_none(), "id overlooked"),
    }
    assert_eq!(scan.is_answer, json.get("result").is_some() || json.get("error").is_some(), "answer or not");
    match scan.params {
        Params::Absent => assert!(json.get("params").is_none(), "params overlooked"),
        Params::Object { empty, .. } => {
            assert_eq!(json["params"].as_object().map(serde_json::Map::is_empty), Some(empty), "params");
        }
        Params::Other => panic!("accepted params that are no object"),
    }
    let session = &json["params"]["sessionId"];
    match scan.value(Place::SessionId) {
        Value::Text(_) => {
            assert_eq!(scan.text(data, Place::SessionId).as_deref(), session.as_str(), "sessionId");
        }
        _ => assert!(!session.is_string(), "sessionId {session} overlooked"),
    }
}

fn same_id(token: &[u8], json: &Json) {
    let read: Json = serde_json::from_slice(token).expect("an id is a JSON value");
    assert_eq!(&read, json, "id");
}
