//! Which sessions end with their clients.

use toml::de::DeValue;

use super::{Kind, words::is_id_pattern};
use crate::config::reader::{Reader, Spot};

const UNNAMED: &str = "unnamed";
const NONE: &str = "none";

/// "unnamed", "none", a pattern with a `*`, or a list of them.
pub(in crate::config) fn ephemeral() -> Ephemeral {
    Ephemeral
}

pub(in crate::config) struct Ephemeral;

impl Kind for Ephemeral {
    type Value = Vec<String>;

    fn expects(&self) -> String {
        "\"unnamed\", \"none\", a pattern with a `*` such as \"tmp-*\", or an array of them".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Vec<String>> {
        let words: Option<Vec<&str>> = match value {
            DeValue::String(word) => Some(vec![word]),
            DeValue::Array(items) => items.iter().map(|item| item.get_ref().as_str()).collect(),
            _ => None,
        };
        // A name without a star is far more likely a slip than one session's whole id.
        let right = |word: &&str| *word == UNNAMED || *word == NONE || word.contains('*') && is_id_pattern(word);
        let words = words.filter(|words| words.iter().all(right) && (words.len() < 2 || !words.contains(&NONE)));
        match words {
            Some(words) => Some(words.into_iter().filter(|word| *word != NONE).map(str::to_owned).collect()),
            None => self.refuse(reader, spot, value, None),
        }
    }

    fn stand_in(&self) -> Vec<String> {
        Vec::new()
    }

    fn notes(&self) -> Vec<String> {
        let unnamed =
            "  \"unnamed\": those that have no name: a random UUID, as the SDKs send where the application gives no id";
        vec![unnamed.to_owned(), "  a pattern: those whose ids match".to_owned()]
    }
}
