//! What an idle client costs: thousands that have said `connect` and nothing since.

use std::{io, thread, time::Duration};

use super::{Context, Metric, Target, Workload};
use crate::{client, usage};

pub fn workload() -> Workload {
    Workload {
        name: "idle clients, connected",
        walled: false,
        metrics: &[Metric {
            name: "resident memory each",
            unit: "KiB",
            session: Target::Absolute(16.0),
            connection: Target::Absolute(16.0),
            walled: Target::None,
        }],
        run,
    }
}

fn run(context: &Context) -> io::Result<Vec<f64>> {
    let Some(pid) = context.peer.pid() else { return Ok(vec![f64::NAN]) };
    // One client first: what is paid once is not a client's.
    let first = client::open(context.peer.addr, &[])?;
    thread::sleep(Duration::from_millis(200));
    let before = usage::resident_kib(pid);
    let held = (0..context.args.idle).map(|_| client::open(context.peer.addr, &[])).collect::<Result<Vec<_>, _>>()?;
    thread::sleep(Duration::from_millis(500));
    let after = usage::resident_kib(pid);
    let each = (after - before) / held.len() as f64;
    drop((first, held));
    Ok(vec![each])
}
