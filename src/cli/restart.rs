//! `pilotfish restart NAME`.

use std::process::ExitCode;

use clap::Args;

use super::admin::{self, AdminArgs, AskError, Outcome};

/// Drain a supervised backend, start it again, and let it take sessions again
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// The backend
    #[arg(value_parser = admin::name)]
    name: String,
    /// Its pool, where several have such a backend
    #[arg(long, value_parser = admin::name)]
    pool: Option<String>,
    /// Come back when it takes sessions again
    #[arg(long)]
    wait: bool,
    /// Even if no other backend takes sessions: its own stay, and it is restarted when no turn runs
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Begins the restart and, if asked to, waits for its end.
pub fn run(args: &RestartArgs) -> ExitCode {
    admin::run("restart", restart(args))
}

async fn restart(args: &RestartArgs) -> Result<Outcome, AskError> {
    let desk = args.admin.desk("restart")?;
    let pool = args.pool.as_ref().map(|pool| format!("&pool={pool}")).unwrap_or_default();
    let begun = desk.post(&format!("/backends/{}/restart?force={}{pool}", args.name, args.force)).await?;
    if args.wait {
        return admin::operation_ended(&desk, &begun, &format!("{} is restarted", args.name)).await;
    }
    Ok(Outcome::Done(format!("{} will be restarted", args.name)))
}
