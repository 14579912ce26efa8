//! Files with the public keys that JWTs are checked with.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::{
    Kind, describe, quote,
    secret::{full_path, only_known, read_text},
};
use crate::config::reader::{Reader, Spot};

/// A file of public keys, which is read again while the proxy runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The absolute path.
    pub path: PathBuf,
    /// What was read when the config was.
    pub text: String,
}

/// A JSON Web Key Set.
pub(in crate::config) fn jwks_file() -> KeyFileKind {
    KeyFileKind { holds: "a JSON Web Key Set", right: is_jwks }
}

/// One public key.
pub(in crate::config) fn pem_file() -> KeyFileKind {
    KeyFileKind { holds: "a public key in PEM", right: is_public_pem }
}

/// The text of the file at `path`; or why not, as the end of "a file which ...".
///
/// # Errors
/// The file cannot be read or is empty.
pub fn read_key_file(path: &Path) -> Result<String, String> {
    let (text, _) = read_text(path)?;
    if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text) }
}

pub(in crate::config) struct KeyFileKind {
    holds: &'static str,
    right: fn(&str) -> bool,
}

impl Kind for KeyFileKind {
    type Value = KeyFile;

    fn expects(&self) -> String {
        format!("{{ file = \"PATH\" }} with {}", self.holds)
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<KeyFile> {
        let Some(table) = value.as_table() else {
            // Not shown: it may be a key that was pasted here.
            let hint = value.is_str().then(|| "keys stand in a file of their own".to_owned());
            reader.refuse(spot, format!("{} (not shown)", value.type_str()), self.expects(), hint);
            return None;
        };
        let known = only_known(reader, spot, table, &["file"]);
        let Some(path) = table.get("file") else {
            if known {
                reader.refuse(spot, "an empty table".to_owned(), self.expects(), None);
            }
            return None;
        };
        let at = spot.key("file", path.span());
        let Some(text) = path.get_ref().as_str().filter(|path| !path.is_empty() && !path.contains('\0')) else {
            reader.refuse(&at, describe(path.get_ref()), "the path of a file".to_owned(), None);
            return None;
        };
        self.read_file(reader, &at, text).filter(|_| known)
    }

    fn stand_in(&self) -> KeyFile {
        KeyFile { path: PathBuf::new(), text: String::new() }
    }
}

impl KeyFileKind {
    fn read_file(&self, reader: &mut Reader<'_>, at: &Spot, name: &str) -> Option<KeyFile> {
        let path = full_path(reader, name)?;
        let why = match read_key_file(&path) {
            Ok(text) if (self.right)(&text) => return Some(KeyFile { path, text }),
            Ok(_) => format!("does not hold {}", self.holds),
            Err(why) => why,
        };
        let found = format!("file {}, which {why}", quote(name));
        reader.refuse(at, found, format!("a readable file with {}", self.holds), None);
        None
    }
}

fn is_jwks(text: &str) -> bool {
    let keys = serde_json::from_str::<serde_json::Value>(text).ok();
    keys.and_then(|set| Some(!set.get("keys")?.as_array()?.is_empty())).unwrap_or(false)
}

fn is_public_pem(text: &str) -> bool {
    let is = |label: &str| {
        text.contains(&format!("-----BEGIN {label}-----")) && text.contains(&format!("-----END {label}-----"))
    };
    is("PUBLIC KEY") || is("RSA PUBLIC KEY")
}
