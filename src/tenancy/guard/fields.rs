//! The members of one object under guard: each key once, and no key that is a guarded one but for its case.

use std::borrow::Cow;

use super::{Denied, tree::Tree};

/// An object whose keys were looked at.
pub struct Fields<'t, 'a> {
    members: &'t [(Cow<'a, str>, Tree<'a>)],
    path: &'t str,
}

/// The readers of the runtime take the last of two; no reader should have to choose.
const TWICE: (&str, &str) = ("duplicate_key", "send each key once");
const CASE: (&str, &str) = ("key_case", "keys are case-sensitive; write it as the SDK does");
/// Where a method has its session ids: a call that spells one of them differently names nobody's session.
const IDS: &[&str] = &["sessionId", "inheritPlanBaseFromSessionId"];
const NO_OBJECT: (&str, &str) = ("not_an_object", "send an object here");

impl<'t, 'a> Fields<'t, 'a> {
    /// The members of `tree`, which stands at `path`; `guarded` are the keys that a guard looks for in it. `null` has none.
    pub fn of(tree: &'t Tree<'a>, path: &'t str, guarded: &[&str]) -> Result<Self, Denied> {
        let members = match tree {
            Tree::Null => &[][..],
            Tree::Object(members) => members,
            _ => return Err(Denied::at(path, NO_OBJECT)),
        };
        let fields = Self { members, path };
        fields.refuse_doubles()?;
        fields.refuse_look_alikes(guarded)?;
        Ok(fields)
    }

    /// The value of `key`; `None` also for `null`.
    pub fn get(&self, key: &str) -> Option<&'t Tree<'a>> {
        self.members
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
            .filter(|value| !matches!(value, Tree::Null))
    }

    /// All members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&'t str, &'t Tree<'a>)> {
        self.members.iter().map(|(key, value)| (&**key, value))
    }

    /// The path of a member.
    pub fn path(&self, key: &str) -> String {
        join(self.path, key)
    }

    /// A refusal of `key`.
    pub fn deny(&self, key: &str, (rule, hint): (&'static str, &'static str)) -> Denied {
        Denied { key: self.path(key), rule, hint }
    }

    fn refuse_doubles(&self) -> Result<(), Denied> {
        let mut keys: Vec<&str> = self.members.iter().map(|(key, _)| &**key).collect();
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(self.deny(pair[0], TWICE)),
            None => Ok(()),
        }
    }

    fn refuse_look_alikes(&self, guarded: &[&str]) -> Result<(), Denied> {
        let ids = if self.path == "params" { IDS } else { &[] };
        for (key, _) in self.members {
            if let Some(real) = guarded.iter().chain(ids).find(|real| key.eq_ignore_ascii_case(real) && key != **real) {
                return Err(self.deny(real, CASE));
            }
        }
        Ok(())
    }
}

/// `path.key`; a key that is no plain name is not repeated.
fn join(path: &str, key: &str) -> String {
    let plain = key.len() <= 64 && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    format!("{path}.{}", if plain && !key.is_empty() { key } else { "*" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, guarded: &[&str]) -> Result<(), Denied> {
        Fields::of(&serde_json::from_str(body).unwrap(), "params", guarded).map(|_| ())
    }

    #[test]
    fn keys_stand_once_and_in_their_own_case() {
        assert!(check(r#"{"a":1,"b":2,"B":3}"#, &["a"]).is_ok());
        assert_eq!(check(r#"{"a":1,"\u0061":2}"#, &[]).unwrap_err().rule, "duplicate_key");
        assert_eq!(
            check(r#"{"WorkingDirectory":1}"#, &["workingDirectory"]).unwrap_err().key,
            "params.workingDirectory"
        );
        assert_eq!(check("[]", &[]).unwrap_err().rule, "not_an_object");
        assert!(check("null", &[]).is_ok());
    }

    #[test]
    fn strange_keys_are_not_repeated() {
        let denied = check(r#"{"se cret":1,"se cret":2}"#, &[]).unwrap_err();
        assert_eq!(denied.key, "params.*");
    }
}
