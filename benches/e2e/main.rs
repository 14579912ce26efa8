//! The end-to-end bench: a load generator, a fake backend, and between them nothing, HAProxy, or pilotfish in either mode.
//!
//! `cargo bench --bench e2e` runs everything and writes the table into `docs/performance.md`; with `-- --quick` it takes
//! seconds, measures next to nothing and writes no file; `-- --only calls` picks workloads by a part of their name.
//!
//! The proxy has core 0 to itself, generator and backend share core 1. Runs are interleaved (one round = every peer once)
//! and the table shows medians, so that a slow minute of the machine hits every peer.
#![forbid(unsafe_code)]

mod args;
mod backend;
mod client;
mod frames;
mod machine;
mod out;
mod peer;
mod poll;
mod report;
mod rounds;
mod split;
mod usage;
mod workload;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::from_env();
    if let Err(error) = machine::pin_and_raise() {
        eprintln!("the bench runs unpinned, its figures mean little: {error}");
    }
    let table = match rounds::run(&args) {
        Ok(table) => table,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let text = report::markdown(&table, &args);
    println!("{text}");
    if args.quick || args.only.is_some() {
        return ExitCode::SUCCESS;
    }
    match report::write(&text) {
        Ok(path) => println!("written to {}", path.display()),
        Err(error) => {
            eprintln!("docs/performance.md not written: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
