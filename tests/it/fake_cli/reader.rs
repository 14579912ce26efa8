//! `Content-Length` framing as loosely as the real CLI reads it: other headers are ignored, the last length wins.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What the stream gave next.
pub enum Next {
    Body(Bytes),
    /// A header that the CLI refuses; it answers with `id: null` and closes.
    Bad(&'static str),
    End,
}

pub struct Reader<R> {
    from: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub fn new(from: R) -> Self {
        Self { from, buffer: BytesMut::new() }
    }

    pub async fn next(&mut self) -> Next {
        let length = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let header = self.buffer.split_to(end + 4);
                match length(&header[..end]) {
                    Ok(length) => break length,
                    Err(why) => return Next::Bad(why),
                }
            }
            if !self.more().await {
                return Next::End;
            }
        };
        while self.buffer.len() < length {
            if !self.more().await {
                return Next::End;
            }
        }
        Next::Body(self.buffer.split_to(length).freeze())
    }

    async fn more(&mut self) -> bool {
        self.buffer.reserve(64 * 1024);
        matches!(self.from.read_buf(&mut self.buffer).await, Ok(1..))
    }
}

fn length(header: &[u8]) -> Result<usize, &'static str> {
    let text = String::from_utf8_lossy(header);
    let mut found = Err("Header must provide a Content-Length property.");
    for line in text.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or("Message header must separate key and value using ':'")?;
        if name.eq_ignore_ascii_case("content-length") {
            found = value.trim().parse().map_err(|_| "Content-Length value must be a number");
        }
    }
    found
}
