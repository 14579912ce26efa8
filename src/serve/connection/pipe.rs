//! A pipe in the kernel: what `splice` moves bytes through, so that they are never copied into this process.

use std::{cell::RefCell, io, os::fd::OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;

use crate::backend::Plain;

/// Room asked for. The kernel may give less to an unprivileged user (`pipe-user-pages-soft`); then more calls are made.
pub const CAPACITY: usize = 1 << 20;

/// Empty pipes that a worker thread keeps for the next one who needs one.
const SPARES: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// A pipe and what is in it.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    filled: usize,
}

impl Pipe {
    /// An empty pipe: one that this thread kept, or a new one.
    pub fn take() -> io::Result<Self> {
        if let Some(pipe) = SPARE.with_borrow_mut(Vec::pop) {
            return Ok(pipe);
        }
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        // Whatever size the kernel grants will do.
        let _ = fcntl_setpipe_size(&write, CAPACITY);
        Ok(Self { read, write, filled: 0 })
    }

    /// Gives an empty pipe back. One that is not empty is closed, as its bytes are another connection's.
    pub fn give_back(self) {
        if self.filled == 0 {
            SPARE.with_borrow_mut(|spares| {
                if spares.len() < SPARES {
                    spares.push(self);
                }
            });
        }
    }

    /// Bytes inside.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Takes what `from` has, as far as it fits; 0 at its end. Only into an empty pipe: a full one and an empty socket
    /// both answer `WouldBlock`, and only the second one may put the task to sleep.
    pub fn fill(&mut self, from: &Plain) -> io::Result<usize> {
        debug_assert_eq!(self.filled, 0);
        let got = from.try_io(Interest::READABLE, || {
            Ok(splice(from, None, &self.write, None, CAPACITY, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
        })?;
        self.filled = got;
        Ok(got)
    }

    /// Hands to `to` what it takes; `WouldBlock` when it takes nothing now.
    pub fn drain(&mut self, to: &Plain) -> io::Result<usize> {
        let gone = to.try_io(Interest::WRITABLE, || {
            Ok(splice(&self.read, None, to, None, self.filled, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
        })?;
        self.filled -= gone.min(self.filled);
        Ok(gone)
    }
}
