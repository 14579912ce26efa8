//! Strings in the scan: keys and what they mean, text at the places that routing looks at.

use super::{
    Params, Place, ScanError, Scanner, Span, Value, Want,
    places::{Slot, slot_of_envelope, slot_of_metadata, slot_of_options, slot_of_params},
    token::StringState,
};
use crate::wire::{
    id::MAX_STRING_ID,
    text::{ascii_run, plain_run},
};

/// Strings up to this length take the short way. Longer ones would be looked at twice if they go on behind the chunk.
const NEAR: usize = 256;

impl Scanner {
    /// A string begins. Most are short and plain and lie in the chunk as a whole: those are done with here.
    #[inline]
    pub(super) fn begin_string(&mut self, chunk: &[u8], at: usize, is_key: bool) -> usize {
        let from = at + 1;
        let near = chunk.len().min(from + NEAR);
        let end = from + ascii_run(&chunk[from..near]);
        if end == near || chunk[end] != b'"' {
            self.open_string(at, is_key);
            return from;
        }
        let text = &chunk[from..end];
        if is_key {
            self.end_key(text);
            if chunk.get(end + 1) == Some(&b':') {
                self.want = Want::Value;
                return end + 2;
            }
        } else {
            let span = Span { start: self.offset + from as u32, end: self.offset + end as u32, escaped: false };
            self.end_text(span, text == b"2.0");
        }
        end + 1
    }

    #[inline]
    pub(super) fn open_string(&mut self, at: usize, is_key: bool) {
        self.token_start = self.offset + at as u32;
        let keep = if is_key { self.depth < 4 } else { self.slot == Slot::Jsonrpc };
        self.string = StringState::new(keep);
        self.string_is_key = is_key;
        self.want = Want::InString;
    }

    #[inline]
    pub(super) fn string(&mut self, chunk: &[u8], at: usize) -> Result<usize, ScanError> {
        if self.string.in_escape() {
            self.string.escape(chunk[at]).map_err(ScanError::Parse)?;
            return Ok(at + 1);
        }
        let end = self.string_run(chunk, at)?;
        if end == chunk.len() {
            self.string.plain(&chunk[at..end]).map_err(ScanError::Parse)?;
            return Ok(end);
        }
        match chunk[end] {
            b'"' => {
                self.string.plain(&chunk[at..end]).map_err(ScanError::Parse)?;
                self.string.finish().map_err(ScanError::Parse)?;
                self.end_string(self.offset + end as u32);
            }
            b'\\' => {
                self.string.plain(&chunk[at..end]).map_err(ScanError::Parse)?;
                self.string.open_escape();
            }
            _ => return Err(ScanError::Parse("a control character stands in a string")),
        }
        Ok(end + 1)
    }

    /// Where the plain content that begins at `at` ends. Bytes outside of ASCII can only stand in strings, so only here is
    /// UTF-8 checked.
    #[inline]
    pub(super) fn string_run(&mut self, chunk: &[u8], at: usize) -> Result<usize, ScanError> {
        let mut end = if self.utf8.whole() { at + ascii_run(&chunk[at..]) } else { at };
        if !self.utf8.whole() || chunk.get(end).is_some_and(|byte| !byte.is_ascii()) {
            let stretch = plain_run(&chunk[end..]);
            let valid = self.utf8.feed(&chunk[end..end + stretch]);
            end += stretch;
            if !valid || (end < chunk.len() && !self.utf8.whole()) {
                return Err(ScanError::Parse("it is not UTF-8"));
            }
        }
        Ok(end)
    }

    pub(super) fn end_string(&mut self, quote: u32) {
        if self.string_is_key {
            let string = std::mem::take(&mut self.string);
            return match string.kept() {
                Some(key) => self.end_key(key),
                // Longer than any key that is known.
                None => self.end_key(b""),
            };
        }
        let span = Span { start: self.token_start + 1, end: quote, escaped: self.string.escaped() };
        self.end_text(span, self.string.kept() == Some(b"2.0"));
    }

    #[inline]
    pub(super) fn end_key(&mut self, key: &[u8]) {
        self.want = Want::Colon;
        self.slot = if self.depth < 4 { self.key_slot(key) } else { Slot::Other };
    }

    #[inline]
    pub(super) fn end_text(&mut self, span: Span, is_version: bool) {
        match self.slot {
            Slot::Other => {}
            Slot::Jsonrpc if !is_version => self.wrong_type(),
            Slot::Jsonrpc => {}
            Slot::Method => self.scan.method = Some(span),
            Slot::Id if span.len() > MAX_STRING_ID => self.wrong_type(),
            Slot::Id => {
                self.scan.id = Some(Span { start: span.start - 1, end: span.end + 1, escaped: span.escaped });
            }
            Slot::Params => self.scan.params = Params::Other,
            Slot::Result | Slot::Error => self.scan.is_answer = true,
            Slot::Place(place) => self.scan.values[place as usize] = Value::Text(span),
        }
        self.end_value();
    }

    /// What the key that just ended means, and whether it stands there twice.
    pub(super) fn key_slot(&mut self, key: &[u8]) -> Slot {
        let slot = match (self.depth, self.context[2]) {
            (1, _) => slot_of_envelope(key),
            (2, Slot::Params) => slot_of_params(key),
            (3, Slot::Params) => match self.context[3] {
                Slot::Place(Place::Options) => slot_of_options(key),
                Slot::Place(Place::Metadata) => slot_of_metadata(key),
                _ => Slot::Other,
            },
            _ => Slot::Other,
        };
        if slot != Slot::Other {
            if self.seen & slot.bit() != 0 {
                self.id_twice |= slot == Slot::Id;
                self.blame(ScanError::Request("a key of the envelope or of routing stands there twice"));
            }
            self.seen |= slot.bit();
        }
        slot
    }
}
