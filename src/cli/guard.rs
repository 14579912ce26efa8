//! `pilotfish guard` (hidden): the process between us and a supervised CLI.

use std::{ffi::OsString, process::ExitCode};

use clap::Args;

/// Run a command and end it when pilotfish is gone
#[derive(Debug, Args)]
#[command(hide = true)]
pub struct GuardArgs {
    /// What the guard is told, and the command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub rest: Vec<OsString>,
}

/// Runs the command under guard: see [`crate::supervise::guard`].
pub fn run(args: GuardArgs) -> ExitCode {
    crate::supervise::guard::run(args.rest)
}
