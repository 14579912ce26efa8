//! A folder that only we may look into, for the sockets between the old and the new process.

use std::{
    env, fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::UpgradeError;

/// The longest path of a Unix socket is 107 bytes.
const LONGEST: usize = 107;

/// Removed with everything in it when this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A new one: where the service manager or the session keeps such things, else among temporary files.
    pub(super) fn new() -> Result<Self, UpgradeError> {
        let named = ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"].into_iter().filter_map(env::var_os).map(PathBuf::from);
        let mut tried = Vec::new();
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for base in named.filter(|path| path.is_absolute()).chain([env::temp_dir()]) {
            match Self::below(&base) {
                Ok(folder) => return Ok(folder),
                Err(reason) => last = reason,
            }
            tried.push(base.display().to_string());
        }
        Err(UpgradeError::Folder { tried: tried.join(", "), source: last })
    }

    fn below(base: &Path) -> io::Result<Self> {
        let path = base.join(format!("pilotfish-{}", uuid::Uuid::new_v4().simple()));
        let folder = Self(path);
        if folder.sockets().as_os_str().len() > LONGEST {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        // Fails if it is there already, whoever made it.
        fs::DirBuilder::new().mode(0o700).create(&folder.0)?;
        Ok(folder)
    }

    /// Where the two processes talk.
    pub(super) fn talk(&self) -> PathBuf {
        self.0.join("talk")
    }

    /// Where the listening sockets go over.
    pub(super) fn sockets(&self) -> PathBuf {
        sockets_beside(&self.talk())
    }
}

/// Where the listening sockets go over, for whoever was told where to talk.
pub(super) fn sockets_beside(talk: &Path) -> PathBuf {
    talk.with_file_name("sockets")
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_owner_looks_into_it_and_it_goes_with_its_value() {
        let folder = Folder::new().unwrap();
        let path = folder.0.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(folder.talk(), "").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused() {
        let base = env::temp_dir().join("x".repeat(LONGEST));
        assert_eq!(Folder::below(&base).unwrap_err().kind(), io::ErrorKind::InvalidFilename);
    }
}
