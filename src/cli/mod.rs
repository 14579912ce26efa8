//! The command line: one subcommand a file, each with its arguments and a `run`.

mod check;
mod guard;
mod quickstart;
mod run;
mod sample;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Session-aware load balancing in front of Copilot CLI servers.
#[derive(Debug, Parser)]
#[command(name = "pilotfish", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::CheckArgs),
    Sample(sample::SampleArgs),
    Run(run::RunArgs),
    Quickstart(quickstart::QuickstartArgs),
    Guard(guard::GuardArgs),
}

/// Reads the command line and does what it says. Arguments that are not understood end the process with code 2.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Check(args) => check::run(args),
        Command::Sample(args) => sample::run(args),
        Command::Run(args) => run::run(args),
        Command::Quickstart(args) => quickstart::run(args),
        Command::Guard(args) => guard::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_sound() {
        super::Cli::command().debug_assert();
    }
}
