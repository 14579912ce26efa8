//! One copy of the CLI's own files for all homes.
//!
//! The CLI is one file that unpacks 240 MB into its user's cache at its first start. Each home is its own user's cache, so each first start would take seconds
//! and each home so much room; and what one user unpacks into a common place, the others would run. So it is unpacked once, by us, where nobody else may write.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time};

use super::home;
use crate::supervise::settings::{EnvValue, SuperviseSettings};

/// The variable that tells the CLI where the files are.
pub(super) const VARIABLE: &str = "COPILOT_PKG_CACHE_HOME";
/// The variable with which it unpacks them and ends.
const UNPACK_ONLY: &str = "COPILOT_SEA_EXTRACT_ONLY";
/// It takes a second on a quick disk.
const LIMIT: Duration = Duration::from_secs(60);

/// The folder with the files of `program`, if that is a CLI which has some. They are looked at again at each start of pilotfish: a new version is put beside the
/// old one.
pub(super) async fn share(program: &str, own: &Path) -> Option<PathBuf> {
    let name = Path::new(program).file_name()?.to_string_lossy();
    if !name.contains("copilot") {
        return None;
    }
    let folder = own.join("programs");
    let unpacked = async {
        home::passage(&folder).map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.arg("--binary-version").env_clear().env(UNPACK_ONLY, "1").env(VARIABLE, &folder).env("HOME", &folder);
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let status = time::timeout(LIMIT, command.status()).await.map_err(|_| "it took too long".to_owned())?;
        let status = status.map_err(|error| error.to_string())?;
        let there = status.success() && tokio::fs::try_exists(folder.join("pkg")).await.unwrap_or(false);
        if !there {
            return Err(format!("{program}: {status}, and nothing is in {}", folder.display()));
        }
        let folder = folder.clone();
        // Whatever our umask is.
        tokio::task::spawn_blocking(move || open(&folder)).await.map_err(|error| error.to_string())
    };
    match unpacked.await {
        Ok(()) => Some(folder),
        Err(why) => {
            tracing::info!(reason = why, "every home gets a copy of the CLI's files of its own: slower first starts");
            None
        }
    }
}

/// Tells the CLI where its files are, unless the operator has.
pub(super) fn offer(settings: &mut SuperviseSettings, programs: Option<&Path>) {
    if let Some(programs) = programs.filter(|_| !settings.env.iter().any(|(name, _)| name == VARIABLE)) {
        settings.env.push((VARIABLE.to_owned(), EnvValue::Plain(programs.display().to_string())));
    }
}

/// Readable for all.
fn open(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, Ok(found)) = (entry.path(), entry.metadata()) else { continue };
        let mode = found.permissions().mode() & 0o7777;
        let wanted = if found.is_dir() || mode & 0o100 != 0 { mode | 0o555 } else { mode | 0o444 };
        if !found.is_symlink() && wanted != mode {
            let _ = fs::set_permissions(&path, Permissions::from_mode(wanted & !0o022));
        }
        if found.is_dir() {
            open(&path);
        }
    }
}
