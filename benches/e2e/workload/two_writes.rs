//! The Node SDK's habit: header and body in two writes, without TCP_NODELAY. Whoever delays the ACK of the first delays the second.

use std::{
    io::{self, Write as _},
    time::Instant,
};

use super::{Context, Metric, Target, Workload};
use crate::{
    client,
    frames::{BASE, Call},
};

/// The kernel acknowledges the first segments of a connection at once; only later ones show what an SDK feels.
const WARM: u32 = 20;

pub fn workload() -> Workload {
    Workload {
        name: "calls in two writes, as the Node SDK's",
        walled: false,
        metrics: &[Metric {
            name: "median",
            unit: "ms",
            session: Target::OfDirect(0.02),
            connection: Target::None,
            walled: Target::None,
        }],
        run,
    }
}

fn run(context: &Context) -> io::Result<Vec<f64>> {
    let ids = client::session_ids(0, 1);
    let mut socket = client::open(context.peer.addr, &ids)?;
    socket.set_nodelay(false)?;
    let mut call = Call::small(&ids[0]);
    let measured = if context.args.quick { 10 } else { 40 };
    let mut times = Vec::new();
    for number in 0..WARM + measured {
        let frame = call.with_id(BASE + number);
        let body = frame.iter().position(|byte| *byte == b'{').unwrap_or(0);
        let sent = Instant::now();
        socket.write_all(&frame[..body])?;
        socket.write_all(&frame[body..])?;
        client::read_body(&mut socket)?;
        if number >= WARM {
            times.push(sent.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(vec![times[times.len() / 2]])
}
