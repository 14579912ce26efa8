//! A client of bytes: bodies as they came, for what has to be the same byte for byte.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::deadline::within;

/// One connection.
pub struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A body behind its header.
pub fn frame(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

impl Raw {
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream = within(|| format!("a connection to {addr}"), TcpStream::connect(addr)).await.expect("accepted");
        stream.set_nodelay(true).expect("an open socket");
        Self { stream, buffer: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        within(|| format!("{} bytes taken", bytes.len()), self.stream.write_all(bytes))
            .await
            .expect("an open connection");
    }

    /// Writes as far as the peer takes it, or not at all.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub async fn finish(&mut self) {
        self.stream.shutdown().await.ok();
    }

    /// Resets the connection.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).expect("a socket");
    }

    /// The next whole body, `None` at the end of the stream.
    pub async fn body(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some((head, length)) = head(&self.buffer)
                && self.buffer.len() >= head + length
            {
                let rest = self.buffer.split_off(head + length);
                let mut whole = std::mem::replace(&mut self.buffer, rest);
                return Some(whole.split_off(head));
            }
            self.buffer.reserve(256 << 10);
            let so_far = self.buffer.len();
            let read = self.stream.read_buf(&mut self.buffer);
            if within(|| format!("more than {so_far} bytes of a frame"), read).await.unwrap_or(0) == 0 {
                assert!(self.buffer.is_empty(), "the stream ended in the middle of a frame");
                return None;
            }
        }
    }

    /// The first body from now on that contains `text` (within its first 200 bytes).
    pub async fn body_with(&mut self, text: &str) -> Vec<u8> {
        loop {
            let body = self.body().await.unwrap_or_else(|| panic!("the end came before {text}"));
            let start = &body[..body.len().min(200)];
            if String::from_utf8_lossy(start).contains(text) {
                return body;
            }
        }
    }

    /// Waits for the end of the stream; what came before it.
    pub async fn end(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(body) = self.body().await {
            all.push(body);
        }
        all
    }
}

fn head(buffer: &[u8]) -> Option<(usize, usize)> {
    let end = buffer.windows(4).take(64).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&buffer[..end]).expect("an ASCII header");
    let length = text.strip_prefix("Content-Length: ").and_then(|digits| digits.parse().ok());
    Some((end + 4, length.unwrap_or_else(|| panic!("a header of the proxy's own kind: {text:?}"))))
}
