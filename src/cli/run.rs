//! `pilotfish run --config FILE`.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::Args;

use crate::app::{Program, Start};

/// Serve as the config file says
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The config file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where the process talks whose place this one takes; `pilotfish upgrade` says so
    #[arg(long, value_name = "SOCKET", hide = true)]
    take_over: Option<PathBuf>,
}

/// Refuses a bad config before anything is bound, then serves until a signal.
pub fn run(args: RunArgs) -> ExitCode {
    let RunArgs { config, take_over } = args;
    let Some(config) = super::check::load_or_tell(&config) else {
        if let Some(path) = take_over {
            crate::app::refuse_take_over(&path, "its config is not right; its own lines say what is wrong");
        }
        return ExitCode::FAILURE;
    };
    let program = Program::running(without_take_over(std::env::args_os()));
    if let Err(reason) = &program {
        eprintln!("pilotfish: no upgrades, because the path of this program is not known: {reason}");
    }
    crate::app::run(config, Start { ready: None, program: program.ok(), take_over })
}

/// The command line of the next process's start.
fn without_take_over(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut left = Vec::new();
    let mut words = words;
    while let Some(word) = words.next() {
        if word == "--take-over" {
            words.next();
        } else if !word.as_encoded_bytes().starts_with(b"--take-over=") {
            left.push(word);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_process_is_not_told_where_this_one_came_from() {
        let line = ["pilotfish", "run", "--take-over", "/tmp/x", "--config", "c", "--take-over=/tmp/y"];
        let left = without_take_over(line.into_iter().map(OsString::from));
        assert_eq!(left, ["pilotfish", "run", "--config", "c"]);
    }
}
