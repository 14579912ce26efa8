//! Short texts with rules of their own: users, sessions, commands, folders of a backend's host.

use std::path::PathBuf;

use toml::de::DeValue;

use super::{Kind, name::name};
use crate::{
    config::reader::{Reader, Spot},
    tenancy::GuardSettings,
};

/// A text of one line that is not empty.
pub(in crate::config) fn line() -> Words {
    Words {
        expects: "a string of one line",
        right: |text| !text.is_empty() && !text.contains(char::is_control),
        hint: |_| None,
    }
}

/// What the keys of a store begin with. Braces say where a key lives in a Cluster, so they are ours.
pub(in crate::config) fn key_prefix() -> Words {
    let right = |text: &str| {
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'{' | b'}');
        (1..=64).contains(&text.len()) && text.bytes().all(plain)
    };
    Words { expects: "1 to 64 printable ASCII characters without blanks and braces", right, hint: |_| None }
}

/// A session's id, as the runtime takes it, or the beginning of ids.
pub(in crate::config) fn session_ids() -> Words {
    let right = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        !text.is_empty() && text.len() <= 128 && text.strip_suffix('*').unwrap_or(text).bytes().all(plain)
    };
    let expects = "a session id: 1 to 128 of A-Z, a-z, 0-9, `_`, `-`; or the beginning of ids and `*`";
    Words { expects, right, hint: |_| None }
}

/// A session's id in which `*` stands for anything.
pub(in crate::config) fn id_pattern() -> Words {
    Words {
        expects: "a session id in which `*` stands for anything, such as \"keep-*\"",
        right: is_id_pattern,
        hint: |_| None,
    }
}

pub(super) fn is_id_pattern(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'*');
    (1..=128).contains(&text.len()) && text.bytes().all(plain)
}

/// A tenant, or a user of one.
pub(in crate::config) fn grantee() -> Words {
    let right = |text: &str| match text.split_once('/') {
        Some((tenant, user)) => name().allows(tenant) && name().allows(user),
        None => name().allows(text),
    };
    Words { expects: "\"TENANT\" or \"TENANT/USER\"", right, hint: |_| None }
}

/// A slash command without its slash.
pub(in crate::config) fn slash_command() -> Words {
    let right = |text: &str| {
        let rules = GuardSettings { commands: vec![text.to_owned()], ..GuardSettings::default() };
        text.len() <= 64 && !text.starts_with('/') && text.trim() == text && rules.check().is_ok()
    };
    let hint =
        |text: &str| text.starts_with('/').then(|| format!("without the slash: {:?}", text.trim_start_matches('/')));
    Words { expects: "the name of a slash command, such as \"plan\"", right, hint }
}

/// A folder on the machine of the backends, so nothing here looks whether it is there.
pub(in crate::config) fn host_folder() -> HostFolder {
    HostFolder
}

impl Words {
    /// Whether it is one.
    pub(super) fn takes(&self, text: &str) -> bool {
        (self.right)(text)
    }
}

pub(in crate::config) struct Words {
    expects: &'static str,
    right: fn(&str) -> bool,
    hint: fn(&str) -> Option<String>,
}

impl Kind for Words {
    type Value = String;

    fn expects(&self) -> String {
        self.expects.to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<String> {
        let text = value.as_str().unwrap_or_default();
        if (self.right)(text) { Some(text.to_owned()) } else { self.refuse(reader, spot, value, (self.hint)(text)) }
    }

    fn stand_in(&self) -> String {
        String::new()
    }
}

pub(in crate::config) struct HostFolder;

impl Kind for HostFolder {
    type Value = PathBuf;

    fn expects(&self) -> String {
        "an absolute path without `..` in it".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<PathBuf> {
        let text = value.as_str().unwrap_or_default();
        if !is_plain(text) {
            let hint = text.starts_with('~').then(|| "written out: there is no shell".to_owned());
            return self.refuse(reader, spot, value, hint);
        }
        if text.trim_matches('/').is_empty() {
            reader.advise(spot, "\"/\", which is every path".to_owned(), "the folder of the tenant".to_owned());
        }
        Some(PathBuf::from(text))
    }

    fn stand_in(&self) -> PathBuf {
        PathBuf::new()
    }
}

/// Whether a guard can compare it with the paths of params.
fn is_plain(text: &str) -> bool {
    let rules = GuardSettings { roots: vec![PathBuf::from(text)], ..GuardSettings::default() };
    !text.contains(char::is_control) && rules.check().is_ok()
}
