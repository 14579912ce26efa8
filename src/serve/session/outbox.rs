//! What waits for a socket that does not take it yet, and the gathering write.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::AsyncWrite;

use crate::backend::Socket;

/// Slices for one `writev`; more than that go in the next one.
const SLICES: usize = 32;

/// A buffer above this size is given back when it has run empty.
const KEEP: usize = 16 << 10;

/// Bytes on their way to one socket. Only what the socket did not take at once is copied here.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: Vec<u8>,
    start: usize,
    /// TLS has taken bytes that are not on their way yet.
    unflushed: bool,
}

impl Outbox {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.waiting.len() - self.start
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && !self.unflushed
    }

    /// Adds bytes without trying to write them.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start >= self.waiting.len() / 2 {
            self.waiting.drain(..self.start);
            self.start = 0;
        }
        self.waiting.extend_from_slice(bytes);
    }

    /// Writes what waits and then `parts`, as far as the socket takes it; keeps the rest.
    ///
    /// # Errors
    /// The socket's.
    pub fn write<'a>(
        &mut self,
        socket: &mut Socket,
        cx: &mut Context<'_>,
        mut parts: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> io::Result<()> {
        // What of `parts` was written already: the first part may be written in half.
        let mut skip = 0;
        loop {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            if self.start < self.waiting.len() {
                slices[0] = IoSlice::new(&self.waiting[self.start..]);
                count = 1;
            }
            let mut ahead = parts.clone();
            let mut offset = skip;
            while count < SLICES
                && let Some(part) = ahead.next()
            {
                slices[count] = IoSlice::new(&part[offset..]);
                offset = 0;
                count += 1;
            }
            if count == 0 {
                self.reset();
                self.unflushed = flush(socket, cx)?.is_pending();
                return Ok(());
            }
            // One piece goes by `send`, which costs the kernel less than `writev`.
            let written = match &slices[..count] {
                [one] => Pin::new(&mut *socket).poll_write(cx, one),
                all => Pin::new(&mut *socket).poll_write_vectored(cx, all),
            };
            let written = match written {
                Poll::Ready(written) => written?,
                Poll::Pending => {
                    for part in parts {
                        self.push(&part[skip..]);
                        skip = 0;
                    }
                    return Ok(());
                }
            };
            let from_waiting = written.min(self.len());
            self.start += from_waiting;
            if self.start == self.waiting.len() {
                self.reset();
            }
            skip = advance(&mut parts, skip, written - from_waiting);
        }
    }

    fn reset(&mut self) {
        self.waiting.clear();
        self.start = 0;
        if self.waiting.capacity() > KEEP {
            self.waiting = Vec::new();
        }
    }
}

fn flush(socket: &mut Socket, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
    match Pin::new(socket).poll_flush(cx) {
        Poll::Ready(flushed) => flushed.map(Poll::Ready),
        Poll::Pending => Ok(Poll::Pending),
    }
}

/// Steps over `written` bytes of `parts`, of whose first `skip` were written before; gives back the new `skip`.
fn advance<'a>(parts: &mut (impl Iterator<Item = &'a [u8]> + Clone), skip: usize, written: usize) -> usize {
    let mut left = skip + written;
    loop {
        let mut ahead = parts.clone();
        match ahead.next() {
            Some(part) if part.len() <= left => {
                left -= part.len();
                *parts = ahead;
            }
            _ => return left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advancing_steps_over_whole_parts() {
        let parts: Vec<&[u8]> = vec![b"abc", b"de", b"fgh"];
        let mut iter = parts.iter().copied();
        assert_eq!(advance(&mut iter, 1, 3), 1);
        assert_eq!(iter.clone().next(), Some(&b"de"[..]));
        assert_eq!(advance(&mut iter, 1, 4), 0);
        assert_eq!(iter.next(), None);
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_waits_in_order() {
        use tokio::io::AsyncReadExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut near = Socket::from(near);
        let (mut far, _) = listener.accept().await.unwrap();
        let mut outbox = Outbox::default();
        let block: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let parts: Vec<&[u8]> = block.chunks(777).collect();
        for _ in 0..40 {
            std::future::poll_fn(|cx| Poll::Ready(outbox.write(&mut near, cx, parts.iter().copied()))).await.unwrap();
        }
        assert!(!outbox.is_empty(), "16 MB do not fit into loopback buffers");
        let read = tokio::spawn(async move {
            let mut all = vec![0; 40 * 400_000];
            far.read_exact(&mut all).await.unwrap();
            all
        });
        std::future::poll_fn(|cx| match outbox.write(&mut near, cx, std::iter::empty()) {
            Ok(()) if outbox.is_empty() => Poll::Ready(()),
            Ok(()) => Poll::Pending,
            Err(error) => panic!("{error}"),
        })
        .await;
        let all = read.await.unwrap();
        assert!(all.chunks(block.len()).all(|chunk| chunk == block));
    }
}
