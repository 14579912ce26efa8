//! Neighbours: what a client notices of a tenant that floods, and what a login notices of a stranger who tries tokens.
//!
//! Quiet and loaded windows take turns within one process of the proxy. The load runs on the generator's core under the idle
//! policy, so that it gets what the client and the backend leave of that core and the client never waits for it there: what
//! the client notices is the proxy's doing.

mod case;
mod churn;
mod dial;
mod load;
mod quota;
pub mod report;
mod sender;
pub mod victim;

use std::{
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    args::Args,
    backend::Backends,
    peer::{self, Extras, Peer},
    usage,
};
use case::{CASES, Case, Kind};
use load::Load;
use quota::{LIMITS, Used};
use victim::Victim;

/// The name by which `--only` knows this part.
pub const NAME: &str = "neighbours";
/// Pairs of a quiet and a loaded window in one run.
const PAIRS: u32 = 2;
/// How long the proxy may work off what a load has left behind.
const LEFTOVERS: Duration = Duration::from_secs(10);

/// One run of one case.
#[derive(Default)]
pub struct Reading {
    /// Milliseconds of every call or login while nothing else happens.
    quiet: Vec<f64>,
    /// The same under the load.
    loaded: Vec<f64>,
    /// What the load sent in a second, in the case's unit.
    sent: f64,
    /// The largest part of any quota that the load got; NaN where there is none.
    used: f64,
}

/// A case and its runs.
pub struct Row {
    case: &'static Case,
    readings: Vec<Reading>,
}

/// Runs every case in every round. What fails is said and left out.
pub fn run(args: &Args) -> io::Result<(Vec<Row>, Vec<String>)> {
    let backends = Backends::start()?;
    let mut rows: Vec<Row> = CASES.iter().map(|case| Row { case, readings: Vec::new() }).collect();
    let mut failures = Vec::new();
    for round in 1..=args.rounds {
        for row in &mut rows {
            match read(row.case, args, &backends) {
                Ok(reading) => row.readings.push(reading),
                Err(error) => failures.push(format!("{}, round {round}: {error}", row.case.name)),
            }
        }
        eprintln!("{NAME}: round {round} of {}", args.rounds);
    }
    Ok((rows, failures))
}

fn read(case: &Case, args: &Args, backends: &Backends) -> io::Result<Reading> {
    backends.tally.start();
    let began = Instant::now();
    let limited = Extras { limits: LIMITS.into(), ..Extras::default() };
    let peer = Peer::start_with(peer::Kind::Walled, &limited, &backends.addrs, &args.pilotfish)?;
    let mut victim = Victim::open(case.kind, peer.addr)?;
    victim.run(args.warm, || false)?;
    let (mut reading, mut used, mut time, mut sent) = (Reading::default(), Used::default(), 0.0, 0);
    for _ in 0..PAIRS {
        settle(&peer)?;
        reading.quiet.extend(victim.run(args.measure, || false)?);
        let load = Load::start(case.kind, peer.addr)?;
        let (before, start) = (backends.tally.counts(), Instant::now());
        let enough = if args.quick { 500 } else { case::TOKENS / u64::from(PAIRS) };
        let owes = || matches!(case.kind, Kind::Guess(_)) && load.sent() < enough && !load.is_over();
        reading.loaded.extend(victim.run(args.measure, owes)?);
        let (outcome, lasted) = (load.stop()?, start.elapsed().as_secs_f64());
        used.window(before, backends.tally.counts(), lasted, outcome.let_in);
        (time, sent) = (time + lasted, sent + outcome.sent);
    }
    used.whole(backends.tally.counts(), began.elapsed().as_secs_f64());
    reading.sent = sent as f64 / time;
    reading.used = if matches!(case.kind, Kind::Flood(_)) { used.worst() } else { f64::NAN };
    Ok(reading)
}

/// Waits until the proxy has nothing more to do: a load's last bytes still lie in its sockets.
fn settle(peer: &Peer) -> io::Result<()> {
    let Some(pid) = peer.pid() else { return Ok(()) };
    let until = Instant::now() + LEFTOVERS;
    let step = Duration::from_millis(100);
    while Instant::now() < until {
        let before = usage::cpu_seconds(pid);
        thread::sleep(step);
        if usage::cpu_seconds(pid) - before < step.as_secs_f64() / 20.0 {
            return Ok(());
        }
    }
    Err(io::Error::other(format!("the proxy is still busy {LEFTOVERS:?} after the load")))
}
