//! `pilotfish cleanup POOL`.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use serde_json::Value;

use super::admin::{self, AdminArgs, AskError, Desk, Outcome};

/// Delete the sessions of a pool now that nobody has used for longer than its ttl
#[derive(Debug, Args)]
pub struct CleanupArgs {
    /// The pool
    #[arg(value_parser = admin::name)]
    pool: String,
    /// Only say what would be deleted; waits for that
    #[arg(long)]
    dry_run: bool,
    /// Come back at its end
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(200);

/// Begins the run and, if asked to, waits for its end.
pub fn run(args: &CleanupArgs) -> ExitCode {
    admin::run("cleanup", cleanup(args))
}

async fn cleanup(args: &CleanupArgs) -> Result<Outcome, AskError> {
    let desk = args.admin.desk("cleanup")?;
    // Left out, the config decides.
    let dry_run = if args.dry_run { "&dry_run=true" } else { "" };
    let begun = desk.post(&format!("/cleanup?pool={}{dry_run}", args.pool)).await?;
    if args.wait || args.dry_run {
        return ended(&desk, &args.pool, begun["run"].as_u64()).await;
    }
    Ok(Outcome::Done(format!("the clean-up of {} has begun", args.pool)))
}

async fn ended(desk: &Desk, pool: &str, number: Option<u64>) -> Result<Outcome, AskError> {
    loop {
        let all = desk.get("/cleanup").await?;
        let found = all["pools"].as_array().and_then(|all| all.iter().find(|one| one["pool"] == pool));
        let last = found.map_or(&Value::Null, |found| &found["last_run"]);
        if last["run"].as_u64() > number {
            return Ok(Outcome::Failed("nothing is known any more of how it ended".into()));
        }
        if last["run"].as_u64() == number && last["outcome"] != "running" {
            return Ok(told(last));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The end of a run in words.
fn told(run: &Value) -> Outcome {
    let count = |key: &str| run[key].as_u64().unwrap_or_default();
    let text = |key: &str| run[key].as_str().unwrap_or_default();
    match text("outcome") {
        "done" => {}
        "elsewhere" => return Outcome::Failed("another pilotfish is cleaning up this pool".into()),
        outcome => return Outcome::Failed(format!("{outcome}: {}", text("error"))),
    }
    let (verb, done) = match run["dry_run"].as_bool() {
        Some(true) => ("would be deleted", count("would_delete")),
        _ => ("deleted", count("deleted")),
    };
    let mut lines: Vec<String> =
        run["ids"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    if done > lines.len() as u64 {
        lines.push("...".into());
    }
    let (listed, live) = (count("listed"), count("kept_live"));
    let (excluded, failed) = (count("excluded"), count("failed"));
    lines.push(format!("{done} of {listed} sessions {verb}; {live} live, {excluded} excluded, {failed} failed"));
    if failed > 0 { Outcome::Failed(lines.join("\n")) } else { Outcome::Done(lines.join("\n")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_end_is_told_in_words() {
        let run = json!({
            "outcome": "done", "dry_run": true, "listed": 9, "would_delete": 3, "kept_live": 1, "ids": ["a", "b"]
        });
        let words = "a\nb\n...\n3 of 9 sessions would be deleted; 1 live, 0 excluded, 0 failed";
        assert_eq!(told(&run), Outcome::Done(words.into()));
        let run = json!({ "outcome": "failed", "error": "no backend is up" });
        assert_eq!(told(&run), Outcome::Failed("failed: no backend is up".into()));
        assert!(matches!(told(&json!({ "outcome": "done", "failed": 1 })), Outcome::Failed(_)));
    }
}
