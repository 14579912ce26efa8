//! `pilotfish drain NAME`.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::admin::{self, AdminArgs, AskError, Outcome};

/// Take a backend out: no new sessions on it, and those that live there move to others
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// The backend
    #[arg(value_parser = admin::name)]
    name: String,
    /// Its pool, where several have such a backend
    #[arg(long, value_parser = admin::name)]
    pool: Option<String>,
    /// Come back when nothing is left on it; exit code 3 when the deadline passes first
    #[arg(long)]
    wait: bool,
    /// How long its turns may run on [default: the pool's drain_timeout]
    #[arg(long, value_name = "TIME", value_parser = admin::duration)]
    timeout: Option<Duration>,
    /// Even if no other backend takes sessions
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Begins the drain and, if asked to, waits for its end.
pub fn run(args: &DrainArgs) -> ExitCode {
    admin::run("drain", drain(args))
}

async fn drain(args: &DrainArgs) -> Result<Outcome, AskError> {
    let desk = args.admin.desk("drain")?;
    let mut path = format!("/backends/{}/drain?force={}", args.name, args.force);
    if let Some(pool) = &args.pool {
        path.push_str(&format!("&pool={pool}"));
    }
    if let Some(timeout) = args.timeout {
        path.push_str(&format!("&timeout={}ms", timeout.as_millis()));
    }
    let begun = desk.post(&path).await?;
    if args.wait {
        return admin::drained(&desk, &begun).await;
    }
    Ok(Outcome::Done(format!("{} drains", args.name)))
}
