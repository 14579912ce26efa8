//! `pilotfish rolling-restart POOL`.

use std::process::ExitCode;

use clap::Args;

use super::admin::{self, AdminArgs, AskError, Outcome};

/// Restart all supervised backends of a pool, one after the other
#[derive(Debug, Args)]
pub struct RollingRestartArgs {
    /// The pool
    #[arg(value_parser = admin::name)]
    pool: String,
    /// Come back when all are restarted; this is what happens anyway
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Come back at once
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Begins it and waits for its end.
pub fn run(args: &RollingRestartArgs) -> ExitCode {
    admin::run("rolling-restart", rolling_restart(args))
}

async fn rolling_restart(args: &RollingRestartArgs) -> Result<Outcome, AskError> {
    let desk = args.admin.desk("rolling-restart")?;
    let begun = desk.post(&format!("/pools/{}/rolling-restart", args.pool)).await?;
    if args.no_wait {
        return Ok(Outcome::Done(format!("the backends of {} will be restarted", args.pool)));
    }
    admin::operation_ended(&desk, &begun, &format!("all backends of {} are restarted", args.pool)).await
}
