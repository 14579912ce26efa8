//! Reads of a client's body what routing needs, and refuses whatever two readers could read differently.
//!
//! One pass, no tree, resumable at any byte: a large body is scanned chunk by chunk while it flows. It is stricter than
//! the runtime's reader and than the SDK's (`edge-cases.md` section 2): UTF-8, escapes, surrogates, number range,
//! depth, and no key of the envelope or of routing twice, however it is spelt.

mod found;
mod places;
mod strings;
mod token;

pub use found::{Params, Refused, Scan, ScanError};
use places::Slot;
pub use places::{Place, Span, Value};
use token::{Number, StringState};

use super::{id::RequestId, text::Utf8};

/// Containers may nest this deep, the envelope itself counted. The runtime refuses 128, real bodies have fewer than 20.
pub const MAX_DEPTH: u32 = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Want {
    /// Before the body's first token.
    #[default]
    Start,
    /// A value, after `:` or `,`.
    Value,
    /// A value or `]`.
    ValueOrEnd,
    /// A key or `}`.
    KeyOrEnd,
    /// A key, after `,`.
    Key,
    Colon,
    CommaOrEnd,
    InString,
    InNumber,
    InLiteral,
    /// After the last token: white space only.
    End,
}

/// The scan in progress. Feed it the body in order, then [`Scanner::finish`].
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    scan: Scan,
    want: Want,
    depth: u32,
    /// Bit `d - 1`: the container at depth `d` is an object.
    objects: u64,
    /// What the keys at depths 1 to 3 mean.
    context: [Slot; 4],
    /// Which place the value being read belongs to.
    slot: Slot,
    seen: u64,
    offset: u32,
    token_start: u32,
    string: StringState,
    string_is_key: bool,
    number: Number,
    literal: &'static [u8],
    utf8: Utf8,
    fault: Option<ScanError>,
    id_twice: bool,
}

impl Scanner {
    /// What was found so far.
    pub fn scan(&self) -> &Scan {
        &self.scan
    }

    /// What was found, once the body has ended.
    pub fn into_scan(self) -> Scan {
        self.scan
    }

    /// A fault against JSON-RPC that was seen; the scan goes on behind it to learn the id.
    pub fn fault(&self) -> Option<ScanError> {
        self.fault
    }

    /// Bytes fed so far.
    pub fn offset(&self) -> usize {
        self.offset as usize
    }

    /// Takes the next bytes of the body.
    ///
    /// # Errors
    /// [`ScanError::Parse`] at the first byte that is not JSON. Do not feed it again after that.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), ScanError> {
        let mut at = 0;
        while at < chunk.len() {
            at = match self.want {
                Want::InString => self.string(chunk, at)?,
                Want::InNumber => self.number(chunk, at)?,
                Want::InLiteral => self.literal(chunk[at], at)?,
                _ => self.token(chunk, at)?,
            };
        }
        self.offset += chunk.len() as u32;
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// [`ScanError`]: the JSON is cut short, or it is not a JSON-RPC message.
    pub fn finish(&mut self) -> Result<(), ScanError> {
        if self.want == Want::InNumber && self.depth == 0 {
            self.number.finish()?;
            self.want = Want::End;
        }
        if self.want != Want::End || !self.utf8.whole() {
            return Err(ScanError::Parse("it ends too early"));
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.check_envelope()
    }

    /// The id, if the envelope has exactly one valid id.
    pub fn certain_id(&self, body: &[u8]) -> Option<RequestId> {
        if self.id_twice { None } else { self.scan.request_id(body) }
    }

    fn check_envelope(&self) -> Result<(), ScanError> {
        let has = |slot: Slot| self.seen & slot.bit() != 0;
        if !has(Slot::Jsonrpc) {
            return Err(ScanError::Request("`jsonrpc` must be \"2.0\""));
        }
        match (has(Slot::Method), self.scan.is_answer) {
            (true, true) => return Err(ScanError::Request("a message is a request or an answer, not both")),
            (false, false) => return Err(ScanError::Request("`method` is missing")),
            (false, true) if !has(Slot::Id) => return Err(ScanError::Request("an answer needs an `id`")),
            (false, true) if has(Slot::Result) && has(Slot::Error) => {
                return Err(ScanError::Request("an answer has a `result` or an `error`, not both"));
            }
            _ => {}
        }
        match self.scan.params {
            Params::Other => Err(ScanError::Params("`params` must be an object or absent")),
            _ => Ok(()),
        }
    }

    pub(super) fn blame(&mut self, fault: ScanError) {
        self.fault.get_or_insert(fault);
    }

    /// One structural byte.
    #[inline]
    fn token(&mut self, chunk: &[u8], at: usize) -> Result<usize, ScanError> {
        let byte = chunk[at];
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return Ok(at + 1);
        }
        match (self.want, byte) {
            (Want::KeyOrEnd | Want::Key, b'"') => return Ok(self.begin_string(chunk, at, true)),
            (Want::Colon, b':') => self.want = Want::Value,
            (Want::CommaOrEnd, b',') => self.want = if self.in_object() { Want::Key } else { Want::Value },
            (Want::CommaOrEnd | Want::KeyOrEnd, b'}') if self.in_object() => self.close(at),
            (Want::CommaOrEnd | Want::ValueOrEnd, b']') if !self.in_object() => self.close(at),
            (Want::Start | Want::Value | Want::ValueOrEnd, _) => return self.value(chunk, at),
            _ => return Err(ScanError::Parse("a token stands where it must not")),
        }
        Ok(at + 1)
    }

