//! The frames of the bench, in the key order of the real SDK and CLI.

use std::rc::Rc;

/// One mebibyte, the size of a large frame's string.
pub const MIB: usize = 1024 * 1024;
/// The start of every request and answer.
pub const START: &[u8] = br#"{"jsonrpc":"2.0","id":"#;
/// Digits of an id. Ids of a fixed width let a frame be patched in place.
pub const DIGITS: usize = 7;
/// The first id.
pub const BASE: u32 = 1_000_000;

/// A body behind its header.
pub fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// `session.send` for one session, ready but for its id.
pub struct Call {
    bytes: Vec<u8>,
    id_at: usize,
}

impl Call {
    /// A frame of 128 bytes, header included, if `session` has 6 characters.
    pub fn small(session: &str) -> Self {
        Self::with_prompt(session, "xxxxxxx")
    }

    /// A call with a prompt of its own. Prompts that start with `flood` or `big` are orders to the backend.
    pub fn with_prompt(session: &str, prompt: &str) -> Self {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{BASE},"method":"session.send","params":{{"sessionId":"{session}","prompt":"{prompt}"}}}}"#
        );
        let bytes = frame(body.as_bytes());
        let id_at = bytes.len() - body.len() + START.len();
        Self { bytes, id_at }
    }

    /// The frame with `id`.
    pub fn with_id(&mut self, id: u32) -> &[u8] {
        put_id(&mut self.bytes[self.id_at..self.id_at + DIGITS], id);
        &self.bytes
    }

    /// The frame in two parts: with `id`, up to the prompt's bulk, and the shared rest.
    pub fn head_and_tail(&self) -> (Vec<u8>, Rc<Vec<u8>>, usize) {
        let cut = self.id_at + DIGITS;
        (self.bytes[..cut].to_vec(), Rc::new(self.bytes[cut..].to_vec()), self.id_at)
    }
}

/// Writes an id of [`DIGITS`] digits.
pub fn put_id(into: &mut [u8], mut id: u32) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + (id % 10) as u8;
        id /= 10;
    }
}

/// The id of an answer with a result, in the shape that the backend writes; anything else is `None`.
pub fn answered(body: &[u8]) -> Option<u32> {
    let digits = body.strip_prefix(START)?.get(..DIGITS)?;
    if !body[START.len() + DIGITS..].starts_with(br#","result""#) {
        return None;
    }
    digits.iter().try_fold(0, |id, digit| digit.is_ascii_digit().then(|| id * 10 + u32::from(digit - b'0')))
}

/// A `session.event` frame of 300 bytes, header included, if `session` has 6 characters.
pub fn event(session: &str) -> Vec<u8> {
    let body = |delta: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"session.event","params":{{"sessionId":"{session}","event":{{"type":"assistant.message_delta","data":{{"messageId":"m1","deltaContent":"{delta}"}},"ephemeral":true,"id":"c75b3824","timestamp":"2026-11-24T07:02:49.591Z","parentId":"abf10ba6"}}}}}}"#
        )
    };
    let empty = frame(body("").as_bytes()).len();
    frame(body(&"d".repeat(300_usize.saturating_sub(empty))).as_bytes())
}
