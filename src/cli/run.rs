//! `pilotfish run`. Owned by the integrator: this file is a stand-in that checks the config and stops.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

/// Serve as the config file says
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The config file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Refuses a bad config before anything is bound.
pub fn run(args: RunArgs) -> ExitCode {
    if super::check::load_or_tell(&args.config).is_some() {
        eprintln!("pilotfish run: not built yet");
    }
    ExitCode::FAILURE
}