    #[inline]
    fn value(&mut self, chunk: &[u8], at: usize) -> Result<usize, ScanError> {
        let byte = chunk[at];
        if self.want == Want::Start && byte != b'{' {
            self.blame(ScanError::Request("the body must be one object"));
        }
        if !self.in_object() && self.depth > 0 {
            self.slot = Slot::Other;
        }
        match byte {
            b'"' => return Ok(self.begin_string(chunk, at, false)),
            b'{' => self.open(at, true)?,
            b'[' => self.open(at, false)?,
            b'-' | b'0'..=b'9' => {
                self.token_start = self.offset + at as u32;
                self.number = Number::default();
                self.want = Want::InNumber;
                return Ok(at);
            }
            b't' => self.open_literal(at, b"rue"),
            b'f' => self.open_literal(at, b"alse"),
            b'n' => self.open_literal(at, b"ull"),
            _ => return Err(ScanError::Parse("a value was expected")),
        }
        Ok(at + 1)
    }

    #[inline]
    fn in_object(&self) -> bool {
        self.depth > 0 && self.objects >> (self.depth - 1) & 1 == 1
    }

    fn open(&mut self, at: usize, object: bool) -> Result<(), ScanError> {
        if self.depth == MAX_DEPTH {
            return Err(ScanError::Parse("it nests deeper than 64 levels"));
        }
        let start = self.offset + at as u32;
        match self.slot {
            Slot::Params => {
                self.scan.params = if object { Params::Object { at: start, empty: false } } else { Params::Other };
            }
            Slot::Jsonrpc | Slot::Id | Slot::Method => self.wrong_type(),
            Slot::Place(place) => {
                let span = Span { start, end: start, escaped: false };
                self.scan.values[place as usize] = if object { Value::Object(span) } else { Value::Array(span) };
            }
            Slot::Result | Slot::Error => self.scan.is_answer = true,
            Slot::Other => {}
        }
        self.depth += 1;
        let bit = 1u64 << (self.depth - 1);
        if object {
            self.objects |= bit;
        } else {
            self.objects &= !bit;
        }
        if self.depth == 1 {
            self.scan.opened_at = start + 1;
        }
        if (1..4).contains(&self.depth) {
            self.context[self.depth as usize] = if object { self.slot } else { Slot::Other };
        }
        self.want = if object { Want::KeyOrEnd } else { Want::ValueOrEnd };
        self.slot = Slot::Other;
        Ok(())
    }

    fn close(&mut self, at: usize) {
        let end = self.offset + at as u32 + 1;
        if (2..4).contains(&self.depth) {
            self.close_context(end);
        }
        self.depth -= 1;
        self.end_value();
    }

    /// Notes where a container that routing looks at ended.
    fn close_context(&mut self, end: u32) {
        if self.depth == 2
            && let Params::Object { empty, .. } = &mut self.scan.params
            && self.context[2] == Slot::Params
            && self.want == Want::KeyOrEnd
        {
            *empty = true;
        }
        if self.depth == 3 && self.context[2] == Slot::Params {
            for value in &mut self.scan.values {
                if let Value::Object(span) | Value::Array(span) = value
                    && span.end == span.start
                {
                    span.end = end;
                }
            }
        }
    }

    #[inline]
    pub(super) fn end_value(&mut self) {
        self.want = if self.depth == 0 { Want::End } else { Want::CommaOrEnd };
    }

    pub(super) fn wrong_type(&mut self) {
        let fault = match self.slot {
            Slot::Jsonrpc => ScanError::Request("`jsonrpc` must be \"2.0\""),
            Slot::Method => ScanError::Request("`method` must be a string"),
            _ => ScanError::Request("`id` must be a string of at most 256 bytes or an integer within 2^53 - 1"),
        };
        self.blame(fault);
    }

    fn number(&mut self, chunk: &[u8], at: usize) -> Result<usize, ScanError> {
        let taken = self.number.feed(&chunk[at..])?;
        let end = at + taken;
        if end < chunk.len() {
            self.number.finish()?;
            self.end_number(self.offset + end as u32);
        }
        Ok(end)
    }

    fn end_number(&mut self, end: u32) {
        let span = Span { start: self.token_start, end, escaped: false };
        match self.slot {
            Slot::Id if !self.number.is_safe_integer() => self.wrong_type(),
            Slot::Id => self.scan.id = Some(span),
            _ => self.scalar(Value::Number(span)),
        }
        self.end_value();
    }

    fn open_literal(&mut self, at: usize, rest: &'static [u8]) {
        self.token_start = self.offset + at as u32;
        self.literal = rest;
        self.want = Want::InLiteral;
    }

    fn literal(&mut self, byte: u8, at: usize) -> Result<usize, ScanError> {
        match self.literal.split_first() {
            Some((&want, rest)) if want == byte => self.literal = rest,
            _ => return Err(ScanError::Parse("a value was expected")),
        }
        if self.literal.is_empty() {
            let span = Span { start: self.token_start, end: self.offset + at as u32 + 1, escaped: false };
            self.scalar(if byte == b'l' { Value::Null(span) } else { Value::Bool(span) });
            self.end_value();
        }
        Ok(at + 1)
    }

    /// A number, boolean or null ended.
    fn scalar(&mut self, value: Value) {
        match self.slot {
            Slot::Other => {}
            Slot::Jsonrpc | Slot::Id | Slot::Method => self.wrong_type(),
            Slot::Params => self.scan.params = Params::Other,
            Slot::Result | Slot::Error => self.scan.is_answer = true,
            Slot::Place(place) => self.scan.values[place as usize] = value,
        }
    }
}

#[cfg(test)]
mod tests;
