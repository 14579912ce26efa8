//! `pilotfish sample`.

use std::{io::Write, process::ExitCode};

use clap::Args;

use crate::config;

/// Print a config file with every setting explained
#[derive(Debug, Args)]
pub struct SampleArgs {}

/// Prints the sample; fails when standard output does.
pub fn run(_: SampleArgs) -> ExitCode {
    match std::io::stdout().write_all(config::sample().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
