//! `pilotfish guard`. Owned by the integrator: this file is a stand-in that has only the arguments.

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

/// Says that there is nothing yet.
pub fn run(_: GuardArgs) -> ExitCode {
    eprintln!("pilotfish guard: not built yet");
    ExitCode::FAILURE
}
