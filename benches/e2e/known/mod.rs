//! Known sessions: what a million of them cost in memory, and what calls notice of a clean-up that looks at all of them.

mod cleaning;
mod memory;
mod report;

use std::io;

use crate::args::Args;
use cleaning::{CASES, Reading, Stage};

/// The names by which `--only` knows this part, and its halves.
pub const NAME: &str = "known";
const MEMORY: &str = "known memory";
const CLEANING: &str = "known clean-up";

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
    owners: Option<(f64, f64)>,
    parked: Option<memory::Parked>,
    /// CPU seconds per million calls: of a client with many sessions, and of one with few.
    table: Vec<(f64, f64)>,
    cleaning: [Vec<Reading>; CASES.len()],
    failures: Vec<String>,
}

/// Sessions of a client that has few.
const FEW: usize = 16;

/// Whether any of it is asked for.
pub fn wanted(args: &Args) -> bool {
    args.wants(MEMORY) || args.wants(CLEANING)
}

/// Runs it and gives the report.
pub fn run(args: &Args) -> io::Result<String> {
    let mut all = Readings {
        sizes: if args.quick { QUICK } else { FULL },
        owners: None,
        parked: None,
        table: Vec::new(),
        cleaning: Default::default(),
        failures: Vec::new(),
    };
    if args.wants(MEMORY) {
        all.remember(args);
    }
    if args.wants(CLEANING) {
        all.clean(args)?;
    }
    Ok(report::markdown(&all, args))
}

impl Readings {
    fn remember(&mut self, args: &Args) {
        let sizes = &self.sizes;
        match memory::owners(args, sizes.known) {
            Ok(owners) => self.owners = Some(owners),
            Err(error) => self.failures.push(format!("owners: {error}")),
        }
        match memory::parked(args, sizes.parked) {
            Ok(parked) => self.parked = Some(parked),
            Err(error) => self.failures.push(format!("parked sessions: {error}")),
        }
        for _ in 0..args.rounds {
            let pair = memory::table(args, sizes.live).and_then(|many| Ok((many, memory::table(args, FEW)?)));
            match pair {
                Ok(pair) => self.table.push(pair),
                Err(error) => self.failures.push(format!("a client with many sessions: {error}")),
            }
        }
        eprintln!("{MEMORY}: done");
    }

    fn clean(&mut self, args: &Args) -> io::Result<()> {
        let stages = CASES.iter().map(|case| Stage::build(case, self.sizes.known)).collect::<io::Result<Vec<_>>>()?;
        for round in 1..=args.rounds {
            for ((case, stage), readings) in CASES.iter().zip(&stages).zip(&mut self.cleaning) {
                match cleaning::read(case, stage, args) {
                    Ok(reading) => readings.push(reading),
                    Err(error) => self.failures.push(format!("{}, round {round}: {error}", case.name)),
                }
            }
            eprintln!("{CLEANING}: round {round} of {}", args.rounds);
        }
        Ok(())
    }
}
