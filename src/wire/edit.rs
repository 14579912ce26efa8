//! The few edits of a body that routing needs: everything around them stays byte for byte.

use super::scan::{Params, Place, Scan, Span, Value};

/// A body with the bytes of `span` replaced by `new`.
pub fn replace(body: &[u8], span: Span, new: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + new.len());
    out.extend_from_slice(&body[..span.start as usize]);
    out.extend_from_slice(new);
    out.extend_from_slice(&body[span.end as usize..]);
    out
}

/// A `session.create` whose `params.sessionId` is `session`: set where it is absent, null or empty.
pub fn with_session_id(body: &[u8], scan: &Scan, session: &str) -> Vec<u8> {
    let quoted = format!("\"{session}\"");
    match (scan.value(Place::SessionId), scan.params) {
        (Value::Text(inside), _) => {
            replace(body, Span { start: inside.start - 1, end: inside.end + 1, ..inside }, quoted.as_bytes())
        }
        (Value::Null(span), _) => replace(body, span, quoted.as_bytes()),
        (_, Params::Object { at, empty }) => {
            let comma = if empty { "" } else { "," };
            insert(body, at + 1, format!("\"sessionId\":{quoted}{comma}").as_bytes())
        }
        (_, _) => insert(body, scan.opened_at, format!("\"params\":{{\"sessionId\":{quoted}}},").as_bytes()),
    }
}

/// A `session.send` that steers the turn which runs; `None` if it says itself how it is to be taken.
pub fn with_immediate_mode(body: &[u8], scan: &Scan) -> Option<Vec<u8>> {
    #[derive(serde::Deserialize)]
    struct Send {
        params: Mode,
    }
    #[derive(serde::Deserialize)]
    struct Mode {
        mode: Option<serde::de::IgnoredAny>,
    }
    let Params::Object { at, empty } = scan.params else { return None };
    let plain = serde_json::from_slice::<Send>(body).is_ok_and(|send| send.params.mode.is_none());
    let comma = if empty { "" } else { "," };
    plain.then(|| insert(body, at + 1, format!("\"mode\":\"immediate\"{comma}").as_bytes()))
}

fn insert(body: &[u8], at: u32, new: &[u8]) -> Vec<u8> {
    replace(body, Span { start: at, end: at, escaped: false }, new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_steers_unless_it_says_how_it_is_to_be_taken() {
        let edited = |params: &str| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"session.send","params":{params}}}"#);
            with_immediate_mode(body.as_bytes(), &Scan::read(body.as_bytes()).unwrap())
                .map(|body| String::from_utf8(body).unwrap())
        };
        let steers = edited(r#"{"sessionId":"s","prompt":"p"}"#).unwrap();
        assert!(steers.ends_with(r#""params":{"mode":"immediate","sessionId":"s","prompt":"p"}}"#), "{steers}");
        assert_eq!(edited(r#"{"sessionId":"s","mode":"enqueue"}"#), None);
        assert!(edited(r#"{"sessionId":"s","mode":null}"#).is_some());
    }

    #[test]
    fn a_create_gets_its_id() {
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"method":"session.create"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"session.create","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"session.create","params":{ "model":"m"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"session.create","params":{"sessionId":null,"model":"m"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"session.create","params":{"model":"m","sessionId":""}}"#,
        ] {
            let scan = Scan::read(body.as_bytes()).unwrap();
            let edited = with_session_id(body.as_bytes(), &scan, "abc-1");
            let again = Scan::read(&edited).unwrap();
            assert_eq!(again.text(&edited, Place::SessionId).unwrap(), "abc-1", "{body}");
            assert_eq!(body.contains("model"), String::from_utf8(edited).unwrap().contains("model"));
        }
    }
}
