//! One call of 128 bytes each millisecond: what a proxy adds when nobody is in a hurry.

use std::{
    io::{self, Write as _},
    thread,
    time::{Duration, Instant},
};

use super::{Context, Metric, Target, Workload};
use crate::{
    client,
    frames::{BASE, Call},
};

const EVERY: Duration = Duration::from_millis(1);

pub fn workload() -> Workload {
    Workload {
        name: "128 B calls at 1,000/s",
        walled: false,
        metrics: &[
            Metric { name: "p50", unit: "µs", session: Target::None, connection: Target::None, walled: Target::None },
            Metric { name: "p99", unit: "µs", session: Target::None, connection: Target::None, walled: Target::None },
        ],
        run,
    }
}

fn run(context: &Context) -> io::Result<Vec<f64>> {
    let ids = client::session_ids(0, 1);
    let mut socket = client::open(context.peer.addr, &ids)?;
    let mut call = Call::small(&ids[0]);
    let start = Instant::now();
    let warm = context.args.warm;
    let total = warm + context.args.measure;
    let mut times = Vec::new();
    for number in 0.. {
        let due = EVERY * number;
        if due > total {
            break;
        }
        thread::sleep(due.saturating_sub(start.elapsed()));
        let sent = Instant::now();
        socket.write_all(call.with_id(BASE + number))?;
        read_answer(&mut socket)?;
        if due > warm {
            times.push(sent.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    Ok(vec![at(0.5), at(0.99)])
}

/// Answers have one size, so one exact read is enough; notifications would break that and none are asked for.
fn read_answer(socket: &mut std::net::TcpStream) -> io::Result<()> {
    let mut frame = [0; 128];
    io::Read::read_exact(socket, &mut frame)?;
    if frame.starts_with(b"Content-Length: 105\r\n\r\n") {
        Ok(())
    } else {
        Err(io::Error::other(format!("not an answer: {}", String::from_utf8_lossy(&frame))))
    }
}
