//! Known sessions: what a million of them cost in memory, and what calls notice of a clean-up that looks at all of them.

mod cleaning;
mod memory;
mod report;

use std::io;

use crate::args::Args;
use cleaning::{CASES, Reading, Stage};

/// The name by which `--only` knows this part.
pub const NAME: &str = "known";

/// How many of each kind.
struct Sizes {
    known: usize,
    parked: usize,
    live: usize,
}

const FULL: Sizes = Sizes { known: 1_000_000, parked: 20_000, live: 10_000 };
const QUICK: Sizes = Sizes { known: 20_000, parked: 2_000, live: 500 };

/// What was read.
struct Readings {
    sizes: Sizes,
    owners: io::Result<(f64, f64)>,
    parked: io::Result<memory::Parked>,
    /// CPU seconds per million calls: of a client with many sessions, and of one with few.
    table: Vec<(f64, f64)>,
    cleaning: [Vec<Reading>; CASES.len()],
    failures: Vec<String>,
}

/// Sessions of a client that has few.
const FEW: usize = 16;

/// Runs it and gives the report.
pub fn run(args: &Args) -> io::Result<String> {
    let sizes = if args.quick { QUICK } else { FULL };
    let mut all = Readings {
        owners: memory::owners(args, sizes.known),
        parked: memory::parked(args, sizes.parked),
        table: Vec::new(),
        cleaning: Default::default(),
        failures: Vec::new(),
        sizes,
    };
    eprintln!("{NAME}: memory");
    for _ in 0..args.rounds {
        let pair = memory::table(args, all.sizes.live).and_then(|many| Ok((many, memory::table(args, FEW)?)));
        match pair {
            Ok(pair) => all.table.push(pair),
            Err(error) => all.failures.push(format!("a client with many sessions: {error}")),
        }
    }
    let stages = CASES.iter().map(|case| Stage::build(case, all.sizes.known)).collect::<io::Result<Vec<_>>>()?;
    for round in 1..=args.rounds {
        for ((case, stage), readings) in CASES.iter().zip(&stages).zip(&mut all.cleaning) {
            match cleaning::read(case, stage, args) {
                Ok(reading) => readings.push(reading),
                Err(error) => all.failures.push(format!("{}, round {round}: {error}", case.name)),
            }
        }
        eprintln!("{NAME}: round {round} of {}", args.rounds);
    }
    Ok(report::markdown(&all, args))
}
