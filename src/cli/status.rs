//! `pilotfish status`: how a running pilotfish is, for people and for health checks of containers.

use std::{io::Write, process::ExitCode, time::Duration};

use clap::Args;
use serde_json::{Value, json};

use super::admin::{self, AskError, Place};

/// Exit code when nobody could be asked.
const UNKNOWN: u8 = 2;

/// Tell whether it takes clients, and what its backends are: exit code 0 if it does, 1 if not, 2 if it cannot be asked
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print all that it tells, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Asks and prints.
pub fn run(args: &StatusArgs) -> ExitCode {
    match admin::work(ask(&args.place)) {
        Ok(Answer { ready, readiness, status }) => {
            let text = if args.json { whole(&readiness, &status) } else { short(ready, &readiness, &status) };
            // Nobody reads on: the exit code says it all the same.
            let _ = write!(std::io::stdout(), "{text}");
            if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "pilotfish status: {error}");
            ExitCode::from(UNKNOWN)
        }
    }
}

/// What it says of itself.
struct Answer {
    ready: bool,
    readiness: Value,
    status: Value,
}

async fn ask(place: &Place) -> Result<Answer, AskError> {
    let desk = place.desk("status")?;
    let (ready, readiness) = desk.look("/readyz?verbose").await?;
    Ok(Answer { ready, readiness, status: desk.get("/status").await? })
}

fn whole(readiness: &Value, status: &Value) -> String {
    let mut whole = json!({ "ready": readiness["ready"], "reasons": readiness["reasons"] });
    if let (Some(whole), Some(status)) = (whole.as_object_mut(), status.as_object()) {
        whole.extend(status.clone());
    }
    format!("{whole:#}\n")
}

fn short(ready: bool, readiness: &Value, status: &Value) -> String {
    let mut lines = vec![headline(ready, readiness, status)];
    for listener in list(&status["listeners"]) {
        let [name, address, mode, pool] = ["name", "address", "mode", "pool"].map(|key| text(&listener[key]));
        lines.push(format!("listener {name}: {address}, mode {mode}, pool {pool}, {}", count(listener, "clients")));
    }
    for pool in list(&status["pools"]) {
        lines.push(pool_line(pool));
        lines.extend(list(&pool["backends"]).map(backend_line));
        lines.extend(list(&pool["instances"]).filter_map(instance_line));
    }
    lines.join("\n") + "\n"
}

fn headline(ready: bool, readiness: &Value, status: &Value) -> String {
    let uptime = Duration::from_secs(status["uptime_seconds"].as_u64().unwrap_or_default());
    let who = format!("pilotfish {}, up {}", text(&status["version"]), humantime::format_duration(uptime));
    if ready {
        return format!("ready: {who}");
    }
    let reasons: Vec<_> = list(&readiness["reasons"]).map(reason).collect();
    format!("not ready ({}): {who}", reasons.join("; "))
}

fn reason(reason: &Value) -> String {
    match (text(&reason["reason"]), reason["pool"].as_str()) {
        ("no_backend", Some(pool)) => {
            format!("no healthy backend in pool {pool} of listener {}", text(&reason["listener"]))
        }
        (word, _) => word.replace('_', " "),
    }
}

fn pool_line(pool: &Value) -> String {
    let up = list(&pool["backends"]).filter(|backend| backend["state"] == "up").count();
    let sessions = &pool["sessions"];
    let states = ["idle", "busy", "moving", "parked", "lost"]
        .map(|state| (state, sessions[state].as_u64().unwrap_or_default()))
        .into_iter()
        .filter(|(state, number)| *number > 0 || matches!(*state, "idle" | "busy"))
        .map(|(state, number)| format!("{number} {state}"));
    let all = list(&pool["backends"]).count();
    let sessions = states.collect::<Vec<_>>().join(", ");
    format!("pool {}: {up} of {all} backends up, sessions: {sessions}", text(&pool["name"]))
}

