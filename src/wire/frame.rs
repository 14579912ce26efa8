//! `Content-Length` framing: the head of a frame, read strictly from clients and tolerantly from backends.
//!
//! Every rule here answers a row of `edge-cases.md` section 1: the two readers on either side of us disagree about odd
//! headers, so a client's header bytes are never forwarded; [`write_head`] makes our own.

use thiserror::Error;

/// A header block may be this long, its empty line included; the runtime's limit is 65,536 bytes, real ones have 20 to 40.
pub const MAX_HEAD_BYTES: usize = 1024;
/// A header block may have this many lines.
pub const MAX_HEAD_LINES: usize = 8;
/// The longest head that [`write_head`] writes: the name, 20 digits, two line ends.
pub const MAX_OWN_HEAD: usize = 16 + 20 + 4;

const NAME: &[u8] = b"Content-Length: ";

/// The head of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the header block with its empty line.
    pub head_len: usize,
    /// Bytes of the body that follows.
    pub body_len: usize,
    /// The header block is byte for byte what [`write_head`] would write, so it may be forwarded in one piece with the body.
    pub canonical: bool,
}

impl Head {
    /// Bytes of the whole frame.
    pub fn frame_len(&self) -> usize {
        self.head_len + self.body_len
    }
}

/// Why a header block is refused. Always the sender's fault, and the connection cannot go on: where the next frame
/// begins is not known.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// The first byte cannot begin a header (an HTTP request, TLS, garbage).
    #[error("the frame does not begin with a Content-Length header")]
    NotAFrame,
    /// A byte that no header may hold.
    #[error("the frame header holds a byte outside printable ASCII")]
    BadByte,
    /// A line end that is not CR LF.
    #[error("a frame header line must end with CR LF")]
    BareLineEnd,
    /// A line without a colon, a folded line, a space in the name, an empty block.
    #[error("a frame header line must be `Name: value`")]
    BadLine,
    /// More than [`MAX_HEAD_BYTES`] or [`MAX_HEAD_LINES`].
    #[error("the frame header is longer than 1024 bytes or 8 lines")]
    HeadTooLong,
    /// Content-Length stands twice.
    #[error("the frame header has more than one Content-Length")]
    RepeatedLength,
    /// No Content-Length in the block.
    #[error("the frame header has no Content-Length")]
    MissingLength,
    /// Not a plain decimal number above zero.
    #[error("Content-Length must be a decimal number without sign, leading zeros or suffix, and above 0")]
    BadLength,
    /// Above the limit.
    #[error("the frame is longer than the limit of {limit} bytes")]
    FrameTooLong {
        /// The limit that was passed, bytes.
        limit: usize,
    },
    /// A charset other than UTF-8.
    #[error("Content-Type must be utf-8")]
    BadCharset,
}

/// Reads the head at the start of `bytes` as strictly as `edge-cases.md` asks. `None`: more bytes are needed and
/// nothing wrong was seen yet.
///
/// # Errors
/// [`FrameError`] at the first byte that cannot be part of a good head.
#[inline]
pub fn read_head(bytes: &[u8], max_body: usize) -> Result<Option<Head>, FrameError> {
    match read_canonical(bytes) {
        Some(head) if head.body_len <= max_body => Ok(Some(head)),
        _ => read_general(bytes, max_body, true),
    }
}

/// Reads a backend's head: odd headers and repeats are borne as its own readers bear them, the limit is not.
///
/// # Errors
/// [`FrameError`] where the length cannot be known.
#[inline]
pub fn read_backend_head(bytes: &[u8], max_body: usize) -> Result<Option<Head>, FrameError> {
    match read_canonical(bytes) {
        Some(head) if head.body_len <= max_body => Ok(Some(head)),
        _ => read_general(bytes, max_body, false),
    }
}

