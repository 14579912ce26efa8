//! What a backend's frame is, from its first bytes.
//!
//! Nearly all frames of a backend have one of two shapes, so their first bytes are compared with the shape (4 to 9 ns);
//! only the others are walked key by key. Nothing behind the routing keys is looked at: backends are trusted, and lone
//! surrogates and other oddities of theirs pass through byte for byte.

use super::{scan::Span, text::plain_run};

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glance<'a> {
    /// A `session.event` notification.
    Event {
        /// `params.sessionId`, as it stands (session ids need no escapes).
        session: &'a [u8],
        /// `params.event.type`.
        kind: &'a [u8],
    },
    /// An answer to a request that went this way.
    Answer {
        /// The `id` token, quotes included.
        id: Span,
        /// A `result`, not an `error`.
        ok: bool,
    },
    /// A request (`id` is there) or a notification of the backend.
    Call {
        /// The `id` token of a request.
        id: Option<Span>,
        /// The inside of `method`.
        method: Span,
    },
}

const EVENT: &[u8] = br#"{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":""#;
const EVENT_TYPE: &[u8] = br#"","event":{"type":""#;
const ANSWER: &[u8] = br#"{"jsonrpc":"2.0","id":"#;

/// Reads a frame's body, or its first bytes where `whole` is false. `None`: not enough bytes to tell, or (of a whole
/// body) not a JSON-RPC message.
#[inline]
pub fn glance(body: &[u8], whole: bool) -> Option<Glance<'_>> {
    glance_event(body).or_else(|| glance_answer(body)).or_else(|| walk(body, whole))
}

#[inline]
fn glance_event(body: &[u8]) -> Option<Glance<'_>> {
    let rest = body.strip_prefix(EVENT)?;
    let session = &rest[..memchr::memchr(b'"', &rest[..rest.len().min(200)])?];
    let rest = rest[session.len()..].strip_prefix(EVENT_TYPE)?;
    let kind = &rest[..memchr::memchr(b'"', &rest[..rest.len().min(100)])?];
    Some(Glance::Event { session, kind })
}

#[inline]
fn glance_answer(body: &[u8]) -> Option<Glance<'_>> {
    let rest = body.strip_prefix(ANSWER)?;
    let len = match rest.first()? {
        b'"' => {
            let end = 1 + memchr::memchr(b'"', &rest[1..rest.len().min(300)])?;
            if memchr::memchr(b'\\', &rest[..end]).is_some() {
                return None;
            }
            end + 1
        }
        // `null` answers nobody: an error about something that could not be read.
        b'n' => return None,
        _ => rest[..rest.len().min(24)].iter().position(|byte| *byte == b',')?,
    };
    let id = Span { start: ANSWER.len() as u32, end: (ANSWER.len() + len) as u32, escaped: false };
    let rest = &rest[len..];
    if rest.starts_with(br#","result":"#) {
        Some(Glance::Answer { id, ok: true })
    } else if rest.starts_with(br#","error":"#) {
        Some(Glance::Answer { id, ok: false })
    } else {
        None
    }
}

/// The envelope key by key, for every other shape.
#[cold]
fn walk(body: &[u8], whole: bool) -> Option<Glance<'_>> {
    let (mut id, mut method, mut answer, mut params) = (None, None, None, false);
    let mut at = skip_space(body, 0);
    if body.get(at) != Some(&b'{') {
        return None;
    }
    at = skip_space(body, at + 1);
    let ended = loop {
        let Some(key_end) = skip_string(body, at) else { break false };
        let key = &body[at + 1..key_end - 1];
        let colon = skip_space(body, key_end);
        if body.get(colon) != Some(&b':') {
            break false;
        }
        let start = skip_space(body, colon + 1);
        match key {
            b"result" => answer = Some(true),
            b"error" => answer = Some(false),
            b"params" => params = true,
            _ => {}
        }
        // A request may have its id behind its params: one that shows none yet has to be whole.
        if !whole && id.is_some() && (answer.is_some() || params && method.is_some()) {
            break true;
        }
        let Some(end) = skip_value(body, start) else { break false };
        let span = Span { start: start as u32, end: end as u32, escaped: false };
        match key {
            b"id" if body[start] != b'n' => id = Some(span),
            b"method" if body[start] == b'"' => {
                method = Some(Span { start: span.start + 1, end: span.end - 1, ..span })
            }
            _ => {}
        }
        at = skip_space(body, end);
        match body.get(at) {
            Some(b',') => at = skip_space(body, at + 1),
            Some(b'}') => break true,
            _ => break false,
        }
    };
    match (method, id, answer) {
        _ if !ended => None,
        (Some(method), id, _) => Some(Glance::Call { id, method }),
        (None, Some(id), Some(ok)) => Some(Glance::Answer { id, ok }),
        _ => None,
    }
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The offset behind the string that begins at `at`.
fn skip_string(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        at += plain_run(bytes.get(at..)?);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The offset behind the value that begins at `at`; `None` where it goes on behind the bytes.
fn skip_value(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = at;
    loop {
        match bytes.get(at)? {
            b'"' => at = skip_string(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if depth > 0 => at += 1,
            _ => {
                let rest = &bytes[at..];
                let len =
                    rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'))?;
                at += len.max(1);
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str, span: Span) -> &str {
        &body[span.start as usize..span.end as usize]
    }

    #[test]
    fn the_common_shapes() {
        let event = r#"{"jsonrpc":"2.0","method":"session.event","params":{"sessionId":"s-1","event":{"type":"session.idle","data":{}}}}"#;
        assert_eq!(glance(event.as_bytes(), true), Some(Glance::Event { session: b"s-1", kind: b"session.idle" }));
        let answer = r#"{"jsonrpc":"2.0","id":5,"result":{"ok":true}}"#;
        let Some(Glance::Answer { id, ok: true }) = glance(answer.as_bytes(), true) else { panic!() };
        assert_eq!(text(answer, id), "5");
        let answer = r#"{"jsonrpc":"2.0","id":"a-b","error":{"code":1}}"#;
        let Some(Glance::Answer { id, ok: false }) = glance(answer.as_bytes(), true) else { panic!() };
        assert_eq!(text(answer, id), "\"a-b\"");
    }

    #[test]
    fn other_orders_and_spaces() {
        let call = r#" { "method" : "hooks.invoke", "params":{"sessionId":"s","x":["\"}",{"id":9}]}, "id": 3, "jsonrpc":"2.0"}"#;
        let Some(Glance::Call { id: Some(id), method }) = glance(call.as_bytes(), true) else { panic!() };
        assert_eq!((text(call, id), text(call, method)), ("3", "hooks.invoke"));
        let answer = r#"{"result":{"id":7,"method":"x"},"jsonrpc":"2.0","id":"q"}"#;
        assert!(matches!(glance(answer.as_bytes(), true), Some(Glance::Answer { ok: true, .. })));
        let lone = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}"#;
        assert_eq!(glance(lone.as_bytes(), true), None);
    }

    #[test]
    fn the_first_bytes_of_a_large_frame_are_enough() {
        let head =
            r#"{"jsonrpc":"2.0","id":4,"method":"sessionFs.writeFile","params":{"sessionId":"s","content":"aaaa"#;
        assert!(matches!(glance(head.as_bytes(), false), Some(Glance::Call { id: Some(_), .. })));
        assert_eq!(glance(br#"{"jsonrpc":"2.0","id":4,"met"#, false), None);
        assert_eq!(glance(b"garbage", true), None);
    }
}
