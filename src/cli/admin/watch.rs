//! Follows what was begun: looks at `/status` twice a second and tells what changed.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{AskError, Desk, Outcome, tell};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Looks in a row that may fail: a busy or restarted pilotfish answers again.
const PATIENCE: u32 = 10;

/// Looks until something is known: what `judge` makes of the pool's status.
async fn look(desk: &Desk, pool: &str, mut judge: impl FnMut(&Value) -> Option<Outcome>) -> Result<Outcome, AskError> {
    let mut failures = 0;
    loop {
        match desk.get("/status").await {
            Ok(status) => {
                failures = 0;
                let found = status["pools"].as_array().and_then(|all| all.iter().find(|one| one["name"] == pool));
                let Some(found) = found else {
                    return Ok(Outcome::Failed(format!("pool {pool} is gone")));
                };
                if let Some(outcome) = judge(found) {
                    return Ok(outcome);
                }
            }
            Err(error) if failures >= PATIENCE => return Err(error),
            Err(_) => failures += 1,
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits for the end of a drain that `begun` told of.
pub async fn drained(desk: &Desk, begun: &Value) -> Result<Outcome, AskError> {
    let (pool, backend) = (text(&begun["pool"]), text(&begun["backend"]));
    let deadline = begun["deadline_seconds"].as_u64().map(|left| Instant::now() + Duration::from_secs(left));
    let mut told = Told::default();
    look(desk, pool, |status| {
        let Some(state) = backend_of(status, backend) else {
            return Some(Outcome::Failed(format!("backend {backend} is gone")));
        };
        let drain = &state["drain"];
        if drain.is_null() {
            return Some(Outcome::Failed(format!("{backend} was undrained meanwhile")));
        }
        if drain["drained"] == true {
            return Some(Outcome::Done(format!("{backend} is drained")));
        }
        told.line(format!("{backend}: {}", left_on(state)));
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        late.then(|| Outcome::Late(format!("the deadline passed, {backend} still has {}", left_on(state))))
    })
    .await
}

/// Waits for the end of the operation that `begun` told of.
pub async fn operation_ended(desk: &Desk, begun: &Value, done: &str) -> Result<Outcome, AskError> {
    let (pool, number) = (text(&begun["pool"]), begun["operation"].as_u64());
    let mut told = Told::default();
    look(desk, pool, |status| {
        let before = status["operations_before"].as_array().into_iter().flatten();
        let mut all = std::iter::once(&status["operation"]).chain(before);
        let Some(operation) = all.find(|one| one["number"].as_u64() == number) else {
            return Some(Outcome::Failed("nothing is known any more of how it ended".into()));
        };
        let note = operation["note"].as_str().map(|note| format!(" ({note})")).unwrap_or_default();
        match text(&operation["step"]) {
            "done" => Some(Outcome::Done(format!("{done}{note}"))),
            "failed" | "stopped" => Some(Outcome::Failed(failure(operation))),
            step => {
                let backend = text(&operation["backend"]);
                let left = backend_of(status, backend).filter(|_| step == "draining").map(left_on);
                let left = left.map(|left| format!(", {left}")).unwrap_or_default();
                if !backend.is_empty() {
                    told.line(format!("{backend}: {step}{left}"));
                }
                None
            }
        }
    })
    .await
}

fn failure(operation: &Value) -> String {
    let why = operation["error"].as_str().unwrap_or("it ended before its end");
    match operation["backend"].as_str() {
        Some(backend) => format!("stopped at {backend}: {why}"),
        None => why.to_owned(),
    }
}

fn backend_of<'a>(pool: &'a Value, name: &str) -> Option<&'a Value> {
    pool["backends"].as_array()?.iter().find(|backend| backend["name"] == name)
}

/// What is left on a backend, in words.
fn left_on(backend: &Value) -> String {
    let count = |key: &str, one: &str| {
        let number = backend[key].as_u64().unwrap_or_default();
        format!("{number} {one}{}", if number == 1 { "" } else { "s" })
    };
    format!("{}, {}, {}", count("sessions", "session"), count("turns_running", "turn"), count("links", "link"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Tells a line once.
#[derive(Default)]
struct Told(String);

impl Told {
    fn line(&mut self, line: String) {
        if self.0 != line {
            tell(&line);
            self.0 = line;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_is_said_in_words() {
        let backend = json!({"sessions": 1, "turns_running": 0, "links": 2});
        assert_eq!(left_on(&backend), "1 session, 0 turns, 2 links");
    }

    #[test]
    fn a_failure_names_the_backend() {
        assert_eq!(failure(&json!({"backend": "cli-2", "error": "no"})), "stopped at cli-2: no");
        assert_eq!(failure(&json!({})), "it ended before its end");
    }
}
