//! Connections that come and go: a stranger's with wrong tokens, or more of a tenant's than it may have.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
};

use super::dial::dial;
use crate::{
    client,
    frames::frame,
    poll::{Poll, Ready},
    split::{Got, Splitter},
};

/// From where a stranger comes, and from where the flooding tenant does.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const TENANT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);
/// More than one address may have that have not said who they are (256), so that newcomers push out those that wait.
const STRANGERS: usize = 320;
/// Wrong tokens after which the proxy closes.
const TRIES: u64 = 3;

pub struct Churn {
    to: SocketAddr,
    from: Ipv4Addr,
    slots: Vec<Slot>,
    hello: Vec<u8>,
    /// Calls in a hello.
    calls: u64,
    /// Refusals after which a connection is given up for a new one.
    tries: u64,
    /// What was sent: tokens, or connections.
    pub sent: u64,
    /// How many are let in now, and were at most.
    held: u64,
    pub most: u64,
}

#[derive(Default)]
struct Slot {
    socket: Option<TcpStream>,
    splitter: Splitter,
    /// How much of the hello was sent; all of it: an answer is awaited.
    at: usize,
    awaited: u64,
    refused: u64,
    let_in: bool,
}

impl Churn {
    /// A stranger who sends so many wrong tokens in one write.
    pub fn guesses(to: SocketAddr, calls: u64) -> Self {
        Self::new(to, STRANGER, STRANGERS, calls, TRIES, "wrong")
    }

    /// So many connections of the flooding tenant at a time.
    pub fn of_tenant(to: SocketAddr, count: usize) -> Self {
        Self::new(to, TENANT, count, 1, 1, &client::tenant(super::quota::WHO))
    }

    fn new(to: SocketAddr, from: Ipv4Addr, count: usize, calls: u64, tries: u64, token: &str) -> Self {
        let token = client::token(token);
        let connect = |id| {
            let params = format!(r#"{{"clientInfo":{{"name":"bench"}},"token":"{token}"}}"#);
            frame(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"connect","params":{params}}}"#).as_bytes())
        };
        let hello = (1..=calls).flat_map(connect).collect();
        let slots = (0..count).map(|_| Slot::default()).collect();
        Self { to, from, slots, hello, calls, tries, sent: 0, held: 0, most: 0 }
    }

    /// Opens all of them; their keys begin with `first`.
    pub fn open(&mut self, poll: &Poll, first: u64) -> io::Result<()> {
        (0..self.slots.len()).try_for_each(|at| self.reopen(at, poll, first + at as u64))
    }

    /// One of them can be read or written.
    pub fn step(&mut self, at: usize, ready: Ready, poll: &Poll, scratch: &mut [u8]) -> io::Result<()> {
        if ready.read && !self.read(at, scratch) {
            return self.reopen(at, poll, ready.key);
        }
        let slot = &mut self.slots[at];
        if slot.refused >= self.tries {
            return self.reopen(at, poll, ready.key);
        }
        if slot.at == self.hello.len() && slot.awaited == 0 && !slot.let_in {
            slot.at = 0;
        }
        self.write(at, poll, ready.key)
    }

    /// Reads once. `false`: the connection is over.
    fn read(&mut self, at: usize, scratch: &mut [u8]) -> bool {
        let slot = &mut self.slots[at];
        let Some(socket) = &slot.socket else { return false };
        let (mut refused, mut let_in) = (0, 0);
        let got = slot.splitter.read(socket, scratch, |body, _| {
            let error = memchr::memmem::find(body, br#""error":"#).is_some();
            *(if error { &mut refused } else { &mut let_in }) += 1;
        });
        slot.refused += refused;
        slot.awaited = slot.awaited.saturating_sub(refused + let_in);
        if let_in > 0 && !slot.let_in {
            slot.let_in = true;
            self.held += 1;
            self.most = self.most.max(self.held);
        }
        !matches!(got, Ok(Got::End) | Err(_))
    }

    fn write(&mut self, at: usize, poll: &Poll, key: u64) -> io::Result<()> {
        let slot = &mut self.slots[at];
        let Some(socket) = &mut slot.socket else { return Ok(()) };
        if slot.at == self.hello.len() {
            return Ok(());
        }
        match socket.write(&self.hello[slot.at..]) {
            Ok(wrote) => slot.at += wrote,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // It was closed while we wrote; reading says so.
            Err(_) => return Ok(()),
        }
        let done = slot.at == self.hello.len();
        if done {
            slot.awaited = self.calls;
            self.sent += self.calls;
        }
        poll.want_write(&*socket, key, !done)
    }

    fn reopen(&mut self, at: usize, poll: &Poll, key: u64) -> io::Result<()> {
        let slot = &mut self.slots[at];
        if std::mem::take(slot).let_in {
            self.held -= 1;
        }
        let socket = dial(self.from, self.to)?;
        poll.add(&socket, key)?;
        self.slots[at].socket = Some(socket);
        self.write(at, poll, key)
    }
}