fn backend_line(backend: &Value) -> String {
    let mut line = format!(
        "  {}: {}, {}, {}",
        text(&backend["name"]),
        text(&backend["state"]),
        count(backend, "sessions"),
        count(backend, "turns_running")
    );
    if let Some(address) = backend["address"].as_str() {
        line += &format!(", at {address}");
    }
    if let Some(owner) = backend["owner"].as_str() {
        line += &format!(", of {owner}");
    }
    // Of one that is up it only says that its last check was good.
    if let Some(reason) = backend["reason"].as_str().filter(|_| backend["state"] != "up") {
        line += &format!("; {reason}");
    }
    line
}

/// One's own CLI that has no backend now, and is not merely asleep.
fn instance_line(instance: &Value) -> Option<String> {
    let phase = text(&instance["phase"]);
    if instance["backend"].is_string() && phase != "spare" || phase == "asleep" {
        return None;
    }
    let whose = instance["owner"].as_str().unwrap_or_else(|| text(&instance["backend"]));
    let reason = instance["reason"].as_str().map(|reason| format!("; {reason}")).unwrap_or_default();
    Some(format!("  {whose}: {phase}{reason}"))
}

/// A number and what it counts.
fn count(of: &Value, key: &str) -> String {
    let number = of[key].as_u64().unwrap_or_default();
    let one = key.trim_end_matches("_running").trim_end_matches('s');
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Value {
        json!({
            "version": "0.1.0",
            "uptime_seconds": 3723,
            "listeners": [{"name": "sdk", "address": "0.0.0.0:4321", "mode": "session", "pool": "copilot", "clients": 1}],
            "pools": [{
                "name": "copilot",
                "sessions": {"idle": 3, "busy": 1, "parked": 2, "moving": 0, "lost": 0},
                "backends": [
                    {"name": "cli-1", "state": "up", "sessions": 4, "turns_running": 1, "reason": "ok", "address": "10.0.0.1:4321"},
                    {"name": "cli-2", "state": "down", "sessions": 0, "turns_running": 0, "reason": "connection refused"},
                ],
            }],
        })
    }

    #[test]
    fn a_ready_one_is_told_in_a_few_lines() {
        let text = short(true, &json!({"ready": true, "reasons": []}), &status());
        let wanted = "ready: pilotfish 0.1.0, up 1h 2m 3s\n\
            listener sdk: 0.0.0.0:4321, mode session, pool copilot, 1 client\n\
            pool copilot: 1 of 2 backends up, sessions: 3 idle, 1 busy, 2 parked\n\
            \x20 cli-1: up, 4 sessions, 1 turn, at 10.0.0.1:4321\n\
            \x20 cli-2: down, 0 sessions, 0 turns; connection refused\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn a_dedicated_pool_says_whose_each_is_and_who_waits() {
        let mut status = status();
        status["pools"][0]["backends"] = json!([
            {"name": "own-1", "state": "up", "sessions": 1, "turns_running": 0, "address": "127.0.0.1:4500", "owner": "corp/ann"},
        ]);
        status["pools"][0]["instances"] = json!([
            {"owner": "corp/ann", "phase": "up", "backend": "own-1"},
            {"owner": "corp/ben", "phase": "asleep"},
            {"owner": "corp/cid", "phase": "failing", "reason": "it ended"},
            {"phase": "spare", "backend": "own-2"},
        ]);
        let text = short(true, &json!({"ready": true, "reasons": []}), &status);
        let wanted = "  own-1: up, 1 session, 0 turns, at 127.0.0.1:4500, of corp/ann\n  corp/cid: failing; it ended\n  own-2: spare\n";
        assert!(text.ends_with(wanted), "{text}");
    }

    #[test]
    fn what_is_against_it_stands_in_front() {
        let readiness = json!({"ready": false, "reasons": [
            {"reason": "draining"}, {"reason": "no_backend", "listener": "sdk", "pool": "copilot"},
        ]});
        let text = short(false, &readiness, &status());
        let wanted = "not ready (draining; no healthy backend in pool copilot of listener sdk): pilotfish 0.1.0, up";
        assert!(text.starts_with(wanted), "{text}");
    }

    #[test]
    fn the_json_has_both_answers() {
        let text = whole(&json!({"ready": false, "reasons": [{"reason": "starting"}]}), &status());
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["ready"], &json["reasons"][0]["reason"]), (&json!(false), &json!("starting")));
        assert_eq!(json["pools"][0]["backends"][1]["state"], "down");
    }
}
