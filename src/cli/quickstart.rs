//! `pilotfish quickstart`. Owned by the integrator: this file is a stand-in that has only the arguments.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

/// Start Copilot CLIs and serve them on this machine, without a config file
#[derive(Debug, Args)]
pub struct QuickstartArgs {
    /// Also start a model stub, so that prompts are answered without an account
    #[arg(long)]
    pub demo_model: bool,
    /// The port of 127.0.0.1 for SDK clients; 0 takes a free one
    #[arg(long, default_value_t = 4321)]
    pub port: u16,
    /// The port of 127.0.0.1 for health, metrics and status; 0 takes a free one
    #[arg(long, default_value_t = 4320)]
    pub admin_port: u16,
    /// How many CLIs to start
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub backends: u32,
    /// The folder for the CLI package and the sessions
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Says that there is nothing yet.
pub fn run(_: QuickstartArgs) -> ExitCode {
    eprintln!("pilotfish quickstart: not built yet");
    ExitCode::FAILURE
}
