//! `pilotfish guard` (hidden): the process between us and a supervised CLI.

use std::{ffi::OsString, process::ExitCode};

/// Runs `cmd`, all words after `guard`, under guard: see [`crate::supervise::guard`].
pub fn run(cmd: Vec<OsString>) -> ExitCode {
    crate::supervise::guard::run(cmd)
}
