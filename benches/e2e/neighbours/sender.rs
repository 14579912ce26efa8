//! A connection of the flooding tenant: the same bytes over and over, as fast as the proxy takes them.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpStream},
};

use rustix::net::RecvFlags;

use super::dial::abrupt;
use crate::{
    client,
    frames::{BASE, Call, MIB, frame},
    poll::Poll,
    split::{Got, take},
};

/// What one write takes: short, so that the core is free again soon.
const WRITE: usize = 64 * 1024;
/// Frames until the same bytes come again. An id is free by then, for a refused frame is answered at once.
const ROUND: u32 = 4096;

/// What a sender sends.
#[derive(Clone, Copy)]
pub enum What {
    Frames,
    Creates,
    Bytes,
}

pub struct Sender {
    socket: TcpStream,
    bytes: Vec<u8>,
    /// How much of it was sent in this round.
    at: usize,
    /// Units of the case in a round.
    units: f64,
    sent: u64,
}

impl Sender {
    /// Connects and makes one session. Of several kinds at once megabytes are counted.
    pub fn open(addr: SocketAddr, number: usize, what: What, mixed: bool) -> io::Result<Self> {
        let session = format!("{}-{number:02x}", client::tenant(super::quota::WHO));
        let socket = client::open(addr, std::slice::from_ref(&session))?;
        socket.set_nonblocking(true)?;
        abrupt(&socket)?;
        let bytes = match what {
            What::Frames => calls(&session, "xxxxxxx", ROUND),
            What::Creates => creates(&session),
            What::Bytes => calls(&session, &"z".repeat(MIB), 2),
        };
        let megabytes = mixed || matches!(what, What::Bytes);
        let units = if megabytes { bytes.len() as f64 / 1e6 } else { f64::from(ROUND) };
        Ok(Self { socket, bytes, at: 0, units, sent: 0 })
    }

    pub fn watch(&self, poll: &Poll, key: u64) -> io::Result<()> {
        poll.add(&self.socket, key)?;
        poll.want_write(&self.socket, key, true)
    }

    /// Throws away what came and writes once.
    pub fn step(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        if take(&self.socket, scratch, RecvFlags::TRUNC)? == Got::End {
            return Err(io::Error::other("the flooding tenant's connection was closed"));
        }
        let end = self.bytes.len().min(self.at + WRITE);
        match self.socket.write(&self.bytes[self.at..end]) {
            Ok(wrote) => {
                self.sent += wrote as u64;
                self.at = (self.at + wrote) % self.bytes.len();
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How much was sent, in units of the case.
    pub fn sent(&self) -> f64 {
        self.sent as f64 * self.units / self.bytes.len() as f64
    }
}

fn calls(session: &str, prompt: &str, count: u32) -> Vec<u8> {
    let mut call = Call::with_prompt(session, prompt);
    (0..count).flat_map(|number| call.with_id(BASE + number).to_vec()).collect()
}

fn creates(session: &str) -> Vec<u8> {
    let create = |number| {
        let id = BASE + number;
        let params = format!(r#"{{"sessionId":"{session}-{number:04x}","model":"mock","streaming":true}}"#);
        frame(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"session.create","params":{params}}}"#).as_bytes())
    };
    (0..ROUND).flat_map(create).collect()
}
