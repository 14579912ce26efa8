//! Frames of 1 MiB, up (requests) and down (answers), two in flight for each client.

use std::{io, net::TcpStream, rc::Rc, time::Duration};

use super::{Context, Meter, Metric, Target, Watchdog, Workload};
use crate::{
    client,
    frames::{BASE, Call, DIGITS, MIB, answered, put_id},
    out::Out,
    poll::Poll,
    split::{Got, SCRATCH, Splitter},
};

const CLIENTS: usize = 4;
const DEPTH: u32 = 2;

pub fn workloads() -> [Workload; 2] {
    const METRICS: &[Metric] = &[
        Metric {
            name: "bytes",
            unit: "MB/s",
            session: Target::AtLeast(3.0),
            connection: Target::AtLeast(2.5),
            walled: Target::None,
        },
        Metric { name: "CPU per GB", unit: "s", session: Target::None, connection: Target::None, walled: Target::None },
    ];
    [
        Workload {
            name: "1 MiB requests, 4 clients",
            metrics: METRICS,
            walled: false,
            run: |context| run(context, &"z".repeat(MIB)),
        },
        Workload {
            name: "1 MiB answers, 4 clients",
            metrics: METRICS,
            walled: false,
            run: |context| run(context, "big"),
        },
    ]
}

struct Sender {
    socket: TcpStream,
    splitter: Splitter,
    out: Out,
    head: Vec<u8>,
    tail: Rc<Vec<u8>>,
    id_at: usize,
    waits: bool,
}

fn run(context: &Context, prompt: &str) -> io::Result<Vec<f64>> {
    let mut poll = Poll::new()?;
    let mut senders = Vec::new();
    for at in 0..CLIENTS {
        let ids = client::session_ids(at, 1);
        let socket = client::open(context.peer.addr, &ids)?;
        socket.set_nonblocking(true)?;
        poll.add(&socket, at as u64)?;
        let (head, tail, id_at) = Call::with_prompt(&ids[0], prompt).head_and_tail();
        senders.push(Sender {
            socket,
            splitter: Splitter::default(),
            out: Out::default(),
            head,
            tail,
            id_at,
            waits: false,
        });
    }
    for (at, sender) in senders.iter_mut().enumerate() {
        (0..DEPTH).for_each(|number| sender.send(number));
        sender.flush(&poll, at)?;
    }
    let (mut meter, mut watchdog, mut frames) = (Meter::new(context), Watchdog::new(), 0);
    let (mut scratch, mut ready) = (vec![0; SCRATCH], Vec::new());
    loop {
        poll.wait(Duration::from_millis(100), &mut ready)?;
        for event in &ready {
            let sender = &mut senders[event.key as usize];
            if event.read {
                frames += sender.read(&mut scratch)?;
            }
            sender.flush(&poll, event.key as usize)?;
        }
        watchdog.check(frames)?;
        if let Some((rate, cpu)) = meter.tick(frames) {
            let megabytes = MIB as f64 / 1e6;
            return Ok(vec![rate * megabytes, cpu / megabytes / 1e3]);
        }
    }
}

impl Sender {
    fn send(&mut self, number: u32) {
        put_id(&mut self.head[self.id_at..self.id_at + DIGITS], BASE + number);
        self.out.own().extend_from_slice(&self.head);
        self.out.share(&self.tail);
    }

    fn read(&mut self, scratch: &mut [u8]) -> io::Result<u64> {
        let mut next = Vec::new();
        let mut strange = None;
        let got = self.splitter.read(&self.socket, scratch, |body, _| match answered(body) {
            Some(id) => next.push((id - BASE + DEPTH) & ((1 << 22) - 1)),
            None if body.starts_with(br#"{"jsonrpc":"2.0","method""#) => {}
            None => strange = Some(String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned()),
        })?;
        if let Some(strange) = strange {
            return Err(io::Error::other(format!("not an answer: {strange}")));
        }
        if got == Got::End {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        next.iter().for_each(|number| self.send(*number));
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
