//! Where the quick start keeps the CLI package, the sessions and the files that the agents make.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::QuickstartError;

/// A data folder that exists, with an absolute path of UTF-8.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Makes the folder `wanted`, or `pilotfish` in the user's data folder, with what belongs into it.
    pub(super) fn create(wanted: Option<&Path>) -> Result<Self, QuickstartError> {
        let root = match wanted {
            Some(path) => path.to_owned(),
            None => {
                default_root(env::var_os("XDG_DATA_HOME").map(PathBuf::from), env::var_os("HOME").map(PathBuf::from))?
            }
        };
        let made = fs::create_dir_all(&root).and_then(|()| root.canonicalize());
        let root = made.map_err(|source| QuickstartError::Folder { path: root, source })?;
        if root.to_str().is_none() {
            return Err(QuickstartError::NotText(root));
        }
        let folder = Self { root };
        for path in [folder.home(), folder.work()] {
            fs::create_dir_all(&path).map_err(|source| QuickstartError::Folder { path: path.into(), source })?;
        }
        Ok(folder)
    }

    /// The `COPILOT_HOME` that all CLIs share.
    pub(super) fn home(&self) -> String {
        self.inside("home")
    }

    /// The folder that the agents work in unless a session names another.
    pub(super) fn work(&self) -> String {
        self.inside("work")
    }

    /// Where the package of this version is installed.
    pub(super) fn package(&self, version: &str) -> PathBuf {
        self.root.join(format!("copilot-{version}"))
    }

    fn inside(&self, name: &str) -> String {
        // `create` has made sure of UTF-8, so nothing is lost here.
        self.root.join(name).to_string_lossy().into_owned()
    }
}

fn default_root(data_home: Option<PathBuf>, home: Option<PathBuf>) -> Result<PathBuf, QuickstartError> {
    let data_home = data_home.filter(|path| path.is_absolute());
    let data_home = data_home.or_else(|| home.map(|home| home.join(".local/share")));
    data_home.map(|path| path.join("pilotfish")).ok_or(QuickstartError::NoHome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_follows_the_environment() {
        let root = |data_home: Option<&str>, home: Option<&str>| {
            default_root(data_home.map(PathBuf::from), home.map(PathBuf::from))
        };
        assert_eq!(root(Some("/data"), Some("/home/me")).unwrap(), Path::new("/data/pilotfish"));
        assert_eq!(root(Some("relative"), Some("/home/me")).unwrap(), Path::new("/home/me/.local/share/pilotfish"));
        assert_eq!(root(None, Some("/home/me")).unwrap(), Path::new("/home/me/.local/share/pilotfish"));
        assert!(matches!(root(None, None), Err(QuickstartError::NoHome)));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = Folder::create(Some(Path::new("/proc/nowhere"))).unwrap_err();
        assert!(error.to_string().contains("/proc/nowhere"), "{error}");
    }
}
