//! The Copilot CLI's real binary.
//!
//! The package's `copilot` command is a Node script that starts the binary of a platform package and stays as its parent;
//! a supervisor wants the binary itself, so the script is only followed to its package.

use std::env;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::folder::Folder;
use super::{QuickstartError, npm};

/// The version that everything here was tried with (November 2026).
const VERSION: &str = "1.0.102";

/// The binary on PATH, or an earlier installation under `folder`, or a new one.
pub(super) fn find_or_install(folder: &Folder) -> Result<String, QuickstartError> {
    let package = platform_package(env::consts::OS, env::consts::ARCH)?;
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).find_map(|folder| binary_behind(&folder.join("copilot"), &package));
    let found = match on_path {
        Some(binary) => binary,
        None => installed_or_install(&folder.package(VERSION), &package)?,
    };
    found.into_os_string().into_string().map_err(|path| QuickstartError::NotText(path.into()))
}

fn installed_or_install(prefix: &Path, package: &str) -> Result<PathBuf, QuickstartError> {
    let binary = prefix.join("node_modules/@github").join(package).join("copilot");
    if is_binary(&binary) {
        return Ok(binary);
    }
    let wanted = format!("@github/copilot@{VERSION}");
    npm::install(&wanted, prefix)?;
    if is_binary(&binary) {
        Ok(binary)
    } else {
        Err(QuickstartError::NoBinary { package: wanted, path: prefix.to_owned() })
    }
}

/// The name of the package, below `@github`, with the binary for this machine.
fn platform_package(os: &'static str, arch: &'static str) -> Result<String, QuickstartError> {
    let system = match os {
        "linux" if cfg!(target_env = "musl") => "linuxmusl",
        "linux" => "linux",
        "macos" => "darwin",
        _ => return Err(QuickstartError::Platform { os, arch }),
    };
    let processor = match arch {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        _ => return Err(QuickstartError::Platform { os, arch }),
    };
    Ok(format!("copilot-{system}-{processor}"))
}

/// `command` itself when it is a binary; when it is the package's script, the binary of `package` beside or below it.
fn binary_behind(command: &Path, package: &str) -> Option<PathBuf> {
    let real = command.canonicalize().ok()?;
    if is_binary(&real) {
        return Some(real);
    }
    let script_folder = real.parent()?;
    let beside = script_folder.parent()?.join(package).join("copilot");
    let below = script_folder.join("node_modules/@github").join(package).join("copilot");
    [beside, below].into_iter().find(|path| is_binary(path))
}

/// Whether the file is a program of the processor (ELF, Mach-O) rather than a script.
fn is_binary(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && matches!(&magic, b"\x7fELF" | [0xcf, 0xfa, 0xed, 0xfe])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn temporary(name: &str) -> PathBuf {
        let path = env::temp_dir().join(format!("pilotfish-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path.canonicalize().unwrap()
    }

    #[test]
    fn follows_the_script_to_the_binary_beside_it() {
        let root = temporary("npm-layout");
        let (script, binary) =
            (root.join("@github/copilot/npm-loader.js"), root.join("@github/copilot-linux-x64/copilot"));
        for file in [&script, &binary] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
        }
        fs::write(&script, "#!/usr/bin/env node\n").unwrap();
        assert_eq!(binary_behind(&script, "copilot-linux-x64"), None);
        fs::write(&binary, b"\x7fELF and so on").unwrap();
        let link = root.join("copilot");
        std::os::unix::fs::symlink(&script, &link).unwrap();
        assert_eq!(binary_behind(&link, "copilot-linux-x64"), Some(binary.clone()));
        assert_eq!(binary_behind(&binary, "copilot-linux-x64"), Some(binary.clone()));
        assert_eq!(installed_binary_of(&root), None);
        fs::remove_dir_all(root).unwrap();
    }

    fn installed_binary_of(root: &Path) -> Option<PathBuf> {
        binary_behind(&root.join("no-such-file"), "copilot-linux-x64")
    }

    #[test]
    fn knows_the_packages() {
        assert!(platform_package("linux", "x86_64").unwrap().ends_with("-x64"));
        assert_eq!(platform_package("macos", "aarch64").unwrap(), "copilot-darwin-arm64");
        let error = platform_package("linux", "riscv64").unwrap_err().to_string();
        assert!(error.contains("riscv64"), "{error}");
    }
}
