//! One connection of a backend.

use std::{
    io,
    net::TcpStream,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    answer::{Order, answer},
    tally::Tally,
};
use crate::{
    out::Out,
    poll::{Poll, Ready},
    split::{Got, SCRATCH, Splitter},
};

pub struct Conn {
    socket: TcpStream,
    key: u64,
    splitter: Splitter,
    tally: Arc<Tally>,
    out: Out,
    /// Whole events for 256 KiB, sent over and over while the flood is on.
    flood: Option<Rc<Vec<u8>>>,
    waits: bool,
}

impl Conn {
    pub fn new(socket: TcpStream, key: u64, tally: Arc<Tally>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, key, splitter: Splitter::default(), tally, out: Out::default(), flood: None, waits: false })
    }

    /// Reads, answers, writes. An error is the end of the connection.
    pub fn drive(&mut self, ready: Ready, poll: &Poll, scratch: &mut [u8], flooding: &AtomicBool) -> io::Result<()> {
        if ready.read {
            self.read(scratch)?;
        }
        if self.out.is_empty()
            && let Some(flood) = self.flood.as_ref().filter(|_| flooding.load(Ordering::Relaxed))
        {
            self.out.share(flood);
        }
        let done = self.out.flush(&self.socket)?;
        let more = !done || (self.flood.is_some() && flooding.load(Ordering::Relaxed));
        if more != self.waits {
            self.waits = more;
            poll.want_write(&self.socket, self.key, more)?;
        }
        Ok(())
    }

    fn read(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        let (out, flood, tally) = (&mut self.out, &mut self.flood, &self.tally);
        let each = |body: &[u8], length: usize| {
            tally.note(body, length);
            if let Order::Flood(event) = answer(body, out) {
                *flood = Some(Rc::new(event.repeat(SCRATCH / event.len())));
            }
        };
        match self.splitter.read(&self.socket, scratch, each)? {
            Got::End => Err(io::ErrorKind::UnexpectedEof.into()),
            Got::Bytes(_) | Got::Blocked => Ok(()),
        }
    }
}
