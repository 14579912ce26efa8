//! Texts with `{tenant}` and `{user}` in them.

use std::path::{Component, Path, PathBuf};

use super::OutfitError;
use crate::model::Identity;

const TENANT: &str = "{tenant}";
const USER: &str = "{user}";

/// The path of a home, or of something else that each identity has one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(String);

impl Template {
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The path of `who`.
    pub fn fill(&self, who: &Identity) -> Result<PathBuf, OutfitError> {
        for name in [Some(&who.tenant), who.user.as_ref()].into_iter().flatten() {
            if !is_plain(name) {
                return Err(OutfitError::Name((**name).into()));
            }
        }
        Ok(fill(&self.0, who).into())
    }

    /// The part before the first folder that is different for each.
    pub fn fixed(&self) -> PathBuf {
        Path::new(&self.0).components().take_while(|part| !is_variable(*part)).collect()
    }

    /// The parts behind that.
    pub fn variable(&self) -> impl Iterator<Item = (String, bool)> {
        let parts = Path::new(&self.0).components().skip_while(|part| !is_variable(*part));
        parts.map(|part| (part.as_os_str().to_string_lossy().into_owned(), is_variable(part)))
    }
}

fn is_variable(part: Component<'_>) -> bool {
    let text = part.as_os_str().to_string_lossy();
    text.contains(TENANT) || text.contains(USER)
}

/// `text` with the names of `who`.
pub(super) fn fill(text: &str, who: &Identity) -> String {
    // In one go: a name that looks like the other word stays what it is.
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let (word, name) = if rest.starts_with(TENANT) {
            (TENANT, &*who.tenant)
        } else if rest.starts_with(USER) {
            (USER, who.user.as_deref().unwrap_or_default())
        } else {
            ("{", "{")
        };
        filled.push_str(name);
        rest = &rest[word.len()..];
    }
    filled + rest
}

/// A name that is one folder, and not one of ours. Logins have made sure of it already.
fn is_plain(name: &str) -> bool {
    (1..=128).contains(&name.len()) && !name.starts_with('.') && !name.contains(['/', '\0', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(tenant: &str, user: &str) -> Identity {
        Identity { tenant: tenant.into(), user: Some(user.into()) }
    }

    #[test]
    fn homes() {
        let template = Template::new("/var/lib/pilotfish/{tenant}/h/u-{user}");
        let path = template.fill(&user("corp", "ann@x")).unwrap();
        assert_eq!(path, Path::new("/var/lib/pilotfish/corp/h/u-ann@x"));
        assert_eq!(template.fixed(), Path::new("/var/lib/pilotfish"));
        let parts: Vec<_> = template.variable().collect();
        assert_eq!(parts, [("{tenant}".into(), true), ("h".into(), false), ("u-{user}".into(), true)]);
        assert_eq!(fill("{tenant} {user} {x} {", &user("{user}", "b")), "{user} b {x} {");
        for wrong in ["", ".", "..", "../x", "a/b", "a\0b", ".ssh", "a\nb", &"x".repeat(129)] {
            assert!(matches!(template.fill(&user("corp", wrong)), Err(OutfitError::Name(_))), "{wrong:?}");
            assert!(template.fill(&user(wrong, "ann")).is_err(), "{wrong:?}");
        }
    }
}
