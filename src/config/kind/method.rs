//! Methods by name.

use toml::de::DeValue;

use super::Kind;
use crate::config::reader::{Reader, Spot};

/// A method's name, or the beginning of names followed by `.*`.
pub(in crate::config) fn method_pattern() -> MethodPattern {
    MethodPattern
}

pub(in crate::config) struct MethodPattern;

impl Kind for MethodPattern {
    type Value = String;

    fn expects(&self) -> String {
        "a method such as \"session.shell.exec\", or \"session.mcp.*\" for all that begin so".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<String> {
        let text = value.as_str().unwrap_or_default();
        if is_pattern(text) { Some(text.to_owned()) } else { self.refuse(reader, spot, value, hint(text)) }
    }

    fn stand_in(&self) -> String {
        String::new()
    }
}

fn is_pattern(text: &str) -> bool {
    let name = text.strip_suffix(".*").unwrap_or(text);
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'/'))
    };
    name.len() <= 128 && name.split('.').all(part)
}

fn hint(text: &str) -> Option<String> {
    if text == "*" {
        return Some("name them: `*` alone would be no wall".to_owned());
    }
    let start = text.strip_suffix('*')?.trim_end_matches('.');
    is_pattern(start).then(|| format!("did you mean `{start}.*`?"))
}
