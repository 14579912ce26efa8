//! The reading side of one socket: what is left of an unfinished frame, and the large frame that is passing through.

use std::{
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::io::{AsyncRead, ReadBuf};

use super::workspace::{Dest, READ_BYTES, Workspace};
use crate::{
    backend::Socket,
    wire::{RequestId, Scanner},
};

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

/// What a read gave.
#[derive(Debug)]
pub enum Read {
    /// The peer closed its side.
    End,
    /// More of a large frame that is being collected.
    More,
    /// These bytes of the read buffer are to be looked at.
    Chunk(Range<usize>),
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
    /// So much is read at once; nothing: as much as there is room for.
    pub most: Option<usize>,
    /// Bytes read since the last [`Inbound::take_fresh`]: what is looked at may begin with bytes that were kept.
    fresh: u64,
}

impl Inbound {
    /// Reads once, behind what already lies in the read buffer. The carry is part of the chunk.
    pub fn poll_read(
        &mut self,
        socket: &mut Socket,
        cx: &mut Context<'_>,
        workspace: &mut Workspace,
    ) -> Poll<io::Result<Read>> {
        let start = workspace.filled;
        let carried = if self.collects() { 0 } else { self.carry.len() };
        workspace.read[start..start + carried].copy_from_slice(&self.carry[..carried]);
        let most = self.most.unwrap_or(READ_BYTES);
        let end = workspace.read.len().min(start + carried + most);
        let mut buffer = ReadBuf::new(&mut workspace.read[start + carried..end]);
        ready!(Pin::new(socket).poll_read(cx, &mut buffer))?;
        let end = start + carried + buffer.filled().len();
        if end == start + carried {
            return Poll::Ready(Ok(Read::End));
        }
        self.fresh += buffer.filled().len() as u64;
        if !self.collects() {
            self.keep(&[]);
            workspace.filled = end;
            return Poll::Ready(Ok(Read::Chunk(start..end)));
        }
        // One block instead of ever larger ones: they were copied each time, and the allocator kept 30 MiB of them. What is
        // only announced costs nothing: pages that nothing was written to are not there.
        let announced = self.whole.map_or(0, |whole| whole + READ_BYTES);
        self.carry.reserve_exact(announced.saturating_sub(self.carry.len()));
        self.carry.extend_from_slice(&workspace.read[start..end]);
        if self.whole.is_some_and(|whole| self.carry.len() < whole) {
            return Poll::Ready(Ok(Read::More));
        }
        // The collected frame takes the read buffer's place, so that it is handled like any other.
        self.whole = None;
        workspace.read = std::mem::take(&mut self.carry);
        let end = workspace.read.len();
        workspace.filled = end;
        workspace.read.resize(end.max(READ_BYTES), 0);
        Poll::Ready(Ok(Read::Chunk(0..end)))
    }

    /// Lays what was kept into the read buffer, to be looked at again.
    pub fn take_carry(&mut self, workspace: &mut Workspace) -> Range<usize> {
        let start = workspace.filled;
        let end = start + self.carry.len();
        workspace.read[start..end].copy_from_slice(&self.carry);
        workspace.filled = end;
        self.keep(&[]);
        start..end
    }

    /// A large frame is being collected.
    pub fn collects(&self) -> bool {
        self.whole.is_some()
    }

    /// What has to be written before the next read, because there is no room for it in the read buffer.
    pub fn needs_room(&self, workspace: &Workspace) -> bool {
        let free = READ_BYTES.saturating_sub(workspace.filled + self.carry.len());
        workspace.filled > 0 && (free < READ_BYTES / 4 || self.collects())
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
