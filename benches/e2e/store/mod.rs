//! The store: what calls of live sessions notice of a Redis that is killed, stopped, or slow, and what one costs them that is
//! well.
//!
//! Windows in which the store is well and windows in which it is not take turns within one process of the proxy; the calls go on
//! through every change and every recovery, and each of them has to be answered with its result.

mod claims;
mod relay;
mod report;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{
    args::Args,
    backend::Backends,
    neighbours::victim::Victim,
    peer::{Extras, Kind, Peer},
    redis::Redis,
    workload::{self, Context},
};
use claims::Claims;
use relay::Relay;

/// The name by which `--only` knows this part.
pub const NAME: &str = "store";

/// From one call to the next.
const EVERY: Duration = Duration::from_millis(1);
/// Within a window without the store every hold is over.
const TTL: Duration = Duration::from_secs(1);
/// What a slow one takes for each answer.
const SLOW: Duration = Duration::from_millis(100);
/// How long a recovery is waited for.
const RECOVERY: Duration = Duration::from_secs(10);
/// The workloads that show what a store costs that is well.
const COSTS: [&str; 2] = ["128 B calls, 16 connections", "128 B calls at 1,000/s"];

/// What is wrong with the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Down,
    Hung,
    Slow,
}

const TROUBLES: [Trouble; 3] = [Trouble::Down, Trouble::Hung, Trouble::Slow];

/// One window of a trouble, and the one before it.
struct Reading {
    /// Milliseconds of every call while the store is well.
    well: Vec<f64>,
    /// The same from the trouble's begin until the recovery.
    ill: Vec<f64>,
    /// The longest that a new session's create took meanwhile, and whether all of them were refused.
    claim: f64,
    refused: bool,
    /// Seconds from the store's return until a session could be made.
    recovery: f64,
}

/// What the proxy did with a store of one kind.
struct Cost {
    /// Calls a second, CPU seconds per million, and the percentiles of calls in no hurry, in microseconds.
    figures: Vec<f64>,
    /// How many calls that were, about, and the commands that Redis ran meanwhile.
    calls: f64,
    commands: BTreeMap<String, u64>,
}

/// All rounds.
#[derive(Default)]
struct Readings {
    troubles: [Vec<Reading>; 3],
    memory: Vec<Cost>,
    redis: Vec<Cost>,
    failures: Vec<String>,
}

/// Runs it and gives the report.
pub fn run(args: &Args) -> io::Result<String> {
    let backends = Backends::start()?;
    let mut all = Readings::default();
    for round in 1..=args.rounds {
        if let Err(error) = troubles(args, &backends, &mut all.troubles) {
            all.failures.push(format!("round {round}: {error}"));
        }
        for shared in [false, true] {
            match cost(shared, args, &backends) {
                Ok(cost) => if shared { &mut all.redis } else { &mut all.memory }.push(cost),
                Err(error) => all.failures.push(format!("round {round}, what it costs: {error}")),
            }
        }
        eprintln!("{NAME}: round {round} of {}", args.rounds);
    }
    Ok(report::markdown(&all, args))
}

fn troubles(args: &Args, backends: &Backends, all: &mut [Vec<Reading>; 3]) -> io::Result<()> {
    let mut redis = Redis::start()?;
    let relay = Relay::start(redis.addr)?;
    let peer = Peer::start_with(Kind::Session, &shared(relay.addr), &backends.addrs, &args.pilotfish)?;
    let mut victim = Victim::calls(peer.addr, EVERY)?;
    victim.run(args.warm, || false)?;
    for (trouble, readings) in TROUBLES.into_iter().zip(all) {
        let claims = Claims::start(peer.addr, trouble.name())?;
        let well = victim.run(args.measure, || false)?;
        trouble.begin(&mut redis, &relay)?;
        let began = Instant::now();
        let mut ill = victim.run(args.measure.max(TTL + TTL / 5), || false)?;
        let tried = claims.since(began);
        trouble.end(&mut redis, &relay)?;
        let returned = Instant::now();
        let made = || claims.since(returned).into_iter().find(|claim| claim.made);
        ill.extend(victim.run(Duration::ZERO, || made().is_none() && returned.elapsed() < RECOVERY)?);
        let recovered = made().ok_or_else(|| io::Error::other("no session could be made after the store's return"))?;
        claims.stop()?;
        readings.push(Reading {
            well,
            ill,
            claim: tried.iter().map(|claim| claim.ms).fold(f64::NAN, f64::max),
            refused: !tried.iter().any(|claim| claim.made),
            recovery: (recovered.began - returned).as_secs_f64() + recovered.ms / 1e3,
        });
    }
    Ok(())
}

impl Trouble {
    fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Hung => "hung",
            Self::Slow => "slow",
        }
    }

    fn begin(self, redis: &mut Redis, relay: &Relay) -> io::Result<()> {
        match self {
            Self::Down => redis.kill(),
            Self::Hung => redis.pause(true)?,
            Self::Slow => relay.delay(SLOW),
        }
        Ok(())
    }

    fn end(self, redis: &mut Redis, relay: &Relay) -> io::Result<()> {
        match self {
            Self::Down => redis.run()?,
            Self::Hung => redis.pause(false)?,
            Self::Slow => relay.delay(Duration::ZERO),
        }
        Ok(())
    }
}

fn cost(in_redis: bool, args: &Args, backends: &Backends) -> io::Result<Cost> {
    let redis = Redis::start()?;
    let extras = if in_redis { shared(redis.addr) } else { Extras::default() };
    let mut cost = Cost { figures: Vec::new(), calls: 0.0, commands: BTreeMap::new() };
    for workload in workload::all().iter().filter(|workload| COSTS.contains(&workload.name)) {
        let peer = Peer::start_with(Kind::Session, &extras, &backends.addrs, &args.pilotfish)?;
        let (before, start) = (redis.commands()?, Instant::now());
        let read = (workload.run)(&Context { args, peer: &peer, backends })?;
        if cost.figures.is_empty() {
            cost.calls = read[0] * start.elapsed().as_secs_f64();
            cost.commands = redis.commands()?;
            cost.commands.iter_mut().for_each(|(name, count)| *count -= before.get(name).copied().unwrap_or(0));
            // That is the question itself.
            cost.commands.retain(|name, count| *count > 0 && name != "info");
        }
        cost.figures.extend(read);
    }
    Ok(cost)
}

/// A store in Redis at this address.
fn shared(redis: SocketAddr) -> Extras {
    let tables = format!(
        "[store]\nkind = \"redis\"\naddresses = [\"{redis}\"]\nttl = \"{}ms\"\n[pool.bench.sessions]\nmax_live_sessions = 0\n",
        TTL.as_millis()
    );
    Extras { tables, ..Extras::default() }
}
