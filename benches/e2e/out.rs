//! The writing side: small frames are gathered into one write, large shared ones are not copied.

use std::{collections::VecDeque, io, io::Write as _, net::TcpStream, rc::Rc};

/// What one call of [`Out::flush`] writes at most, so that several streams take turns.
const TURN: usize = 1024 * 1024;

/// Bytes that wait for room in a socket.
#[derive(Default)]
pub struct Out {
    queue: VecDeque<Chunk>,
    sent: usize,
}

enum Chunk {
    Own(Vec<u8>),
    Shared(Rc<Vec<u8>>),
}

impl Out {
    /// A buffer to append small frames to.
    pub fn own(&mut self) -> &mut Vec<u8> {
        if !matches!(self.queue.back(), Some(Chunk::Own(_))) {
            self.queue.push_back(Chunk::Own(Vec::new()));
        }
        match self.queue.back_mut() {
            Some(Chunk::Own(bytes)) => bytes,
            _ => unreachable!("pushed above"),
        }
    }

    /// Bytes that others send too.
    pub fn share(&mut self, bytes: &Rc<Vec<u8>>) {
        self.queue.push_back(Chunk::Shared(bytes.clone()));
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Writes what the socket takes, at most a turn's worth. True if nothing is left.
    pub fn flush(&mut self, mut socket: &TcpStream) -> io::Result<bool> {
        let mut turn = 0;
        while let Some(chunk) = self.queue.front() {
            let bytes = match chunk {
                Chunk::Own(bytes) => &bytes[self.sent..],
                Chunk::Shared(bytes) => &bytes[self.sent..],
            };
            if bytes.is_empty() {
                self.queue.pop_front();
                self.sent = 0;
                continue;
            }
            if turn >= TURN {
                return Ok(false);
            }
            match socket.write(bytes) {
                Ok(wrote) => (self.sent, turn) = (self.sent + wrote, turn + wrote),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
