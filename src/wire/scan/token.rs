//! Strings and numbers, resumable at any byte.

/// Keys and values that are compared are kept up to this length; the longest key that routing knows has 36 bytes.
const KEEP: usize = 40;

/// The string being read.
#[derive(Clone, Debug)]
pub(super) struct StringState {
    kept: [u8; KEEP],
    kept_len: u8,
    /// The content is wanted and fits so far.
    keep: bool,
    escaped: bool,
    escape: Escape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    /// After `\`.
    Open,
    /// After `\u` and this many digits with this value.
    Hex {
        digits: u8,
        value: u16,
    },
    /// After a high surrogate: `\` must follow.
    LowSlash {
        high: u16,
    },
    /// After that `\`: `u` must follow.
    LowU {
        high: u16,
    },
    LowHex {
        high: u16,
        digits: u8,
        value: u16,
    },
}

impl Default for StringState {
    fn default() -> Self {
        Self::new(false)
    }
}

impl StringState {
    pub(super) fn new(keep: bool) -> Self {
        Self { kept: [0; KEEP], kept_len: 0, keep, escaped: false, escape: Escape::None }
    }

    /// The content, where it was wanted and fits.
    #[inline]
    pub(super) fn kept(&self) -> Option<&[u8]> {
        self.keep.then(|| &self.kept[..usize::from(self.kept_len)])
    }

    pub(super) fn escaped(&self) -> bool {
        self.escaped
    }

    #[inline]
    pub(super) fn in_escape(&self) -> bool {
        !matches!(self.escape, Escape::None | Escape::LowSlash { .. })
    }

    /// Content without escapes.
    #[inline]
    pub(super) fn plain(&mut self, run: &[u8]) -> Result<(), &'static str> {
        if !run.is_empty() {
            self.no_lone_high()?;
            self.push(run);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn finish(&mut self) -> Result<(), &'static str> {
        self.no_lone_high()
    }

    /// A `\` came.
    pub(super) fn open_escape(&mut self) {
        self.escaped = true;
        self.escape = match self.escape {
            Escape::LowSlash { high } => Escape::LowU { high },
            _ => Escape::Open,
        };
    }

    /// The next byte of an escape.
    pub(super) fn escape(&mut self, byte: u8) -> Result<(), &'static str> {
        self.escape = match self.escape {
            Escape::Open => match byte {
                b'u' => Escape::Hex { digits: 0, value: 0 },
                _ => {
                    let plain = match byte {
                        b'"' | b'\\' | b'/' => byte,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        _ => return Err("an escape is unknown"),
                    };
                    self.push(&[plain]);
                    Escape::None
                }
            },
            Escape::Hex { digits, value } => {
                let value = value << 4 | hex(byte)?;
                match (digits, value) {
                    (0..=2, _) => Escape::Hex { digits: digits + 1, value },
                    (_, 0xd800..=0xdbff) => Escape::LowSlash { high: value },
                    (_, 0xdc00..=0xdfff) => return Err("a surrogate stands alone"),
                    _ => self.push_char(u32::from(value)),
                }
            }
            Escape::LowU { high } if byte == b'u' => Escape::LowHex { high, digits: 0, value: 0 },
            Escape::LowU { .. } => return Err("a surrogate stands alone"),
            Escape::LowHex { high, digits, value } => {
                let value = value << 4 | hex(byte)?;
                match (digits, value) {
                    (0..=2, _) => Escape::LowHex { high, digits: digits + 1, value },
                    (_, 0xdc00..=0xdfff) => {
                        self.push_char(0x10000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(value) - 0xdc00))
                    }
                    _ => return Err("a surrogate stands alone"),
                }
            }
            state @ (Escape::None | Escape::LowSlash { .. }) => state,
        };
        Ok(())
    }

    #[inline]
    fn no_lone_high(&self) -> Result<(), &'static str> {
        if matches!(self.escape, Escape::LowSlash { .. }) { Err("a surrogate stands alone") } else { Ok(()) }
    }

    fn push_char(&mut self, code: u32) -> Escape {
        let mut bytes = [0; 4];
        if let Some(char) = char::from_u32(code) {
            let text = char.encode_utf8(&mut bytes);
            self.push(text.as_bytes());
        }
        Escape::None
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        if !self.keep {
            return;
        }
        let start = usize::from(self.kept_len);
        match self.kept.get_mut(start..start + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.kept_len += bytes.len() as u8;
            }
            None => self.keep = false,
        }
    }
}

fn hex(byte: u8) -> Result<u16, &'static str> {
    char::from(byte).to_digit(16).map(|digit| digit as u16).ok_or("an escape is malformed")
}

/// The number being read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Number {
    state: NumberState,
    integer: u64,
    digits: u32,
    exponent: i32,
    negative: bool,
    negative_exponent: bool,
    fraction: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberError {
    Malformed,
    OutOfRange,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum NumberState {
    #[default]
    Start,
    Minus,
    Zero,
    Integer,
    Dot,
    Fraction,
    E,
    Sign,
    Exponent,
}

impl Number {
    /// Takes bytes until one that is not part of the number; gives back how many it took.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<usize, NumberError> {
        use NumberState::{Dot, E, Exponent, Fraction, Integer, Minus, Sign, Start, Zero};
        for (at, &byte) in bytes.iter().enumerate() {
            self.state = match (self.state, byte) {
                (Start, b'-') => {
                    self.negative = true;
                    Minus
                }
                (Start | Minus, b'0') => Zero,
                (Start | Minus | Integer, b'0'..=b'9') => {
                    self.digits = self.digits.saturating_add(1);
                    self.integer = self.integer.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                    Integer
                }
                (Zero | Integer, b'.') => {
                    self.fraction = true;
                    Dot
                }
                (Dot | Fraction, b'0'..=b'9') => Fraction,
                (Zero | Integer | Fraction, b'e' | b'E') => {
                    self.fraction = true;
                    E
                }
                (E, b'+') => Sign,
                (E, b'-') => {
                    self.negative_exponent = true;
                    Sign
                }
                (E | Sign | Exponent, b'0'..=b'9') => {
                    self.exponent = self.exponent.saturating_mul(10).saturating_add(i32::from(byte - b'0'));
                    Exponent
                }
                (Zero, b'0'..=b'9') => return Err(NumberError::Malformed),
                _ => return Ok(at),
            };
        }
        Ok(bytes.len())
    }

    /// Ends it. Numbers of 10^308 and above are refused, whatever the digits before: no reader takes infinity, and
    /// 5,000 digits are nobody's request.
    pub(super) fn finish(&self) -> Result<(), NumberError> {
        use NumberState::{Exponent, Fraction, Integer, Zero};
        if !matches!(self.state, Zero | Integer | Fraction | Exponent) {
            return Err(NumberError::Malformed);
        }
        let exponent = if self.negative_exponent { 0 } else { self.exponent };
        match i64::from(self.digits.max(1)) + i64::from(exponent) {
            ..=308 => Ok(()),
            _ => Err(NumberError::OutOfRange),
        }
    }

    /// An integer within 2^53 - 1 of zero: every reader reads it alike.
    pub(super) fn is_safe_integer(&self) -> bool {
        !self.fraction && self.integer < 1 << 53 && !(self.negative && self.integer == 0)
    }
}
