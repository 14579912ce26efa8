//! The end-to-end bench: a load generator, a fake backend, and between them nothing, HAProxy, or pilotfish in either mode.
//!
//! `cargo bench --bench e2e` runs everything and writes the table into `docs/performance.md`; with `-- --quick` it takes
//! seconds, measures next to nothing and writes no file; `-- --only calls` picks workloads by a part of their name,
//! `-- --only neighbours` measures what a flood does to others, `-- --only store` what a Redis that is away does to live
//! sessions, and `-- --only known` what a million known sessions cost: tables of their own.
//!
//! The proxy has core 0 to itself, generator and backend share core 1. Runs are interleaved (one round = every peer once)
//! and the table shows medians, so that a slow minute of the machine hits every peer.
#![forbid(unsafe_code)]

mod admin;
mod args;
mod backend;
mod client;
mod frames;
mod known;
mod machine;
mod neighbours;
mod out;
mod peer;
mod poll;
mod redis;
mod report;
mod rounds;
mod split;
mod store;
mod usage;
mod workload;

use std::{io, process::ExitCode};

fn main() -> ExitCode {
    let args = args::Args::from_env();
    if let Err(error) = machine::pin_and_raise() {
        eprintln!("the bench runs unpinned, its figures mean little: {error}");
    }
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that `args` ask for. What was run whole is written into the document.
fn run(args: &args::Args) -> io::Result<()> {
    let table = rounds::run(args)?;
    if !table.rows.is_empty() {
        say(&report::markdown(&table, args), report::WORKLOADS, !args.quick && args.only.is_none())?;
    }
    if args.wants(neighbours::NAME) {
        let (rows, failures) = neighbours::run(args)?;
        say(&neighbours::report::markdown(&rows, &failures, args), report::NEIGHBOURS, !args.quick)?;
    }
    if args.wants(store::NAME) {
        say(&store::run(&args.shorter())?, report::STORE, !args.quick)?;
    }
    if known::wanted(args) {
        // Halves are for the terminal.
        let whole = args.wants(known::NAME);
        say(&known::run(&args.shorter())?, report::KNOWN, whole && !args.quick)?;
    }
    Ok(())
}

fn say(text: &str, marks: &str, write: bool) -> io::Result<()> {
    println!("{text}");
    if write {
        println!("written to {}", report::write(text, marks)?.display());
    }
    Ok(())
}
