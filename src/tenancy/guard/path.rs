//! Host paths: only what stands below a root, by its text alone. What a symbolic link below a root leads to is the
//! host's affair; the agent's own tools could follow it as well.

use std::path::{Path, PathBuf};

use super::{Denied, GuardError, tree::Tree};

const OUTSIDE: (&str, &str) = ("path_outside_roots", "use an absolute path below one of the tenant's roots");
const NOT_PLAIN: (&str, &str) = ("path_not_plain", "use an absolute path without `..`, `~`, `\\` or a scheme");
const NOT_TEXT: (&str, &str) = ("not_a_path", "send a path or a list of paths here");

/// The folders whose insides a tenant may name.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    roots: Vec<Vec<String>>,
}

impl Roots {
    /// Roots that are not absolute and plain match nothing; [`Roots::check`] names them.
    pub fn new(roots: &[PathBuf]) -> Self {
        Self { roots: roots.iter().filter_map(|root| Some(owned(&components(root.to_str()?)?))).collect() }
    }

    /// Whether `root` can be one.
    pub fn check(root: &Path) -> Result<(), GuardError> {
        let plain = root.to_str().and_then(components).is_some();
        if plain { Ok(()) } else { Err(GuardError::Root(root.to_owned())) }
    }

    /// One path at `key`.
    pub fn one(&self, key: &str, value: &Tree<'_>) -> Result<(), Denied> {
        self.one_or_below(key, value, None)
    }

    /// The same; `extra` is one more root, as the runtime told it.
    pub fn one_or_below(&self, key: &str, value: &Tree<'_>, extra: Option<&str>) -> Result<(), Denied> {
        let text = value.text().ok_or_else(|| Denied::at(key, NOT_TEXT))?;
        let path = components(text).ok_or_else(|| Denied::at(key, NOT_PLAIN))?;
        let below = |root: &[&str]| path.starts_with(root);
        let inside =
            self.roots.iter().any(|root| path.len() >= root.len() && root.iter().zip(&path).all(|(a, b)| a == b));
        let inside = inside || extra.and_then(components).is_some_and(|root| !root.is_empty() && below(&root));
        if inside { Ok(()) } else { Err(Denied::at(key, OUTSIDE)) }
    }

    /// One path or a list of paths at `key`.
    pub fn many(&self, key: &str, value: &Tree<'_>) -> Result<(), Denied> {
        match value {
            Tree::Null => Ok(()),
            Tree::Array(items) => items.iter().try_for_each(|item| self.one(&format!("{key}[]"), item)),
            _ => self.one(key, value),
        }
    }
}

/// The components of an absolute path that means the same to every reader; `.` and doubled `/` go.
fn components(path: &str) -> Option<Vec<&str>> {
    let inner = path.strip_prefix('/')?;
    let strange = |c: char| c == '\\' || c.is_control();
    if inner.starts_with('/') || inner.chars().any(strange) {
        return None;
    }
    let parts: Vec<&str> = inner.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.contains(&"..")).then_some(parts)
}

/// Whether `path` is relative and stays below where it starts: a path inside a repository.
pub fn stays_below(path: &str) -> bool {
    components(&format!("/{path}")).is_some() && !path.starts_with('~') && !path.contains(':')
}

fn owned(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn passes(path: &str) -> bool {
        let roots = Roots::new(&["/srv/alice".into(), "relative".into(), "/x/../y".into()]);
        roots.one("k", &Tree::Text(Cow::Borrowed(path))).is_ok()
    }

    #[test]
    fn only_what_stands_below_a_root() {
        for path in ["/srv/alice", "/srv/alice/", "/srv/alice/a/b", "/srv/./alice/x", "/srv//alice/x", "/srv/alice/..x"]
        {
            assert!(passes(path), "{path}");
        }
        for path in [
            "",
            "/",
            "/srv",
            "/srv/alice2",
            "/srv/alice-x/a",
            "/srv/alice/../bob",
            "/srv/alice/..",
            "/srv/bob/../alice",
            "srv/alice",
            "./srv/alice",
            "~",
            "~/x",
            "~alice/x",
            "file:///srv/alice",
            "//srv/alice",
            "///srv/alice",
            "/srv/alice\0",
            "/srv/alice/\n",
            "/srv/alice\\..\\bob",
            "C:\\srv\\alice",
            "C:/srv/alice",
            "\\\\srv\\alice",
            "/SRV/alice",
            "relative",
            "relative/x",
            "/y",
            "/x/../y",
            "/x/y",
        ] {
            assert!(!passes(path), "{path}");
        }
    }

    #[test]
    fn a_root_is_absolute_and_plain() {
        for root in ["", "x", "~/x", "/a/../b", "//a", "/a\\b"] {
            assert!(Roots::check(Path::new(root)).is_err(), "{root}");
        }
        for root in ["/", "/a", "/a/b/"] {
            assert!(Roots::check(Path::new(root)).is_ok(), "{root}");
        }
    }

    #[test]
    fn one_more_root_is_never_the_whole_disk() {
        let path = Tree::Text(Cow::Borrowed("/etc/hostname"));
        assert!(Roots::default().one_or_below("k", &path, Some("/")).is_err());
        assert!(Roots::default().one_or_below("k", &path, Some("")).is_err());
        assert!(Roots::default().one_or_below("k", &path, Some("/etc")).is_ok());
        assert!(Roots::new(&["/".into()]).one("k", &path).is_ok());
    }
}
