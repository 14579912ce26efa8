//! Calls while a clean-up looks at a million sessions.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    admin,
    args::Args,
    backend::{self, Backends},
    neighbours::victim::Victim,
    peer::{Extras, Kind, Peer},
};

/// From one call to the next: long enough for the core to be busy, and no call to wait for another.
const EVERY: Duration = Duration::from_millis(4);
/// How much longer than others both windows are: the longest call of the longer one would be longer for that alone.
const LONGER: f64 = 5.0 / 3.0;
/// From one look at a run to the next.
const LOOK: Duration = Duration::from_millis(100);

/// What a clean-up does.
pub struct Case {
    pub name: &'static str,
    /// How many of the sessions are due.
    old: usize,
    dry_run: bool,
}

/// More are due than one run remembers.
pub const CASES: [Case; 3] = [
    Case { name: "none is due", old: 0, dry_run: true },
    Case { name: "20,000 are due, a dry run", old: 20_000, dry_run: true },
    Case { name: "20,000 are due, 1,000 a second are deleted", old: 20_000, dry_run: false },
];

/// One run.
pub struct Reading {
    /// Milliseconds of every call while nothing else happens.
    pub quiet: Vec<f64>,
    /// The same while the clean-up runs.
    pub loaded: Vec<f64>,
    /// What it listed, and dealt with in so many seconds.
    pub listed: u64,
    pub dealt: u64,
    pub took: f64,
}

/// The backends of one case; the first of them lists the sessions, on a thread of its own.
pub struct Stage {
    lister: Backends,
    others: Backends,
}

impl Stage {
    pub fn build(case: &Case, sessions: usize) -> io::Result<Self> {
        let old = case.old.min(sessions / 4);
        let lister = Backends::start_listing(Some(backend::entries(sessions, old)))?;
        Ok(Self { lister, others: Backends::start()? })
    }
}

/// Calls in a quiet window, then from the begin of a clean-up until its end.
pub fn read(case: &Case, stage: &Stage, args: &Args) -> io::Result<Reading> {
    let addrs: Vec<_> = stage.lister.addrs[..1].iter().chain(&stage.others.addrs).copied().collect();
    let tables = "[pool.bench.cleanup]\nttl = \"30d\"\ninterval = \"1d\"\nrate = 1000.0\n".to_owned();
    // The calls are to go to backends that have nothing else to do.
    let extras = Extras { tables, weight: 1000, ..Extras::default() };
    let peer = Peer::start_with(Kind::Session, &extras, &addrs, &args.pilotfish)?;
    let mut victim = Victim::calls(peer.addr, EVERY)?;
    victim.run(args.warm, || false)?;
    let window = args.measure.mul_f64(LONGER);
    let quiet = victim.run(window, || false)?;
    let (admin, start) = (peer.admin()?, Instant::now());
    admin::post(admin, &format!("/cleanup?pool=bench&dry_run={}", case.dry_run))?;
    let watch = Watch::start(admin);
    let loaded = victim.run(Duration::ZERO, || !watch.is_over() && start.elapsed() < window)?;
    let run = watch.stop()?;
    let number = |name: &str| run[name].as_u64().unwrap_or(0);
    if number("listed") == 0 || number("failed") > 0 {
        return Err(io::Error::other(format!("the clean-up: {run}")));
    }
    let took = run["took_seconds"].as_f64().unwrap_or(f64::NAN);
    Ok(Reading {
        quiet,
        loaded,
        listed: number("listed"),
        dealt: number("deleted") + number("would_delete") + number("kept_live"),
        took,
    })
}

/// Looks at a run until it has ended.
struct Watch {
    over: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Value>>,
}

impl Watch {
    fn start(admin: SocketAddr) -> Self {
        let (over, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (ends, stops) = (over.clone(), stop.clone());
        let thread = thread::spawn(move || {
            loop {
                let run = admin::json(admin, "/cleanup")?["pools"][0]["last_run"].take();
                let ended = run["outcome"] != "running";
                ends.store(ended, Relaxed);
                if ended || stops.load(Relaxed) {
                    return Ok(run);
                }
                thread::sleep(LOOK);
            }
        });
        Self { over, stop, thread }
    }

    /// It has ended, or cannot be looked at.
    fn is_over(&self) -> bool {
        self.over.load(Relaxed) || self.thread.is_finished()
    }

    /// What it has done so far.
    fn stop(self) -> io::Result<Value> {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the watch panicked")))
    }
}
