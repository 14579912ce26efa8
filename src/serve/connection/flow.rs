//! One direction of a connection: from one socket to the other, with nothing kept while the other one reads.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pipe::Pipe;
use crate::{
    backend::Socket,
    telemetry::{BackpressureMetrics, Held, Towards},
};

/// Read at most this much at once, into a buffer of the worker thread. With 1 MiB frames, copying through 1 MiB costs
/// 0.25 s of CPU a GB (3,540 to 3,640 MB/s; HAProxy 0.7 and 1,400), through 256 KiB or less 0.30 and more (medians of the
/// end-to-end bench on a quiet 2-core machine, 2026-11-24).
const SCRATCH: usize = 1 << 20;

/// A read shorter than this may be a header alone: the SDK writes a frame's header and body apart and, without
/// TCP_NODELAY on its side, holds the body back until the header is acknowledged (40 ms). An acknowledgement at once
/// costs one system call, so only where it may help.
const LONE_HEADER: usize = 64;

/// After this much in one go the other tasks of the thread get a turn.
const TURN: usize = 4 << 20;

/// A read of at least this much is bulk: where the listener splices, what follows is spliced. In the same bench that
/// costs 0.27 to 0.31 s of CPU a GB (2,850 to 3,280 MB/s), more than copying through a large buffer, so it is off by default;
/// an endless stream that its reader takes slowly gains by it (4,550 MB for a second of CPU against 2,150 to 2,360 copied
/// through 256 KiB on a busy machine, November 2026).
const BULK: usize = 128 << 10;

/// A splice that brings less than this is not worth its third system call: back to copying.
const WORTH_SPLICING: usize = 32 << 10;

thread_local! {
    /// Borrowed between two awaits only, so that all connections of a thread share it and an idle one has no buffer.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// Which socket failed, and what the kernel said.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The one we read from.
    #[error("read: {0}")]
    Read(io::Error),
    /// The one we write to.
    #[error("write: {0}")]
    Write(io::Error),
}

/// What the destination did not take yet. Nothing more is read until it is gone.
#[derive(Debug)]
enum Waiting {
    Nothing,
    Bytes { bytes: Vec<u8>, sent: usize },
    Piped(Pipe),
}

/// One direction.
#[derive(Debug)]
pub struct Flow {
    towards: Towards,
    waiting: Waiting,
    source_ended: bool,
    finished: bool,
    may_splice: bool,
    bulk: bool,
    stalled: Option<Held>,
    /// What moved since the relay last asked.
    pub moved: Moved,
}

/// Byte counts of a direction.
#[derive(Debug, Default)]
pub struct Moved {
    /// Read from the source.
    pub read: u64,
    /// Written to the destination.
    pub written: u64,
    /// The part of `read` that the kernel moved.
    pub spliced: u64,
}

impl Flow {
    /// A direction towards `towards`; `first` is written before anything that is read.
    pub fn new(towards: Towards, first: Vec<u8>, may_splice: bool) -> Self {
        let waiting = if first.is_empty() { Waiting::Nothing } else { Waiting::Bytes { bytes: first, sent: 0 } };
        Self {
            towards,
            waiting,
            source_ended: false,
            finished: false,
            may_splice,
            bulk: false,
            stalled: None,
            moved: Moved::default(),
        }
    }

    /// The source said that no more will come.
    pub fn source_ended(&self) -> bool {
        self.source_ended
    }

