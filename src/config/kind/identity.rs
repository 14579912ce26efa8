//! What is filled in or looked up for a tenant or a user.

use std::{collections::BTreeMap, path::absolute};

use toml::de::DeValue;

use super::{Kind, grantee, name::is_variable, quote};
use crate::config::reader::{Reader, Spot};

/// A path in which `{tenant}` and `{user}` are filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HomeTemplate(String);

impl HomeTemplate {
    /// As it was written, or made absolute.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `word` is filled in.
    pub fn has(&self, word: &str) -> bool {
        self.0.contains(&format!("{{{word}}}"))
    }
}

/// What may stand in braces. `{name}` is the backend's.
const WORDS: [&str; 3] = ["{tenant}", "{user}", "{name}"];

/// A path in which `{tenant}` and `{user}` may stand.
pub(in crate::config) fn home_template() -> HomeTemplateKind {
    HomeTemplateKind
}

pub(in crate::config) struct HomeTemplateKind;

impl Kind for HomeTemplateKind {
    type Value = HomeTemplate;

    fn expects(&self) -> String {
        "a path in which {tenant} and {user} may stand".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<HomeTemplate> {
        let text = value.as_str().unwrap_or_default();
        let rest = WORDS.iter().fold(text.to_owned(), |rest, word| rest.replace(word, ""));
        let hint = |text: &str| text.starts_with('~').then(|| "written out: there is no shell".to_owned());
        if text.is_empty() || text.starts_with('~') || text.contains('\0') || rest.contains(['{', '}']) {
            return self.refuse(reader, spot, value, hint(text));
        }
        let path = absolute(reader.folder.join(text)).ok()?;
        Some(HomeTemplate(path.to_string_lossy().into_owned()))
    }

    fn stand_in(&self) -> HomeTemplate {
        HomeTemplate::default()
    }
}

/// Variables of our environment, by tenant or user.
pub(in crate::config) fn env_names() -> EnvNames {
    EnvNames
}

pub(in crate::config) struct EnvNames;

impl Kind for EnvNames {
    type Value = BTreeMap<String, String>;

    fn expects(&self) -> String {
        "a table of names of environment variables, by \"TENANT\" or \"TENANT/USER\"".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Self::Value> {
        let Some(table) = value.as_table() else { return self.refuse(reader, spot, value, None) };
        let mut taken = BTreeMap::new();
        for (key, value) in table.iter() {
            let at = spot.key(key.get_ref(), key.span());
            let expected = grantee().expects();
            if !grantee().takes(key.get_ref()) {
                reader.refuse(&at, quote(key.get_ref()), expected, None);
            }
            let at = spot.key(key.get_ref(), value.span());
            match value.get_ref().as_str().filter(|name| is_variable(name)) {
                Some(name) => drop(taken.insert(key.get_ref().to_string(), name.to_owned())),
                None => {
                    // It may be the token itself.
                    let found = format!("{} (not shown)", value.get_ref().type_str());
                    reader.refuse(&at, found, "the name of an environment variable".to_owned(), None);
                }
            }
        }
        Some(taken)
    }

    fn stand_in(&self) -> Self::Value {
        BTreeMap::new()
    }
}

/// User ids, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The smallest.
    pub first: u32,
    /// The largest.
    pub last: u32,
}

/// A range of user ids; root is none of them.
pub(in crate::config) fn id_range() -> Ids {
    Ids
}

pub(in crate::config) struct Ids;

impl Kind for Ids {
    type Value = IdRange;

    fn expects(&self) -> String {
        "two user ids above 0, the smaller one first, such as \"20000-20999\"".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<IdRange> {
        value.as_str().and_then(parse_ids).or_else(|| self.refuse(reader, spot, value, None))
    }

    fn stand_in(&self) -> IdRange {
        IdRange { first: 1, last: 1 }
    }
}

fn parse_ids(text: &str) -> Option<IdRange> {
    let (first, last) = text.split_once('-')?;
    let id = |text: &str| text.trim().parse::<u32>().ok().filter(|id| (1..u32::MAX).contains(id));
    let range = IdRange { first: id(first)?, last: id(last)? };
    (range.first <= range.last).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ids() {
        assert_eq!(parse_ids("20000-20999"), Some(IdRange { first: 20_000, last: 20_999 }));
        for wrong in ["", "1", "0-5", "9-5", "a-b", "1-4294967295", "-5"] {
            assert_eq!(parse_ids(wrong), None, "{wrong}");
        }
    }
}
