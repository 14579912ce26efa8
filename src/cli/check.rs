//! `pilotfish check FILE`.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use crate::config::{self, Config};

/// Check a config file: all problems and warnings on standard error, exit code 0 or 1
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The config file
    file: PathBuf,
}

/// Prints what is wrong with the file, or in one line what is in it.
pub fn run(args: CheckArgs) -> ExitCode {
    let Some(config) = load_or_tell(&args.file) else {
        return ExitCode::FAILURE;
    };
    // Nobody reads on: that is no failure of the check.
    let _ = writeln!(std::io::stdout(), "ok: {}: {}", args.file.display(), summary(&config));
    ExitCode::SUCCESS
}

/// Loads the file and prints its warnings or, if it is refused, all of its problems on standard error.
pub(super) fn load_or_tell(path: &Path) -> Option<Config> {
    let (lines, config) = match config::load(path) {
        Ok(config) => (config.warnings.iter().map(|warning| format!("{warning}\n")).collect(), Some(config)),
        Err(problems) => (format!("{problems}\n"), None),
    };
    let _ = std::io::stderr().write_all(lines.as_bytes());
    config
}

fn summary(config: &Config) -> String {
    let fixed: usize = config.pools.values().map(|pool| pool.backends.len()).sum();
    let supervised: u32 =
        config.pools.values().filter_map(|pool| pool.supervise.as_ref()).map(|set| set.processes()).sum();
    format!(
        "listeners {}, pools {}, backends {fixed}, supervised {supervised}, warnings {}",
        config.listeners.len(),
        config.pools.len(),
        config.warnings.len()
    )
}
