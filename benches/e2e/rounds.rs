//! Every workload, in rounds of every peer once.

use std::io;

use crate::{
    args::Args,
    backend::Backends,
    peer::{Kind, Peer},
    workload::{self, Context, Metric},
};

/// The readings of one metric, by peer in the order of [`Kind::ALL`], then by round; NaN where a run failed.
pub struct Row {
    pub workload: &'static str,
    pub metric: &'static Metric,
    pub readings: [Vec<f64>; Kind::ALL.len()],
}

impl Row {
    /// A peer's median.
    pub fn median(&self, kind: Kind) -> f64 {
        median(self.readings[kind as usize].clone())
    }

    /// The median of the rounds' ratios of two peers. Runs of one round are neighbours in time, so a slow minute of the
    /// machine cancels out; the ratio of two medians would keep it.
    pub fn ratio(&self, kind: Kind, of: Kind) -> f64 {
        let pairs = self.readings[kind as usize].iter().zip(&self.readings[of as usize]);
        median(pairs.map(|(value, base)| value / base).collect())
    }
}

/// All rows, and what went wrong on the way.
pub struct Table {
    pub rows: Vec<Row>,
    pub failures: Vec<String>,
}

/// Runs what `args` ask for.
pub fn run(args: &Args) -> io::Result<Table> {
    let backends = Backends::start()?;
    let mut table = Table { rows: Vec::new(), failures: Vec::new() };
    for workload in workload::all().iter().filter(|workload| args.wants(workload.name)) {
        let mut readings = vec![[const { Vec::new() }; Kind::ALL.len()]; workload.metrics.len()];
        for round in 0..args.rounds {
            for (at, kind) in Kind::ALL.into_iter().enumerate() {
                if kind == Kind::Walled && !workload.walled {
                    metrics_of(&mut readings, at, &vec![f64::NAN; workload.metrics.len()]);
                    continue;
                }
                // A fresh process for each run: memory and heap are nobody's inheritance.
                let outcome = Peer::start(kind, &backends.addrs, &args.pilotfish)
                    .and_then(|peer| (workload.run)(&Context { args, peer: &peer, backends: &backends }));
                let values = outcome.unwrap_or_else(|error| {
                    let (name, peer) = (workload.name, kind.name());
                    table.failures.push(format!("{name}, {peer}, round {}: {error}", round + 1));
                    vec![f64::NAN; workload.metrics.len()]
                });
                metrics_of(&mut readings, at, &values);
            }
            eprintln!("{}: round {} of {}", workload.name, round + 1, args.rounds);
        }
        for (metric, values) in workload.metrics.iter().zip(readings) {
            table.rows.push(Row { workload: workload.name, metric, readings: values });
        }
    }
    Ok(table)
}

fn metrics_of(readings: &mut [[Vec<f64>; Kind::ALL.len()]], at: usize, values: &[f64]) {
    values.iter().zip(readings).for_each(|(value, metric)| metric[at].push(*value));
}

/// The middle of what was read.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.retain(|value| !value.is_nan());
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
