//! Streams of 300-byte events. The reader lets the kernel throw the bytes away and counts them: all frames are alike, and
//! the first megabytes are looked at.

use std::{io, net::TcpStream, time::Duration};

use rustix::net::RecvFlags;

use super::{Context, Meter, Metric, Target, Watchdog, Workload};
use crate::{
    client,
    frames::{Call, event},
    poll::Poll,
    split::{Got, SCRATCH, Splitter, take},
};

/// Frames of each stream that are compared with what was sent before the counting starts.
const CHECKED: u64 = 10_000;

pub fn workloads() -> [Workload; 2] {
    const METRICS: &[Metric] = &[
        Metric {
            name: "events",
            unit: "/s",
            session: Target::AtLeast(1.2),
            connection: Target::None,
            walled: Target::OfOpen(0.95),
        },
        Metric {
            name: "CPU per million",
            unit: "s",
            session: Target::AtMost(0.8),
            connection: Target::None,
            walled: Target::None,
        },
    ];
    [
        Workload {
            name: "stream of 300 B events, 1 client",
            metrics: METRICS,
            walled: true,
            run: |context| run(context, 1),
        },
        Workload {
            name: "stream of 300 B events, 4 clients",
            metrics: METRICS,
            walled: true,
            run: |context| run(context, 4),
        },
    ]
}

fn run(context: &Context, clients: usize) -> io::Result<Vec<f64>> {
    context.backends.flood(true);
    let outcome = count(context, clients);
    context.backends.flood(false);
    outcome
}

fn count(context: &Context, clients: usize) -> io::Result<Vec<f64>> {
    let mut poll = Poll::new()?;
    let mut sockets = Vec::new();
    let mut length = 0;
    for at in 0..clients {
        let (socket, frame) = order(context, at)?;
        poll.add(&socket, at as u64)?;
        sockets.push(socket);
        length = frame;
    }
    let (mut meter, mut watchdog, mut bytes) = (Meter::new(context), Watchdog::new(), 0);
    let (mut scratch, mut ready) = (vec![0; 4 * 1024 * 1024], Vec::new());
    loop {
        poll.wait(Duration::from_millis(100), &mut ready)?;
        for event in &ready {
            match take(&sockets[event.key as usize], &mut scratch, RecvFlags::TRUNC)? {
                Got::Bytes(got) => bytes += got as u64,
                Got::Blocked => {}
                Got::End => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let events = bytes / length;
        watchdog.check(events)?;
        if let Some((rate, cpu)) = meter.tick(events) {
            return Ok(vec![rate, cpu]);
        }
    }
}

/// Opens a client, orders its stream and checks the first frames; gives a frame's length.
fn order(context: &Context, at: usize) -> io::Result<(TcpStream, u64)> {
    let ids = client::session_ids(at, 1);
    let mut socket = client::open(context.peer.addr, &ids)?;
    io::Write::write_all(&mut socket, Call::with_prompt(&ids[0], "flood").with_id(crate::frames::BASE))?;
    let frame = event(&ids[0]);
    let (mut splitter, mut scratch, mut seen, mut wrong) = (Splitter::default(), vec![0; SCRATCH], 0, None);
    while seen < CHECKED {
        let got = splitter.read(&socket, &mut scratch, |body, _| {
            let answer = body.starts_with(crate::frames::START);
            if !answer && !frame.ends_with(body) {
                wrong = Some(String::from_utf8_lossy(body).into_owned());
            }
            seen += 1;
        })?;
        if let Some(wrong) = wrong {
            return Err(io::Error::other(format!("not the event that was sent: {wrong}")));
        }
        if !matches!(got, Got::Bytes(_)) {
            return Err(io::Error::other(format!("the stream stopped after {seen} events: {got:?}")));
        }
    }
    socket.set_nonblocking(true)?;
    Ok((socket, frame.len() as u64))
}
