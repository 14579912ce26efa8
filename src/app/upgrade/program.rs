//! The program that an upgrade starts: this one, as it was started, at the path where its next version will lie.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

/// What runs.
const RUNNING: &str = "/proc/self/exe";

/// What the kernel writes behind the path of a running program that was replaced.
const DELETED: &[u8] = b" (deleted)";

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

impl Program {
    /// This process's, by the words of its command line. To be called at the start, while the file is the one that runs:
    /// links on the way to it are kept, for a new version is often installed by turning a link.
    pub fn running(command_line: impl IntoIterator<Item = OsString>) -> io::Result<Self> {
        let mut words = command_line.into_iter();
        let name = words.next().unwrap_or_default();
        let path =
            named(&name).filter(|path| is_running(path)).map_or_else(|| env::current_exe().map(undeleted), Ok)?;
        Ok(Self { path, arguments: words.collect() })
    }
}

/// The path that the first word of a command line means.
fn named(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return std::path::absolute(name).ok();
    }
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| is_running(path))
}

/// The first word may say anything; the file tells.
fn is_running(path: &Path) -> bool {
    let same = |one: fs::Metadata, other: fs::Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    fs::metadata(path).ok().zip(fs::metadata(RUNNING).ok()).is_some_and(|(one, other)| same(one, other))
}

fn undeleted(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(DELETED) {
        Some(before) => PathBuf::from(OsStr::from_bytes(before)),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(name: &Path) -> Vec<OsString> {
        vec![name.into(), "run".into(), "--config".into(), "x".into()]
    }

    #[test]
    fn the_path_that_it_was_started_by_is_kept_with_its_links() {
        let folder = env::temp_dir().join(format!("pilotfish-program-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let link = folder.join("current");
        std::os::unix::fs::symlink(env::current_exe().unwrap(), &link).unwrap();
        let program = Program::running(words(&link)).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(program.path, link);
        assert_eq!(program.arguments, ["run", "--config", "x"]);
    }

    #[test]
    fn a_name_that_lies_is_not_believed() {
        for name in ["/bin/sh", "sh", "no-such-program", ""] {
            assert_eq!(Program::running(words(Path::new(name))).unwrap().path, env::current_exe().unwrap(), "{name}");
        }
    }

    #[test]
    fn a_replaced_file_is_meant_by_its_name() {
        assert_eq!(undeleted("/opt/pilotfish (deleted)".into()), Path::new("/opt/pilotfish"));
        assert_eq!(undeleted("/opt/pilotfish".into()), Path::new("/opt/pilotfish"));
    }
}
