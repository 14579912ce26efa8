//! What a scan gives back: spans, or why the body is refused.

use std::borrow::Cow;

use thiserror::Error;

use super::{Place, Scanner, Span, Value, token::NumberError};
use crate::wire::{code::Reason, id::RequestId, text::unescape};

/// What is wrong with a body. Always the client's fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ScanError {
    /// Not JSON as both readers understand it.
    #[error("the body is not valid JSON: {0}")]
    Parse(&'static str),
    /// JSON, but not a JSON-RPC 2.0 message.
    #[error("not a valid JSON-RPC message: {0}")]
    Request(&'static str),
    /// `params` is neither an object nor absent, or an id in it is not one.
    #[error("invalid params: {0}")]
    Params(&'static str),
}

impl ScanError {
    /// The code that answers it.
    pub fn reason(self) -> Reason {
        match self {
            Self::Parse(_) => Reason::ParseError,
            Self::Request(_) => Reason::InvalidRequest,
            Self::Params(_) => Reason::InvalidParams,
        }
    }
}

/// What stands at `params`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Params {
    /// No such key.
    #[default]
    Absent,
    /// An object; `at` is the offset of its `{`, `empty` whether nothing stands in it.
    Object {
        /// Offset of `{` in the body.
        at: u32,
        /// `{}`.
        empty: bool,
    },
    /// Anything else: refused.
    Other,
}

/// What a scan found: spans into the body, nothing copied.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// `method`, the inside of the string.
    pub method: Option<Span>,
    /// `id`: the whole token, quotes included, so that it can be replaced.
    pub id: Option<Span>,
    /// A `result` or `error` key stands in the envelope.
    pub is_answer: bool,
    /// What `params` is.
    pub params: Params,
    /// Offset just after the envelope's `{`.
    pub opened_at: u32,
    pub(super) values: [Value; Place::COUNT],
}

impl Scan {
    /// Scans one whole body.
    ///
    /// # Errors
    /// What is wrong with it, and the id to answer with where that is certain.
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        let mut scanner = Scanner::default();
        let end = scanner.feed(body).and_then(|()| scanner.finish());
        match end {
            Ok(()) => Ok(scanner.into_scan()),
            Err(error) => Err(Refused { error, id: scanner.certain_id(body) }),
        }
    }

    /// What stands at a place of the params that routing looks at.
    pub fn value(&self, place: Place) -> Value {
        self.values[place as usize]
    }

    /// The string at `place`, escapes resolved; `None` where there is none or it is not a string.
    pub fn text<'a>(&self, body: &'a [u8], place: Place) -> Option<Cow<'a, str>> {
        match self.value(place) {
            Value::Text(span) => unescape(span.of(body)?, span.escaped),
            _ => None,
        }
    }

    /// The method's name.
    pub fn method_name<'a>(&self, body: &'a [u8]) -> Option<Cow<'a, str>> {
        let span = self.method?;
        unescape(span.of(body)?, span.escaped)
    }

    /// The request id.
    pub fn request_id(&self, body: &[u8]) -> Option<RequestId> {
        RequestId::read(self.id?.of(body)?)
    }
}

/// A refused body: why, and whom to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong.
    pub error: ScanError,
    /// The request's id, where it stands there once and is valid.
    pub id: Option<RequestId>,
}

impl From<NumberError> for ScanError {
    fn from(error: NumberError) -> Self {
        match error {
            NumberError::Malformed => Self::Parse("a number is malformed"),
            NumberError::OutOfRange => Self::Parse("a number is out of range"),
        }
    }
}
