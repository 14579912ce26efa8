//! The command line. `cargo bench` adds `--bench`, which says nothing new.

use std::{path::PathBuf, time::Duration};

/// What to run, and for how long.
#[derive(Clone)]
pub struct Args {
    /// Seconds instead of minutes: shows that everything works, measures nothing.
    pub quick: bool,
    /// Only workloads and other parts whose name contains this.
    pub only: Option<String>,
    /// Rounds, each with every peer once.
    pub rounds: usize,
    /// Before the clock starts.
    pub warm: Duration,
    /// While it runs.
    pub measure: Duration,
    /// Idle connections to hold.
    pub idle: usize,
    /// The binary to measure.
    pub pilotfish: PathBuf,
}

impl Args {
    /// Reads the process's arguments; those it does not know are ignored.
    pub fn from_env() -> Self {
        let all: Vec<_> = std::env::args().skip(1).collect();
        let after = |name: &str| all.iter().position(|arg| arg == name).and_then(|at| all.get(at + 1)).cloned();
        let quick = all.iter().any(|arg| arg == "--quick");
        let millis = |full, short| Duration::from_millis(if quick { short } else { full });
        let rounds = after("--rounds").and_then(|count| count.parse().ok());
        Self {
            quick,
            only: after("--only"),
            rounds: rounds.unwrap_or(if quick { 1 } else { 5 }),
            warm: millis(500, 150),
            measure: millis(2_000, 350),
            idle: if quick { 500 } else { 5_000 },
            pilotfish: after("--pilotfish").map_or_else(|| env!("CARGO_BIN_EXE_pilotfish").into(), PathBuf::from),
        }
    }

    /// Whether a part of this name is run.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    /// For the parts that do not compare peers: shorter and fewer windows, so that they take a minute each.
    pub fn shorter(&self) -> Self {
        let three_fifths = |time: Duration| time * 3 / 5;
        Self {
            rounds: (self.rounds * 3).div_ceil(5),
            warm: three_fifths(self.warm),
            measure: three_fifths(self.measure),
            ..self.clone()
        }
    }
}
