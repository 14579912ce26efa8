//! The buffers of a worker thread: whichever client it serves at the moment reads into them and gathers its writes there.
//! A connection keeps only the rest of an unfinished frame, so an idle one costs next to nothing.

use std::{cell::RefCell, ops::Range};

use crate::wire::frame::{MAX_OWN_HEAD, append_frame, write_head};

/// Read at once. 1 MiB frames, answers through session mode, MB/s at 64, 128, 256, 512 and 1,024 KiB: 2,690, 2,960, 3,490,
/// 3,500 and 3,720 (2026-11-24, medians, 4,370 direct); more changes nothing. One for each worker thread.
pub const READ_BYTES: usize = 1 << 20;

/// Where bytes go: a link's number, or [`CLIENT`].
pub type Dest = u16;

/// The client's own socket as a destination.
pub const CLIENT: Dest = Dest::MAX;

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::new(Workspace::default());
}

/// What arrived, and what goes out because of it.
#[derive(Debug, Default)]
pub struct Workspace {
    /// The read buffer.
    pub read: Vec<u8>,
    /// How much of it is in use by what was gathered.
    pub filled: usize,
    /// The writes gathered so far.
    pub out: Output,
}

/// Lends the thread's workspace to `serve`, which must not await.
pub fn with_workspace<R>(serve: impl FnOnce(&mut Workspace) -> R) -> R {
    WORKSPACE.with_borrow_mut(|workspace| {
        workspace.clear();
        serve(workspace)
    })
}

impl Workspace {
    /// Everything gathered was written (or copied): the read buffer is free again.
    pub fn clear(&mut self) {
        self.out.clear();
        self.filled = 0;
        if self.read.len() != READ_BYTES {
            // A collected frame had taken its place.
            self.read = vec![0; READ_BYTES];
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The read buffer: passed on where it lies.
    Read,
    /// Bytes of ours.
    Own,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    dest: Dest,
    source: Source,
    start: usize,
    end: usize,
}

/// Writes gathered for several destinations, in order for each.
#[derive(Debug, Default)]
pub struct Output {
    own: Vec<u8>,
    pieces: Vec<Piece>,
    /// Where they go, each once.
    dests: Vec<Dest>,
}

impl Output {
    /// Passes a part of the read buffer on. Parts that follow each other become one.
    #[inline]
    pub fn pass(&mut self, dest: Dest, part: Range<usize>) {
        if let Some(last) = self.pieces.last_mut()
            && last.dest == dest
            && last.source == Source::Read
            && last.end == part.start
        {
            last.end = part.end;
            return;
        }
        self.push(Piece { dest, source: Source::Read, start: part.start, end: part.end });
    }

    /// Writes bytes of ours.
    pub fn write(&mut self, dest: Dest, bytes: &[u8]) {
        let start = self.own.len();
        self.own.extend_from_slice(bytes);
        self.push(Piece { dest, source: Source::Own, start, end: self.own.len() });
    }

    /// Writes the head of a frame whose body follows.
    pub fn head(&mut self, dest: Dest, body_len: usize) {
        let mut head = [0; MAX_OWN_HEAD];
        let len = write_head(body_len, &mut head);
        self.write(dest, &head[..len]);
    }

    /// Writes a whole frame.
    pub fn frame(&mut self, dest: Dest, body: &[u8]) {
        let start = self.own.len();
        append_frame(&mut self.own, body);
        self.push(Piece { dest, source: Source::Own, start, end: self.own.len() });
    }

    /// What goes to `dest`, in order.
    pub fn parts<'a>(&'a self, dest: Dest, read: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.pieces.iter().filter(move |piece| piece.dest == dest).map(move |piece| match piece.source {
            Source::Read => &read[piece.start..piece.end],
            Source::Own => &self.own[piece.start..piece.end],
        })
    }

    fn push(&mut self, piece: Piece) {
        if !self.dests.contains(&piece.dest) {
            self.dests.push(piece.dest);
        }
        self.pieces.push(piece);
    }

    /// The destination number `index`, in the order in which they were first written to.
    pub fn dest(&self, index: usize) -> Option<Dest> {
        self.dests.get(index).copied()
    }

    /// Whether nothing was gathered.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Forgets everything; a large buffer of ours is given back.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.dests.clear();
        self.own.clear();
        if self.own.capacity() > READ_BYTES {
            self.own = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_follow_each_other_become_one() {
        let read = b"aaabbbccc";
        let mut out = Output::default();
        out.pass(0, 0..3);
        out.pass(0, 3..6);
        out.write(CLIENT, b"xyz");
        out.pass(0, 6..9);
        assert_eq!(out.parts(0, read).collect::<Vec<_>>(), [&b"aaabbb"[..], b"ccc"]);
        assert_eq!(out.parts(CLIENT, read).collect::<Vec<_>>(), [b"xyz"]);
        assert_eq!([out.dest(0), out.dest(1), out.dest(2)], [Some(0), Some(CLIENT), None]);
    }
}
