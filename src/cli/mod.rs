//! The command line: one subcommand a file, each with its arguments and a `run`.

mod admin;
mod check;
mod cleanup;
pub mod demo_model;
mod drain;
mod guard;
pub mod quickstart;
mod restart;
mod rolling_restart;
mod run;
mod sample;
mod status;
mod tunnel;
mod undrain;
mod upgrade;

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
    Status(status::StatusArgs),
    Drain(drain::DrainArgs),
    Undrain(undrain::UndrainArgs),
    Restart(restart::RestartArgs),
    RollingRestart(rolling_restart::RollingRestartArgs),
    Cleanup(cleanup::CleanupArgs),
    Upgrade(upgrade::UpgradeArgs),
    Tunnel(tunnel::TunnelArgs),
    Quickstart(quickstart::QuickstartArgs),
    #[command(hide = true)]
    DemoModel(demo_model::Args),
    Guard(guard::GuardArgs),
}

/// Reads the command line and does what it says. Arguments that are not understood end the process with code 2.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Check(args) => check::run(args),
        Command::Sample(args) => sample::run(args),
        Command::Run(args) => run::run(args),
        Command::Status(args) => status::run(&args),
        Command::Drain(args) => drain::run(&args),
        Command::Undrain(args) => undrain::run(&args),
        Command::Restart(args) => restart::run(&args),
        Command::RollingRestart(args) => rolling_restart::run(&args),
        Command::Cleanup(args) => cleanup::run(&args),
        Command::Upgrade(args) => upgrade::run(args),
        Command::Tunnel(args) => tunnel::run(args),
        Command::Quickstart(args) => quickstart::run(&args, serve_quickstart),
        Command::DemoModel(args) => demo_model::run(&args),
        Command::Guard(args) => guard::run(args),
    }
}

/// Serves the quick start's own config the way `run` serves a file's.
fn serve_quickstart(text: String, ready: quickstart::Ready) -> ExitCode {
    let config = match crate::config::parse(&text, "quickstart", &|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("pilotfish quickstart: {problems}");
            return ExitCode::FAILURE;
        }
    };
    let announce = move |bound: &[crate::app::Bound]| {
        let address = |name: &str| bound.iter().find(|bound| bound.name == name).and_then(|bound| bound.address.tcp());
        if let (Some(sdk), Some(admin)) = (address("sdk"), address("admin")) {
            ready(quickstart::Addresses { sdk, admin });
        }
    };
    crate::app::run(config, crate::app::Start { ready: Some(Box::new(announce)), ..Default::default() })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_sound() {
        super::Cli::command().debug_assert();
    }
}
