//! `pilotfish undrain NAME`.

use std::process::ExitCode;

use clap::Args;

use super::admin::{self, AdminArgs, AskError, Outcome};

/// Let a drained backend take sessions again
#[derive(Debug, Args)]
pub struct UndrainArgs {
    /// The backend
    #[arg(value_parser = admin::name)]
    name: String,
    /// Its pool, where several have such a backend
    #[arg(long, value_parser = admin::name)]
    pool: Option<String>,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Ends the drain.
pub fn run(args: &UndrainArgs) -> ExitCode {
    admin::run("undrain", undrain(args))
}

async fn undrain(args: &UndrainArgs) -> Result<Outcome, AskError> {
    let pool = args.pool.as_ref().map(|pool| format!("?pool={pool}")).unwrap_or_default();
    args.admin.desk("undrain")?.post(&format!("/backends/{}/undrain{pool}", args.name)).await?;
    Ok(Outcome::Done(format!("{} takes sessions", args.name)))
}
