//! Calls of 128 bytes in a closed loop: every answer sends the next call.

use std::{io, net::TcpStream, time::Duration};

use super::{Context, Meter, Metric, Target, Watchdog, Workload};
use crate::{
    client,
    frames::{BASE, Call, answered},
    out::Out,
    poll::Poll,
    split::{Got, SCRATCH, Splitter},
};

pub fn workloads() -> [Workload; 2] {
    [
        Workload {
            name: "128 B calls, 16 connections",
            metrics: &[
                Metric {
                    name: "calls",
                    unit: "/s",
                    session: Target::AtLeast(0.9),
                    connection: Target::AtLeast(1.0),
                    walled: Target::OfOpen(0.95),
                },
                Metric {
                    name: "CPU per million",
                    unit: "s",
                    session: Target::AtMost(1.1),
                    connection: Target::None,
                    walled: Target::None,
                },
            ],
            walled: true,
            run: |context| run(context, Load { clients: 16, sessions: 1, in_flight: 1 }),
        },
        Workload {
            name: "16 pipelined sessions a client over 4 backends",
            metrics: &[
                Metric {
                    name: "calls",
                    unit: "/s",
                    session: Target::None,
                    connection: Target::None,
                    walled: Target::OfOpen(0.95),
                },
                Metric {
                    name: "CPU per million",
                    unit: "s",
                    session: Target::AtMost(3.0),
                    connection: Target::None,
                    walled: Target::None,
                },
            ],
            walled: true,
            run: |context| run(context, Load { clients: 16, sessions: 16, in_flight: 16 }),
        },
    ]
}

/// CPU seconds of the proxy per million calls of one client that has so many sessions and asks 16 of them at a time.
pub fn one_client(context: &Context, sessions: usize) -> io::Result<f64> {
    let read = run(context, Load { clients: 1, sessions, in_flight: 16 })?;
    read.get(1).copied().ok_or_else(|| io::Error::other("no reading"))
}

/// Clients, sessions of each, calls in flight of each client: a power of two.
struct Load {
    clients: usize,
    sessions: usize,
    in_flight: u32,
}

struct Caller {
    socket: TcpStream,
    splitter: Splitter,
    out: Out,
    calls: Vec<Call>,
    waits: bool,
}

fn run(context: &Context, load: Load) -> io::Result<Vec<f64>> {
    let mut poll = Poll::new()?;
    let slots = load.in_flight;
    let mut callers = Vec::new();
    for at in 0..load.clients {
        let ids = client::session_ids(at, load.sessions);
        let socket = client::open(context.peer.addr, &ids)?;
        socket.set_nonblocking(true)?;
        poll.add(&socket, at as u64)?;
        let calls = ids.iter().map(|id| Call::small(id)).collect();
        callers.push(Caller { socket, splitter: Splitter::default(), out: Out::default(), calls, waits: false });
    }
    for (at, caller) in callers.iter_mut().enumerate() {
        for slot in 0..slots {
            caller.call(slot);
        }
        caller.flush(&poll, at)?;
    }
    let (mut meter, mut watchdog, mut count) = (Meter::new(context), Watchdog::new(), 0);
    let (mut scratch, mut ready) = (vec![0; SCRATCH], Vec::new());
    loop {
        poll.wait(Duration::from_millis(100), &mut ready)?;
        for event in &ready {
            let caller = &mut callers[event.key as usize];
            if event.read {
                count += caller.read(&mut scratch, slots)?;
            }
            caller.flush(&poll, event.key as usize)?;
        }
        watchdog.check(count)?;
        if let Some((rate, cpu)) = meter.tick(count) {
            return Ok(vec![rate, cpu]);
        }
    }
}

impl Caller {
    /// Sends the call of `slot`; a slot's ids go up by the number of slots, so ids in flight never meet.
    fn call(&mut self, number: u32) {
        // A prime, so that many sessions are not asked in the order in which they were made.
        let session = number as usize * 7919 % self.calls.len();
        self.out.own().extend_from_slice(self.calls[session].with_id(BASE + number));
    }

    /// Takes answers and sends a call for each; gives their number.
    fn read(&mut self, scratch: &mut [u8], slots: u32) -> io::Result<u64> {
        let mut next = Vec::new();
        let mut strange = None;
        let got = self.splitter.read(&self.socket, scratch, |body, _| match answered(body) {
            // Below 2^22 an id keeps its 7 digits.
            Some(id) => next.push((id - BASE + slots) & ((1 << 22) - 1)),
            None if body.starts_with(br#"{"jsonrpc":"2.0","method""#) => {}
            None => strange = Some(String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned()),
        })?;
        if let Some(strange) = strange {
            return Err(io::Error::other(format!("not an answer: {strange}")));
        }
        if got == Got::End {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        next.iter().for_each(|number| self.call(*number));
        Ok(next.len() as u64)
    }

    fn flush(&mut self, poll: &Poll, at: usize) -> io::Result<()> {
        let waits = !self.out.flush(&self.socket)?;
        if waits != self.waits {
            self.waits = waits;
            poll.want_write(&self.socket, at as u64, waits)?;
        }
        Ok(())
    }
}