/// Writes `Content-Length: {body_len}\r\n\r\n` into `out` and gives back how many bytes that took.
pub fn write_head(body_len: usize, out: &mut [u8; MAX_OWN_HEAD]) -> usize {
    out[..NAME.len()].copy_from_slice(NAME);
    let mut digits = [0u8; 20];
    let mut first = digits.len();
    let mut rest = body_len;
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let count = digits.len() - first;
    out[NAME.len()..NAME.len() + count].copy_from_slice(&digits[first..]);
    let end = NAME.len() + count;
    out[end..end + 4].copy_from_slice(b"\r\n\r\n");
    end + 4
}

/// Appends a whole frame with `body` to `out`.
pub fn append_frame(out: &mut Vec<u8>, body: &[u8]) {
    let mut head = [0; MAX_OWN_HEAD];
    let len = write_head(body.len(), &mut head);
    out.extend_from_slice(&head[..len]);
    out.extend_from_slice(body);
}

/// The form that every SDK writes, by exact match; anything else is for [`read_general`].
#[inline]
fn read_canonical(bytes: &[u8]) -> Option<Head> {
    if bytes.len() < NAME.len() + 5 || &bytes[..NAME.len()] != NAME {
        return None;
    }
    let mut at = NAME.len();
    let mut body_len = 0usize;
    // Nine digits cannot overflow, and no limit is higher than a gigabyte.
    while at < bytes.len() && at < NAME.len() + 9 && bytes[at].is_ascii_digit() {
        body_len = body_len * 10 + usize::from(bytes[at] - b'0');
        at += 1;
    }
    let ended = bytes.len() >= at + 4 && &bytes[at..at + 4] == b"\r\n\r\n";
    (ended && body_len > 0 && bytes[NAME.len()] != b'0').then_some(Head { head_len: at + 4, body_len, canonical: true })
}

#[cold]
fn read_general(bytes: &[u8], max_body: usize, strict: bool) -> Result<Option<Head>, FrameError> {
    // `X` may begin an extension header; whatever else is not a `C` is another protocol (HTTP, TLS), closed at once.
    match bytes.first() {
        None => return Ok(None),
        Some(b'C' | b'c' | b'X' | b'x' | b'\r' | b'\n' | b' ' | b'\t') => {}
        Some(_) if !strict => {}
        Some(&byte) if !(0x20..0x80).contains(&byte) => return Err(FrameError::BadByte),
        Some(_) => return Err(FrameError::NotAFrame),
    }
    let mut length = None;
    let mut at = 0;
    for line_number in 0.. {
        let line = match read_line(bytes, at)? {
            Some(line) => line,
            // Behind the last line allowed, only the empty line may still be on its way.
            None if bytes.len() >= MAX_HEAD_BYTES
                || (line_number >= MAX_HEAD_LINES && !matches!(&bytes[at..], b"" | b"\r")) =>
            {
                return Err(FrameError::HeadTooLong);
            }
            None => return Ok(None),
        };
        at += line.len() + 2;
        if at > MAX_HEAD_BYTES || (line_number >= MAX_HEAD_LINES && !line.is_empty()) {
            return Err(FrameError::HeadTooLong);
        }
        if line.is_empty() {
            break;
        }
        let (name, value) = split_line(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            if length.is_some() && strict {
                return Err(FrameError::RepeatedLength);
            }
            length = Some(read_length(value, max_body)?);
        } else if strict && name.eq_ignore_ascii_case(b"content-type") {
            check_charset(value)?;
        }
    }
    match length {
        Some(body_len) => Ok(Some(Head { head_len: at, body_len, canonical: false })),
        None if at == 2 => Err(FrameError::BadLine),
        None => Err(FrameError::MissingLength),
    }
}

/// The line from `at` without its end; `None` where its end has not come yet, after a check of what has.
fn read_line(bytes: &[u8], at: usize) -> Result<Option<&[u8]>, FrameError> {
    let mut name_ended = false;
    for (offset, &byte) in bytes[at..].iter().enumerate() {
        match byte {
            b'\r' => {
                return match bytes.get(at + offset + 1) {
                    Some(b'\n') => Ok(Some(&bytes[at..at + offset])),
                    Some(_) => Err(FrameError::BareLineEnd),
                    None => Ok(None),
                };
            }
            b'\n' => return Err(FrameError::BareLineEnd),
            b':' => name_ended = true,
            b'\t' if name_ended => {}
            b' ' | b'\t' if !name_ended => return Err(FrameError::BadLine),
            0x00..=0x1f | 0x7f..=0xff => return Err(FrameError::BadByte),
            _ => {}
        }
    }
    Ok(None)
}

