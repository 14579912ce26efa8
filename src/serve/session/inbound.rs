//! The reading side of one socket: what is left of an unfinished frame, and the large frame that is passing through.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpStream,
};

use super::workspace::{Dest, READ_BYTES};
use crate::wire::{RequestId, Scanner};

/// Frames with a body of this size or more pass through instead of being collected.
pub const FLOW_BYTES: usize = 64 << 10;

/// So much of a large frame is there before its route is looked for; the routing keys of every SDK come in the first 300.
pub const FLOW_HEAD: usize = 4 << 10;

/// A large frame on its way through.
#[derive(Debug)]
pub struct Flow {
    /// Where to; `None`: its destination is gone, the rest is thrown away.
    pub dest: Option<Dest>,
    /// Bytes of the body that have not come yet.
    pub left: usize,
    /// Checks what passes (client side only).
    pub scanner: Option<Box<Scanner>>,
    /// The client's request that it is, or that it answers.
    pub request: Option<RequestId>,
}

/// The reading side.
#[derive(Debug, Default)]
pub struct Inbound {
    /// Bytes of an unfinished frame.
    pub carry: Vec<u8>,
    /// The large frame that is passing.
    pub flow: Option<Flow>,
    /// The unfinished frame is large and has to be whole before it can be routed: its length with the head.
    pub whole: Option<usize>,
    /// How far the unfinished large frame was scanned.
    pub scanner: Option<Box<Scanner>>,
    /// When the unfinished header began, or the last byte of the unfinished body came.
    pub waiting_since: Option<Instant>,
    /// What is unfinished is a header.
    pub in_head: bool,
    /// Bytes read since the last [`Inbound::take_fresh`]: what is looked at may begin with bytes that were kept.
    fresh: u64,
}

impl Inbound {
    /// Reads once. `Ready(Ok(n))`: the first `n` bytes of `read` are what to look at; 0 is the end of the stream. The
    /// carry is among them. While a large frame is collected: `usize::MAX` until it is whole.
    pub fn poll_read(
        &mut self,
        socket: &mut TcpStream,
        cx: &mut Context<'_>,
        read: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        let collected = self.whole.is_some() || self.carry.len() > READ_BYTES / 2;
        let start = if collected { 0 } else { self.carry.len() };
        if !collected {
            read[..start].copy_from_slice(&self.carry);
        }
        let mut buffer = ReadBuf::new(&mut read[start..]);
        ready!(Pin::new(socket).poll_read(cx, &mut buffer))?;
        let count = buffer.filled().len();
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        self.fresh += count as u64;
        if !collected {
            self.keep(&[]);
            return Poll::Ready(Ok(start + count));
        }
        self.carry.extend_from_slice(&read[..count]);
        if self.whole.is_some_and(|whole| self.carry.len() < whole) {
            return Poll::Ready(Ok(usize::MAX));
        }
        // The collected frame takes the read buffer's place, so that it is handled like any other.
        self.whole = None;
        std::mem::swap(read, &mut self.carry);
        let filled = read.len();
        read.resize(filled.max(READ_BYTES), 0);
        self.carry = Vec::new();
        Poll::Ready(Ok(filled))
    }

    /// How many bytes were read, each counted once.
    pub fn take_fresh(&mut self) -> u64 {
        std::mem::take(&mut self.fresh)
    }

    /// Keeps the bytes of an unfinished frame for the next read.
    pub fn keep(&mut self, rest: &[u8]) {
        self.carry.clear();
        if rest.is_empty() && self.carry.capacity() > 4096 {
            self.carry = Vec::new();
        }
        self.carry.extend_from_slice(rest);
    }

    /// Notes since when something is unfinished: `since` a header's first byte, a body's last.
    pub fn mark(&mut self, unfinished: bool, in_head: bool, now: Instant) {
        if !unfinished {
            self.waiting_since = None;
        } else if self.waiting_since.is_none() || !in_head || !self.in_head {
            self.waiting_since = Some(now);
        }
        self.in_head = unfinished && in_head;
    }
}
