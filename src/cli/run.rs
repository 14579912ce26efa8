//! `pilotfish run --config FILE`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

/// Serve as the config file says
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The config file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Refuses a bad config before anything is bound, then serves until a signal.
pub fn run(args: RunArgs) -> ExitCode {
    match super::check::load_or_tell(&args.config) {
        Some(config) => crate::app::run(config, None),
        None => ExitCode::FAILURE,
    }
}
