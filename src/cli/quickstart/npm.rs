//! Installs a package with npm into a folder of ours.

use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::QuickstartError;

/// Installs `package` (`NAME@VERSION`) into `prefix`; npm's own messages go to standard error.
pub(super) fn install(package: &str, prefix: &Path) -> Result<(), QuickstartError> {
    std::fs::create_dir_all(prefix).map_err(|source| QuickstartError::Folder { path: prefix.to_owned(), source })?;
    eprintln!("Installing {package} into {} (about 200 MB) ...", prefix.display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run_npm(package, prefix))
}

async fn run_npm(package: &str, prefix: &Path) -> Result<(), QuickstartError> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--loglevel=error", "--prefix"])
        .arg(prefix)
        .arg(package);
    // npm's standard output is of no interest, and ours is for the program to paste.
    npm.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let mut child = npm.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => QuickstartError::NoNpm,
        _ => QuickstartError::Runtime(error),
    })?;
    let status = tokio::select! {
        status = child.wait() => status?,
        _ = interrupt.recv() => return Err(QuickstartError::Stopped),
        _ = terminate.recv() => return Err(QuickstartError::Stopped),
    };
    if status.success() {
        return Ok(());
    }
    Err(QuickstartError::Npm { package: package.to_owned(), path: prefix.to_owned(), outcome: status.to_string() })
}