    /// Moves what can be moved now. Ready when the source has ended, all of it is with the destination, and the
    /// destination has been told (half-close).
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Socket,
        to: &mut Socket,
        pressure: &BackpressureMetrics,
    ) -> Poll<Result<(), Fault>> {
        let mut left = TURN;
        while !self.finished {
            ready!(self.poll_waiting(cx, to))?;
            if self.source_ended {
                ready!(poll_end(cx, to))?;
                self.finished = true;
                break;
            }
            if left == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let read =
                if self.bulk { ready!(self.poll_splice(cx, from, to)) } else { ready!(self.poll_copy(cx, from, to)) };
            left = left.saturating_sub(read?);
            self.note_stall(pressure);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what waits; ready when nothing does.
    fn poll_waiting(&mut self, cx: &mut Context<'_>, to: &mut Socket) -> Poll<Result<(), Fault>> {
        loop {
            let written = match &mut self.waiting {
                // What TLS has taken is not on its way yet.
                Waiting::Nothing => return Pin::new(&mut *to).poll_flush(cx).map_err(Fault::Write),
                Waiting::Bytes { bytes, sent } => {
                    let written = ready!(Pin::new(&mut *to).poll_write(cx, &bytes[*sent..])).map_err(Fault::Write)?;
                    *sent += written;
                    written
                }
                Waiting::Piped(pipe) => {
                    let to = to.plain().ok_or_else(|| Fault::Write(io::ErrorKind::Unsupported.into()))?;
                    ready!(to.poll_write_ready(cx)).map_err(Fault::Write)?;
                    unless_blocked(pipe.drain(to)).map_err(Fault::Write)?
                }
            };
            self.moved.written += written as u64;
            self.release();
        }
    }

    /// Gives buffer or pipe back when it is empty.
    fn release(&mut self) {
        let empty = match &self.waiting {
            Waiting::Nothing => true,
            Waiting::Bytes { bytes, sent } => *sent == bytes.len(),
            Waiting::Piped(pipe) => pipe.filled() == 0,
        };
        if !empty {
            return;
        }
        self.stalled = None;
        if let Waiting::Piped(pipe) = std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            pipe.give_back();
        }
    }

    /// Reads into the thread's buffer and writes from it at once; keeps a copy of what is not taken.
    fn poll_copy(&mut self, cx: &mut Context<'_>, from: &mut Socket, to: &mut Socket) -> Poll<Result<usize, Fault>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *from).poll_read(cx, &mut buffer)).map_err(Fault::Read)?;
            let read = buffer.filled();
            self.source_ended = read.is_empty();
            self.bulk = self.may_splice && read.len() >= BULK;
            self.moved.read += read.len() as u64;
            if read.is_empty() {
                return Poll::Ready(Ok(0));
            }
            if read.len() < LONE_HEADER {
                // Only a hint to the kernel.
                from.quick_ack();
            }
            let written = match Pin::new(to).poll_write(cx, read) {
                Poll::Ready(written) => written.map_err(Fault::Write)?,
                Poll::Pending => 0,
            };
            self.moved.written += written as u64;
            if written < read.len() {
                self.waiting = Waiting::Bytes { bytes: read[written..].to_vec(), sent: 0 };
            }
            Poll::Ready(Ok(read.len()))
        })
    }

    /// Moves a pipe full inside the kernel; keeps the pipe when the destination does not take all of it.
    fn poll_splice(&mut self, cx: &mut Context<'_>, from: &mut Socket, to: &mut Socket) -> Poll<Result<usize, Fault>> {
        let (Some(from), Some(to)) = (from.plain(), to.plain()) else {
            (self.bulk, self.may_splice) = (false, false);
            return Poll::Ready(Ok(0));
        };
        ready!(from.poll_read_ready(cx)).map_err(Fault::Read)?;
        let Ok(mut pipe) = Pipe::take() else {
            // No descriptors left: copying needs none.
            self.bulk = false;
            return Poll::Ready(Ok(0));
        };
        let read = match pipe.fill(from) {
            Ok(read) => read,
            Err(failure) => {
                pipe.give_back();
                return Poll::Ready(self.cannot_splice(failure));
            }
        };
        self.source_ended = read == 0;
        self.bulk = read >= WORTH_SPLICING;
        self.moved.read += read as u64;
        self.moved.spliced += read as u64;
        let written = if read == 0 { 0 } else { unless_blocked(pipe.drain(to)).map_err(Fault::Write)? };
        self.moved.written += written as u64;
        if pipe.filled() == 0 {
            pipe.give_back();
        } else {
            self.waiting = Waiting::Piped(pipe);
        }
        Poll::Ready(Ok(read))
    }

    /// A dry socket has to be waited for; a kernel that does not splice these is not asked again.
    fn cannot_splice(&mut self, failure: io::Error) -> Result<usize, Fault> {
        match failure.kind() {
            io::ErrorKind::WouldBlock => Ok(0),
            io::ErrorKind::InvalidInput => {
                (self.bulk, self.may_splice) = (false, false);
                Ok(0)
            }
            _ => Err(Fault::Read(failure)),
        }
    }

    fn note_stall(&mut self, pressure: &BackpressureMetrics) {
        let waiting = match &self.waiting {
            Waiting::Nothing => return,
            Waiting::Bytes { bytes, .. } => bytes.len(),
            Waiting::Piped(pipe) => pipe.filled(),
        };
        pressure.stalls.get(self.towards).inc();
        self.stalled = Some(Held::new(pressure.buffered.get(self.towards), waiting as i64));
    }
}

/// Tells the destination that no more will come. One that is gone already needs no telling.
fn poll_end(cx: &mut Context<'_>, to: &mut Socket) -> Poll<Result<(), Fault>> {
    match ready!(Pin::new(to).poll_shutdown(cx)) {
        Err(failure) if failure.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(Fault::Write(failure))),
        _ => Poll::Ready(Ok(())),
    }
}

fn unless_blocked(moved: io::Result<usize>) -> io::Result<usize> {
    match moved {
        Err(failure) if failure.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}