fn split_line(line: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    let colon = memchr::memchr(b':', line).ok_or(FrameError::BadLine)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() {
        return Err(FrameError::BadLine);
    }
    let first = value.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
    Ok((name, &value[first..]))
}

fn read_length(value: &[u8], limit: usize) -> Result<usize, FrameError> {
    if value.is_empty() || value[0] == b'0' || !value.iter().all(u8::is_ascii_digit) {
        return Err(FrameError::BadLength);
    }
    // More than 19 digits do not fit; whoever sends them is over any limit.
    let number = value.iter().try_fold(0usize, |sum, byte| sum.checked_mul(10)?.checked_add(usize::from(byte - b'0')));
    number.filter(|number| *number <= limit).ok_or(FrameError::FrameTooLong { limit })
}

fn check_charset(value: &[u8]) -> Result<(), FrameError> {
    let lower = value.to_ascii_lowercase();
    let Some(at) = memchr::memmem::find(&lower, b"charset") else { return Ok(()) };
    let charset = lower[at + 7..].trim_ascii_start();
    let charset = charset.strip_prefix(b"=").ok_or(FrameError::BadCharset)?.trim_ascii();
    let charset = charset.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let bare = charset.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(charset);
    if matches!(bare, b"utf-8" | b"utf8") { Ok(()) } else { Err(FrameError::BadCharset) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 32 << 20;

    #[test]
    fn canonical_and_general_agree() {
        for head in ["Content-Length: 65\r\n\r\n", "content-length:65\r\n\r\n", "Content-Length: \t65\r\n\r\n"] {
            let read = read_head(head.as_bytes(), LIMIT).unwrap().unwrap();
            assert_eq!((read.head_len, read.body_len), (head.len(), 65), "{head:?}");
        }
        assert!(read_head(b"Content-Length: 65\r\n\r\n", LIMIT).unwrap().unwrap().canonical);
        assert!(!read_head(b"content-length: 65\r\n\r\n", LIMIT).unwrap().unwrap().canonical);
    }

    /// The rows of edge-cases.md section 1, each with what its last column asks for.
    #[test]
    fn edge_cases_section_1() {
        use FrameError::*;
        let long_name = format!("X-{}: y\r\nContent-Length: 65\r\n\r\n", "a".repeat(1100));
        let many = format!("{}Content-Length: 65\r\n\r\n", "X-A: b\r\n".repeat(8));
        let rows: &[(&[u8], Result<usize, FrameError>)] = &[
            (b"Content-Length : 65\r\n\r\n", Err(BadLine)),
            (b" Content-Length: 65\r\n\r\n", Err(BadLine)),
            (b"Content-Length: 65\n\n", Err(BareLineEnd)),
            (b"Content-Length: 65\r\n\n", Err(BareLineEnd)),
            (b"Content-Length: 65\r\r\n", Err(BareLineEnd)),
            (b"Content-Length: 65\r\ncontent-length: 66\r\n\r\n", Err(RepeatedLength)),
            (b"Content-Length: 65\r\nContent-Length: 65\r\n\r\n", Err(RepeatedLength)),
            (b"Content-Length: 65\r\nX-Foo: y\r\n\r\n", Ok(65)),
            (b"X-Foo: y\r\nContent-Length: 65\r\n\r\n", Ok(65)),
            (b"Content-Length: 65\r\nContent-Encoding: gzip\r\n\r\n", Ok(65)),
            (b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: 65\r\n\r\n", Ok(65)),
            (b"Content-Type: application/vscode-jsonrpc; charset=utf8\r\nContent-Length: 65\r\n\r\n", Ok(65)),
            (b"Content-Type: application/json; charset=utf-16\r\nContent-Length: 65\r\n\r\n", Err(BadCharset)),
            (b"Content-Length: 65\r\nfoo\r\n\r\n", Err(BadLine)),
            (b"Content-Length: 65\r\n folded: x\r\n\r\n", Err(BadLine)),
            (b"\r\n\r\n", Err(BadLine)),
            (b"X-Foo: y\r\n\r\n", Err(MissingLength)),
            (b"Content-Length:\r\n\r\n", Err(BadLength)),
            (b"Content-Length: \r\n\r\n", Err(BadLength)),
            (b"Content-Length: 00065\r\n\r\n", Err(BadLength)),
            (b"Content-Length: +65\r\n\r\n", Err(BadLength)),
            (b"Content-Length: 65abc\r\n\r\n", Err(BadLength)),
            (b"Content-Length: 65, 65\r\n\r\n", Err(BadLength)),
            (b"Content-Length: 65;x\r\n\r\n", Err(BadLength)),
            (b"Content-Length: 65.9\r\n\r\n", Err(BadLength)),
            (b"Content-Length: 0x41\r\n\r\n", Err(BadLength)),
            (b"Content-Length: 1e2\r\n\r\n", Err(BadLength)),
            (b"Content-Length: 6_6\r\n\r\n", Err(BadLength)),
            (b"Content-Length: -5\r\n\r\n", Err(BadLength)),
            (b"Content-Length: 18446744073709551681\r\n\r\n", Err(FrameTooLong { limit: LIMIT })),
            (b"Content-Length: 10000000000000000000000000000000000000000\r\n\r\n", Err(FrameTooLong { limit: LIMIT })),
            (b"Content-Length: 1000000000000\r\n\r\n", Err(FrameTooLong { limit: LIMIT })),
            (b"Content-Length: 0\r\n\r\n", Err(BadLength)),
            (b"\xc3ontent-Length: 65\r\n\r\n", Err(BadByte)),
            (b"Content-Length: 65\r\nX-\0: y\r\n\r\n", Err(BadByte)),
            (b"Content-Length: 65\r\nX-A: \x80\r\n\r\n", Err(BadByte)),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Err(NotAFrame)),
            (b"POST / HTTP/1.1\r\n\r\n", Err(NotAFrame)),
            (b"G", Err(NotAFrame)),
            (b"\x16\x03\x01", Err(BadByte)),
            (long_name.as_bytes(), Err(HeadTooLong)),
            (many.as_bytes(), Err(HeadTooLong)),
        ];
        for (bytes, want) in rows {
            let got = read_head(bytes, LIMIT).map(|head| head.expect("a whole head").body_len);
            assert_eq!(got, *want, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn wrong_bytes_are_refused_as_soon_as_they_stand_there() {
        for (bytes, want) in
            [(&b"Content-Length: 65\n"[..], FrameError::BareLineEnd), (b"Content Length", FrameError::BadLine)]
        {
            assert_eq!(read_head(bytes, LIMIT), Err(want));
        }
        let endless = [b'C'; MAX_HEAD_BYTES];
        assert_eq!(read_head(&endless, LIMIT), Err(FrameError::HeadTooLong));
    }

    #[test]
    fn every_prefix_of_a_good_head_asks_for_more() {
        let head = b"Content-Type: x; charset=\"utf-8\"\r\nContent-Length: 65\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(read_head(&head[..end], LIMIT), Ok(None), "{end}");
        }
        assert!(read_head(head, LIMIT).unwrap().is_some());
    }

    #[test]
    fn backends_may_write_odd_heads() {
        let head = read_backend_head(b"Foo: x\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n", LIMIT);
        assert_eq!(head.unwrap().unwrap().body_len, 7);
    }

    #[test]
    fn own_heads_are_canonical() {
        for len in [1, 9, 10, 99_999, 33_554_432] {
            let mut out = [0; MAX_OWN_HEAD];
            let count = write_head(len, &mut out);
            let head = read_head(&out[..count], usize::MAX).unwrap().unwrap();
            assert_eq!(head, Head { head_len: count, body_len: len, canonical: true });
        }
    }
}
