//! Request ids: an integer or a string, compared by value.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use super::text::unescape;

/// Longest string id that is taken, bytes. UUIDs (the Go and Python SDKs) have 36.
pub const MAX_STRING_ID: usize = 256;

/// Ids of requests that we originate on a link begin with this; a client's may not.
pub const OWN_PREFIX: &str = "pilotfish-";

const INLINE: usize = 38;

/// The id of a JSON-RPC request. `1` and `"1"` are two ids.
#[derive(Clone, Eq)]
pub enum RequestId {
    /// An integer within 2^53 - 1 of zero.
    Number(i64),
    /// A short string (every SDK's), kept without an allocation.
    Short {
        /// How many of `bytes` count.
        len: u8,
        /// The UTF-8 text.
        bytes: [u8; INLINE],
    },
    /// A longer string.
    Long(Box<str>),
}

impl RequestId {
    /// Reads an `id` token, quotes included. `None` where it is neither an integer nor a valid string.
    #[inline]
    pub fn read(token: &[u8]) -> Option<Self> {
        match token.first()? {
            b'"' => {
                let inside = token.get(1..token.len() - 1)?;
                let text = unescape(inside, memchr::memchr(b'\\', inside).is_some())?;
                Some(Self::text(&text))
            }
            _ => Self::read_number(token).map(Self::Number),
        }
    }

    /// A string id.
    pub fn text(text: &str) -> Self {
        if text.len() <= INLINE {
            let mut bytes = [0; INLINE];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            Self::Short { len: text.len() as u8, bytes }
        } else {
            Self::Long(text.into())
        }
    }

    /// Our own id number `number`, for requests that we originate on a link.
    pub fn own(number: u64) -> Self {
        Self::text(&format!("{OWN_PREFIX}{number}"))
    }

    /// The number of an id that [`RequestId::own`] made.
    pub fn own_number(&self) -> Option<u64> {
        self.as_text()?.strip_prefix(OWN_PREFIX)?.parse().ok()
    }

    /// The text of a string id.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Number(_) => None,
            Self::Short { len, bytes } => std::str::from_utf8(bytes.get(..usize::from(*len))?).ok(),
            Self::Long(text) => Some(text),
        }
    }

    /// Appends it as JSON.
    pub fn append_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
            _ => match serde_json::to_vec(self.as_text().unwrap_or_default()) {
                Ok(json) => out.extend_from_slice(&json),
                Err(_) => out.extend_from_slice(b"null"),
            },
        }
    }

    #[inline]
    fn read_number(token: &[u8]) -> Option<i64> {
        let (negative, digits) = match token.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, token),
        };
        if digits.is_empty() || digits.len() > 16 {
            return None;
        }
        let mut number = 0i64;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number * 10 + i64::from(digit - b'0');
        }
        Some(if negative { -number } else { number })
    }
}

impl PartialEq for RequestId {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Number(_), _) | (_, Self::Number(_)) => false,
            (a, b) => a.as_text() == b.as_text(),
        }
    }
}

impl Hash for RequestId {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Number(number) => state.write_i64(*number),
            Self::Short { len, bytes } => state.write(&bytes[..usize::from(*len).min(INLINE)]),
            Self::Long(text) => state.write(text.as_bytes()),
        }
    }
}

/// For logs: a number or a UUID as it is, of any other text, which may be anything, the length.
impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_uuid =
            |text: &str| text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        match (self, self.as_text()) {
            (Self::Number(number), _) => write!(f, "{number}"),
            (_, Some(text)) if is_uuid(text) || self.own_number().is_some() => f.write_str(text),
            (_, text) => write!(f, "text:{}", text.map_or(0, str::len)),
        }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            _ => write!(f, "{:?}", self.as_text().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_strings_are_distinct() {
        assert_ne!(RequestId::read(b"1"), RequestId::read(b"\"1\""));
        assert_eq!(RequestId::read(br#""\u0041""#), RequestId::read(b"\"A\""));
        assert_eq!(RequestId::read(b"0"), Some(RequestId::Number(0)));
        assert_eq!(RequestId::read(b"-7"), Some(RequestId::Number(-7)));
        assert_eq!(RequestId::read(b"1.0"), None);
    }

    #[test]
    fn own_ids_come_back() {
        let id = RequestId::own(42);
        let mut json = Vec::new();
        id.append_json(&mut json);
        assert_eq!(json, br#""pilotfish-42""#);
        assert_eq!(RequestId::read(&json).and_then(|id| id.own_number()), Some(42));
    }

    #[test]
    fn logs_get_no_text_of_the_client_s() {
        assert_eq!(RequestId::Number(7).to_string(), "7");
        assert_eq!(RequestId::text("hunter2").to_string(), "text:7");
        let uuid = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        assert_eq!(RequestId::text(uuid).to_string(), uuid);
        assert_eq!(RequestId::own(3).to_string(), "pilotfish-3");
    }
}
