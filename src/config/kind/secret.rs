//! Secrets: named in the file, kept in the environment or in a file of their own.
//!
//! Nothing here puts a value into a problem: a secret that was pasted into the config by mistake must not reach a log.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf, absolute},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Kind, Shape, describe, name::is_variable, quote};
use crate::{
    config::{
        problem::nearest,
        reader::{Reader, Spot},
    },
    model::Secret,
};

/// No token or key is longer; a bigger file was named by mistake.
const LONGEST: u64 = 64 * 1024;

/// A secret and the file that it came from, if it came from one: such files are read again while the proxy runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedSecret {
    /// What was read when the config was.
    pub text: Secret,
    /// The absolute path; `None` for one of the environment.
    pub file: Option<PathBuf>,
}

/// The same as [`secret`], with the file's path.
pub(in crate::config) fn watched_secret() -> WatchedSource {
    WatchedSource
}

/// A secret: `{ env = "NAME" }` or `{ file = "PATH" }`.
pub(in crate::config) fn secret() -> SecretSource {
    SecretSource { plain: false }
}

/// Environment variables for a child: plain text, or a secret.
pub(in crate::config) fn variables() -> Variables {
    Variables
}

pub(in crate::config) struct SecretSource {
    /// Whether the text itself may stand in the file.
    plain: bool,
}

impl Kind for SecretSource {
    type Value = Secret;

    fn expects(&self) -> String {
        let plain = if self.plain { "a string, " } else { "" };
        format!("{plain}{{ env = \"NAME\" }} or {{ file = \"PATH\" }}")
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Secret> {
        match value {
            DeValue::String(text) if self.plain && !text.contains('\0') => Some(Secret::new(text.as_ref())),
            _ => self.read_watched(reader, spot, value).map(|source| source.text),
        }
    }

    fn stand_in(&self) -> Secret {
        Secret::new("")
    }

    fn shape(&self) -> Shape {
        Shape::Value
    }
}

impl SecretSource {
    fn read_watched(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<WatchedSecret> {
        let Some(table) = value.as_table() else {
            let hint = value.is_str().then(|| "a secret never stands in the config itself".to_owned());
            return not_shown(reader, spot, value, self.expects(), hint.filter(|_| !self.plain));
        };
        let known = only_known(reader, spot, table, &["env", "file"]);
        let source = match (table.get("env"), table.get("file")) {
            (Some(_), Some(_)) => {
                reader.refuse(spot, "both env and file".to_owned(), self.expects(), None);
                None
            }
            (None, None) if known => {
                reader.refuse(spot, "an empty table".to_owned(), self.expects(), None);
                None
            }
            _ => from_table(reader, spot, table),
        };
        source.filter(|_| known)
    }
}

pub(in crate::config) struct WatchedSource;

impl Kind for WatchedSource {
    type Value = WatchedSecret;

