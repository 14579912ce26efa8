//! What is measured. A workload gives its readings for one peer; the rounds do the rest.

mod calls;
mod idle;
mod large;
mod latency;
mod stream;
mod two_writes;

use std::{
    io,
    time::{Duration, Instant},
};

use crate::{args::Args, backend::Backends, peer::Peer, usage};
pub use calls::one_client;

/// One line of the table: what is measured, and what session and connection mode owe to HAProxy.
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub session: Target,
    pub connection: Target,
    /// What a wall may cost: a bound on the walled session mode's ratio to the open one's.
    pub walled: Target,
}

/// A bound on a figure.
#[derive(Clone, Copy)]
pub enum Target {
    None,
    /// At most this many times HAProxy's.
    AtMost(f64),
    /// At least this many times HAProxy's.
    AtLeast(f64),
    /// At most this, whatever HAProxy's is.
    Absolute(f64),
    /// At least this many times the open session mode's.
    OfOpen(f64),
    /// At most this part of the direct one.
    OfDirect(f64),
}

/// A workload: its name, its metrics, and how to read them (in the same order) from one peer.
pub struct Workload {
    pub name: &'static str,
    pub metrics: &'static [Metric],
    /// Whether it is also run with a wall between tenants.
    pub walled: bool,
    pub run: fn(&Context) -> io::Result<Vec<f64>>,
}

/// Everything that a run needs.
pub struct Context<'a> {
    pub args: &'a Args,
    pub peer: &'a Peer,
    pub backends: &'a Backends,
}

/// All workloads, in the order of the table.
pub fn all() -> Vec<Workload> {
    let mut all = Vec::new();
    all.extend(calls::workloads());
    all.extend(stream::workloads());
    all.extend(large::workloads());
    all.extend([latency::workload(), idle::workload(), two_writes::workload()]);
    all
}

/// Counts something between two instants, with the CPU time that the proxy used for it.
struct Meter {
    pid: Option<u32>,
    from: Instant,
    until: Instant,
    started: Option<(Instant, u64, f64)>,
}

impl Meter {
    fn new(context: &Context) -> Self {
        let from = Instant::now() + context.args.warm;
        Self { pid: context.peer.pid(), from, until: from + context.args.measure, started: None }
    }

    /// Called often with the count so far; gives per second and CPU seconds per million when the time is over.
    fn tick(&mut self, count: u64) -> Option<(f64, f64)> {
        let now = Instant::now();
        match self.started {
            None if now >= self.from => self.started = Some((now, count, self.cpu())),
            Some((start, first, cpu)) if now >= self.until => {
                let done = (count - first) as f64;
                return Some((done / (now - start).as_secs_f64(), (self.cpu() - cpu) / done * 1e6));
            }
            _ => {}
        }
        None
    }

    fn cpu(&self) -> f64 {
        self.pid.map_or(f64::NAN, usage::cpu_seconds)
    }
}

/// Fails a run in which nothing has moved for too long: no run may hang the bench.
struct Watchdog {
    last: u64,
    moved: Instant,
}

impl Watchdog {
    fn new() -> Self {
        Self { last: 0, moved: Instant::now() }
    }

    fn check(&mut self, count: u64) -> io::Result<()> {
        if count != self.last {
            (self.last, self.moved) = (count, Instant::now());
        } else if self.moved.elapsed() > Duration::from_secs(3) {
            return Err(io::Error::other(format!("nothing moved for 3 s after {count}")));
        }
        Ok(())
    }
}
