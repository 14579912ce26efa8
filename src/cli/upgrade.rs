//! `pilotfish upgrade`.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde::Deserialize;
use thiserror::Error;

/// A running pilotfish answers at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at how it goes.
const LOOK: Duration = Duration::from_millis(100);

/// An answer of the admin listener is small.
const LONGEST: u64 = 1 << 20;

/// Exit code when the time was over.
const TOO_LATE: u8 = 3;

/// Have a new process take over from the running one, with the program and config as they are on the disk now
///
/// Comes back when the new one accepts (exit code 0); the old one then drains. If the new one cannot, the old one goes on
/// serving (exit code 1).
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// Where the running pilotfish's admin listener is
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4320", conflicts_with = "config")]
    admin: SocketAddr,
    /// Take that address from this config file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How long to wait; the upgrade goes on, or not, without us
    #[arg(long, value_name = "D", default_value = "2m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "pilotfish upgrade")]
    reason: String,
}

/// What `/upgrade` says.
#[derive(Debug, Deserialize)]
struct State {
    pid: u32,
    state: String,
    error: Option<String>,
}

/// An answer that is none of those.
#[derive(Debug, Deserialize)]
struct Refusal {
    error: String,
}

#[derive(Debug, Error)]
enum Problem {
    #[error("no pilotfish answers at {0}: {1}")]
    NoAnswer(SocketAddr, io::Error),
    #[error("{0}")]
    Refused(String),
    #[error("the upgrade failed: {0}")]
    Failed(String),
    #[error("not done within {0:?}")]
    TooLate(Duration),
}

/// Asks, and waits for the end of it.
pub fn run(args: UpgradeArgs) -> ExitCode {
    let admin = match &args.config {
        Some(file) => super::check::load_or_tell(file).map(|config| config.admin.bind),
        None => Some(args.admin),
    };
    let Some(admin) = admin else { return ExitCode::FAILURE };
    match upgrade(admin, &args) {
        Ok(pid) => {
            let _ = writeln!(io::stdout(), "process {pid} has taken over");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("pilotfish upgrade: {problem}");
            if matches!(problem, Problem::TooLate(_)) { TOO_LATE.into() } else { ExitCode::FAILURE }
        }
    }
}

fn upgrade(admin: SocketAddr, args: &UpgradeArgs) -> Result<u32, Problem> {
    let deadline = Instant::now() + args.timeout;
    let old = ask(admin, "POST", &args.reason)?;
    loop {
        let state = ask(admin, "GET", &args.reason)?;
        if state.pid != old.pid {
            return Ok(state.pid);
        }
        if state.state == "failed" {
            return Err(Problem::Failed(state.error.unwrap_or_default()));
        }
        if Instant::now() >= deadline {
            return Err(Problem::TooLate(args.timeout));
        }
        thread::sleep(LOOK);
    }
}

fn ask(admin: SocketAddr, method: &str, reason: &str) -> Result<State, Problem> {
    let answer = exchange(admin, method, reason).map_err(|why| Problem::NoAnswer(admin, why))?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).map_err(|_| {
        let refusal = serde_json::from_str(body).map(|refusal: Refusal| refusal.error);
        Problem::Refused(refusal.unwrap_or_else(|_| "this is no answer of a pilotfish that can be upgraded".into()))
    })
}

fn exchange(admin: SocketAddr, method: &str, reason: &str) -> io::Result<String> {
    // A header is one line of plain text.
    let reason: String = reason.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect();
    let mut stream = TcpStream::connect_timeout(&admin, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(
        format!(
            "{method} /upgrade HTTP/1.1\r\nHost: {admin}\r\nX-Pilotfish-Reason: {reason}\r\nConnection: close\r\n\r\n"
        )
        .as_bytes(),
    )?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer)?;
    Ok(answer)
}
