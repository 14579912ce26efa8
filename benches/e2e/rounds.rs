//! Every workload, in rounds of every peer once.

use std::io;

use crate::{
    args::Args,
    backend::Backends,
    peer::{Kind, Peer},
    workload::{self, Context, Metric},
};

/// The medians of one metric, by peer in the order of [`Kind::ALL`]; NaN where there is none.
pub struct Row {
    pub workload: &'static str,
    pub metric: &'static Metric,
    pub medians: [f64; Kind::ALL.len()],
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
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    for workload in workload::all().iter().filter(|workload| wanted(workload.name)) {
        let mut readings = vec![[const { Vec::new() }; Kind::ALL.len()]; workload.metrics.len()];
        for round in 0..args.rounds {
            for (at, kind) in Kind::ALL.into_iter().enumerate() {
                // A fresh process for each run: memory and heap are nobody's inheritance.
                let outcome = Peer::start(kind, &backends.addrs, &args.pilotfish)
                    .and_then(|peer| (workload.run)(&Context { args, peer: &peer, backends: &backends }));
                match outcome {
                    Ok(values) => {
                        values.into_iter().zip(&mut readings).for_each(|(value, metric)| metric[at].push(value))
                    }
                    Err(error) => {
                        table.failures.push(format!("{}, {}, round {round}: {error}", workload.name, kind.name()))
                    }
                }
            }
            eprintln!("{}: round {} of {}", workload.name, round + 1, args.rounds);
        }
        for (metric, values) in workload.metrics.iter().zip(readings) {
            table.rows.push(Row { workload: workload.name, metric, medians: values.map(median) });
        }
    }
    Ok(table)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
