//! Names of listeners, pools and backends.

use toml::de::DeValue;

use super::Kind;
use crate::config::reader::{Reader, Spot};

/// A name: it stands in metrics, logs and hashes, so it is short and plain.
pub(in crate::config) fn name() -> Name {
    Name { longest: 64 }
}

/// The first part of a name, to which `-1`, `-2` and so on are added.
pub(in crate::config) fn name_prefix() -> Name {
    Name { longest: 58 }
}

pub(in crate::config) struct Name {
    longest: usize,
}

impl Name {
    /// Whether `text` is one.
    pub fn allows(&self, text: &str) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        (1..=self.longest).contains(&text.len()) && text.bytes().all(plain)
    }
}

impl Kind for Name {
    type Value = String;

    fn expects(&self) -> String {
        format!("a name: 1 to {} of A-Z, a-z, 0-9, `.`, `_`, `-`", self.longest)
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<String> {
        let text = value.as_str().filter(|text| self.allows(text));
        text.map(str::to_owned).or_else(|| self.refuse(reader, spot, value, None))
    }

    fn stand_in(&self) -> String {
        String::new()
    }
}

/// Whether `text` can name an environment variable.
pub(in crate::config) fn is_variable(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=256).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with(|c: char| c.is_ascii_digit())
}
