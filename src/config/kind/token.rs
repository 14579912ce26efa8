//! Tokens of tenants: named like other secrets, or by their SHA-256.

use toml::de::{DeTable, DeValue};

use super::{
    Kind, WatchedSecret,
    name::name,
    secret::{from_table, not_shown, only_known},
};
use crate::{
    config::reader::{Reader, Spot},
    model::Secret,
    tenancy::{MAX_TOKEN_BYTES, TokenDigest},
};

/// Shorter tokens can be guessed.
const SHORTEST: usize = 16;

/// What a client may log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Where its text is.
    pub source: TokenSource,
    /// The user who comes with it.
    pub user: Option<String>,
}

impl Token {
    /// The SHA-256 of the text, which is all that a comparison needs.
    pub fn digest(&self) -> TokenDigest {
        match &self.source {
            TokenSource::Secret(secret) => TokenDigest::of(secret.text.expose().as_bytes()),
            TokenSource::Digest(digest) => digest.clone(),
        }
    }
}

/// Where the text of a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// In the environment or in a file.
    Secret(WatchedSecret),
    /// Nowhere: the file has only its SHA-256.
    Digest(TokenDigest),
}

/// One token.
pub(in crate::config) fn token() -> TokenKind {
    TokenKind
}

pub(in crate::config) struct TokenKind;

impl Kind for TokenKind {
    type Value = Token;

    fn expects(&self) -> String {
        "{ env = \"NAME\" }, { file = \"PATH\" } or { sha256 = \"64 HEX DIGITS\" }, with user = \"NAME\" or without"
            .to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Token> {
        let Some(table) = value.as_table() else {
            let hint = value.is_str().then(|| "a token never stands in the config itself".to_owned());
            return not_shown(reader, spot, value, self.expects(), hint);
        };
        let known = only_known(reader, spot, table, &["env", "file", "sha256", "user"]);
        let user = match table.get_key_value("user") {
            Some((_, value)) => name().read(reader, &spot.key("user", value.span()), value.get_ref()).map(Some),
            None => Some(None),
        };
        let source = self.source(reader, spot, table, known);
        Some(Token { source: source?, user: user? }).filter(|_| known)
    }

    fn stand_in(&self) -> Token {
        let nothing = WatchedSecret { text: Secret::new(""), file: None };
        Token { source: TokenSource::Secret(nothing), user: None }
    }
}

impl TokenKind {
    fn source(&self, reader: &mut Reader<'_>, spot: &Spot, table: &DeTable<'_>, known: bool) -> Option<TokenSource> {
        let given: Vec<&str> = ["env", "file", "sha256"].into_iter().filter(|key| table.contains_key(*key)).collect();
        match given.as_slice() {
            [] => {
                if known {
                    reader.refuse(spot, "no token".to_owned(), self.expects(), None);
                }
                None
            }
            ["sha256"] => digest(reader, spot, table),
            [_] => {
                let secret = from_table(reader, spot, table)?;
                if secret.text.expose().len() > MAX_TOKEN_BYTES {
                    let found = "a token of more than 16KiB".to_owned();
                    reader.refuse(spot, found, "one that a client can send".to_owned(), None);
                    return None;
                }
                if secret.text.expose().len() < SHORTEST {
                    let found = format!("a token of fewer than {SHORTEST} bytes");
                    reader.advise(spot, found, format!("{SHORTEST} or more that nobody can guess"));
                }
                Some(TokenSource::Secret(secret))
            }
            several => {
                reader.refuse(spot, format!("{} together", several.join(" and ")), self.expects(), None);
                None
            }
        }
    }
}

fn digest(reader: &mut Reader<'_>, spot: &Spot, table: &DeTable<'_>) -> Option<TokenSource> {
    let value = table.get("sha256")?;
    let digest = value.get_ref().as_str().and_then(TokenDigest::from_hex);
    if digest.as_ref() == Some(&TokenDigest::of(b"")) {
        let hint = "was the variable set when it was made?".to_owned();
        reader.refuse(
            &spot.key("sha256", value.span()),
            "the SHA-256 of nothing".to_owned(),
            "that of a token".to_owned(),
            Some(hint),
        );
        return None;
    }
    if digest.is_none() {
        // Not shown: it may be the token itself.
        let found = format!("{} that is no SHA-256 (not shown)", value.get_ref().type_str());
        let hint = "printf %s \"$TOKEN\" | sha256sum".to_owned();
        reader.refuse(&spot.key("sha256", value.span()), found, "64 hexadecimal digits".to_owned(), Some(hint));
    }
    digest.map(TokenSource::Digest)
}