    fn expects(&self) -> String {
        secret().expects()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<WatchedSecret> {
        secret().read_watched(reader, spot, value)
    }

    fn stand_in(&self) -> WatchedSecret {
        WatchedSecret { text: Secret::new(""), file: None }
    }
}

/// Refuses a value that may be a secret.
pub(super) fn not_shown<T>(
    reader: &mut Reader<'_>,
    spot: &Spot,
    value: &DeValue<'_>,
    expects: String,
    hint: Option<String>,
) -> Option<T> {
    reader.refuse(spot, format!("{} (not shown)", value.type_str()), expects, hint);
    None
}

/// Refuses the keys of `table` that are not among `known`; whether there were none.
pub(super) fn only_known(reader: &mut Reader<'_>, spot: &Spot, table: &DeTable<'_>, known: &[&str]) -> bool {
    let mut all = true;
    for (key, _) in table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
        let hint = nearest(key.get_ref(), known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let at = spot.key(key.get_ref(), key.span());
        reader.refuse(&at, "an unknown key".to_owned(), format!("one of {}", known.join(", ")), hint);
        all = false;
    }
    all
}

/// What `env` or `file` of a table names; the caller has made sure that it has no more than one of them.
pub(super) fn from_table(reader: &mut Reader<'_>, spot: &Spot, table: &DeTable<'_>) -> Option<WatchedSecret> {
    if let Some(name) = table.get("env") {
        let text = from_environment(reader, &spot.key("env", name.span()), name)?;
        return Some(WatchedSecret { text, file: None });
    }
    let value = table.get("file")?;
    let text = from_file(reader, &spot.key("file", value.span()), value)?;
    let file = value.get_ref().as_str().and_then(|path| full_path(reader, path));
    Some(WatchedSecret { text, file })
}

/// `path` from the folder of the config file, absolute.
pub(super) fn full_path(reader: &Reader<'_>, path: &str) -> Option<PathBuf> {
    absolute(reader.folder.join(path)).ok()
}

fn from_environment(reader: &mut Reader<'_>, spot: &Spot, name: &Spanned<DeValue<'_>>) -> Option<Secret> {
    let Some(name) = name.get_ref().as_str().filter(|name| is_variable(name)) else {
        // Not shown: somebody may have put the secret itself here.
        let found = format!("{} that names no variable (not shown)", name.get_ref().type_str());
        reader.refuse(spot, found, "the name of an environment variable".to_owned(), None);
        return None;
    };
    let found = match (reader.env)(name) {
        None => "unset",
        Some(text) if text.is_empty() => "empty",
        Some(text) if !is_token(&text) => "not one line of text",
        Some(text) => return Some(Secret::new(text)),
    };
    let found = format!("environment variable {name}, which is {found}");
    reader.refuse(spot, found, "a variable that holds the secret".to_owned(), None);
    None
}

fn from_file(reader: &mut Reader<'_>, spot: &Spot, path: &Spanned<DeValue<'_>>) -> Option<Secret> {
    let Some(path) = path.get_ref().as_str().filter(|path| !path.is_empty() && !path.contains('\0')) else {
        reader.refuse(spot, describe(path.get_ref()), "the path of a file".to_owned(), None);
        return None;
    };
    let full = reader.folder.join(path);
    let (text, mode) = match read_line(&full) {
        Ok(read) => read,
        Err(why) => {
            let found = format!("file {}, which {why}", quote(path));
            reader.refuse(spot, found, "a readable file that holds the secret and nothing else".to_owned(), None);
            return None;
        }
    };
    if mode & 0o004 != 0 {
        let found = format!("file {}, which every user can read", quote(path));
        reader.advise(spot, found, "mode 0600 or 0640".to_owned());
    }
    Some(Secret::new(text))
}

/// The secret in the file at `path`, without its line end; or why not, as the end of "a file which ...".
///
/// # Errors
/// The file cannot be read, is empty, or holds something else than one line.
pub fn read_secret_file(path: &Path) -> Result<Secret, String> {
    read_line(path).map(|(text, _)| Secret::new(text))
}

fn read_line(path: &Path) -> Result<(String, u32), String> {
    let (text, mode) = read_text(path)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text {
        "" => Err("is empty".to_owned()),
        text if !is_token(text) => Err("has more than one line".to_owned()),
        text => Ok((text.to_owned(), mode)),
    }
}

/// The text of a small file, and the file's mode.
pub(super) fn read_text(path: &Path) -> Result<(String, u32), String> {
    let metadata = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    // Anything else, a FIFO for example, could keep us waiting for ever.
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let file = fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > LONGEST {
        return Err("is larger than 64KiB".to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not text".to_owned())?;
    Ok((text, metadata.permissions().mode()))
}

fn is_token(text: &str) -> bool {
    !text.contains(['\n', '\r', '\0'])
}

pub(in crate::config) struct Variables;

impl Kind for Variables {
    type Value = BTreeMap<String, Secret>;

    fn expects(&self) -> String {
        "a table of variables, each a string, { env = \"NAME\" } or { file = \"PATH\" }".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Self::Value> {
        let Some(table) = value.as_table() else {
            let found = format!("{} (not shown)", value.type_str());
            reader.refuse(spot, found, self.expects(), None);
            return None;
        };
        let mut taken = BTreeMap::new();
        for (key, value) in table.iter() {
            let at = spot.key(key.get_ref(), value.span());
            if !is_variable(key.get_ref()) {
                let at = spot.key(key.get_ref(), key.span());
                reader.refuse(&at, quote(key.get_ref()), "the name of an environment variable".to_owned(), None);
            }
            if value.get_ref().is_str() && sounds_secret(key.get_ref()) {
                let expected = secret().expects();
                reader.advise(&at, "a string (not shown) in what sounds like a secret".to_owned(), expected);
            }
            taken.insert(key.get_ref().to_string(), reader.value(&at, &SecretSource { plain: true }, value));
        }
        Some(taken)
    }

    fn stand_in(&self) -> Self::Value {
        BTreeMap::new()
    }
}

fn sounds_secret(variable: &str) -> bool {
    let variable = variable.to_ascii_uppercase();
    ["TOKEN", "SECRET", "PASSWORD", "API_KEY", "APIKEY", "CREDENTIAL"].iter().any(|word| variable.contains(word))
}
