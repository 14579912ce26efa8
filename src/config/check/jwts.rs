//! `[listener.jwt]`: one source of keys, and signatures that go with it.

use super::listeners;
use crate::{
    config::{
        reader::Reader,
        schema::{Algorithm, File, Jwt},
    },
    tenancy::JwtError,
};

const SOURCES: [&str; 3] = ["jwks", "public_key", "secret"];

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (path, listener) in listeners(file) {
        let path = format!("{path}.jwt");
        if let Some(jwt) = listener.jwt.as_ref().filter(|_| reader.is_sound(&path)) {
            let source = source(reader, &path, jwt);
            if algorithms(reader, &path, jwt)
                && let Some(source) = source
            {
                keys(reader, &path, source, jwt);
            }
        }
    }
}

/// The one key of the table that says where keys are.
fn source(reader: &mut Reader<'_>, path: &str, jwt: &Jwt) -> Option<&'static str> {
    if !sources_are_sound(reader, path) {
        return None;
    }
    let set = [jwt.jwks.is_some(), jwt.public_key.is_some(), jwt.secret.is_some()];
    let given: Vec<&'static str> = SOURCES.into_iter().zip(set).filter(|(_, set)| *set).map(|(key, _)| key).collect();
    match given.as_slice() {
        [one] => return Some(one),
        [] => {
            let hint = "add `jwks = { file = \"jwks.json\" }`".to_owned();
            reader.error(path, "no key to check tokens with", "one of jwks, public_key, secret", Some(hint));
        }
        several => {
            let found = format!("{} together", several.join(" and "));
            reader.error(path, found, "one of jwks, public_key, secret", None);
        }
    }
    None
}

fn sources_are_sound(reader: &Reader<'_>, path: &str) -> bool {
    SOURCES.iter().all(|key| reader.is_sound(&format!("{path}.{key}")))
}

/// Whether the signatures go with the keys. A public key that is taken for an HMAC key would let everybody sign.
fn algorithms(reader: &mut Reader<'_>, path: &str, jwt: &Jwt) -> bool {
    let key = format!("{path}.algorithms");
    let elements = (0..jwt.algorithms.len()).map(|index| format!("{key}[{index}]"));
    if !reader.is_sound(&key) || elements.into_iter().any(|element| !reader.is_sound(&element)) {
        return false;
    }
    let hmac = jwt.algorithms.iter().filter(|algorithm| **algorithm == Algorithm::Hs256).count();
    let public = jwt.jwks.is_some() || jwt.public_key.is_some();
    let shared = jwt.secret.is_some() && !public && sources_are_sound(reader, path);
    if jwt.algorithms.is_empty() {
        reader.error(&key, "an empty array", "at least one of \"RS256\", \"ES256\", \"HS256\"", None);
    } else if public && hmac > 0 {
        let hint = "\"HS256\" goes with `secret`".to_owned();
        reader.error(&key, "\"HS256\" with public keys", "\"RS256\", \"ES256\" or both", Some(hint));
    } else if shared && hmac < jwt.algorithms.len() {
        let hint = "set `algorithms = [\"HS256\"]`".to_owned();
        reader.error(&key, "signatures with public keys, and a `secret`", "\"HS256\" alone", Some(hint));
    } else {
        return true;
    }
    false
}

/// Keys that could never verify anything are no surprise for the first client.
fn keys(reader: &mut Reader<'_>, path: &str, source: &str, jwt: &Jwt) {
    let texts = ["issuer", "audience", "tenant_claim", "user_claim", "leeway"].map(|key| format!("{path}.{key}"));
    let Some(keys) = jwt.keys().filter(|_| texts.iter().all(|key| reader.is_sound(key))) else { return };
    let (key, hint) = (format!("{path}.{source}"), (source == "secret").then(|| "openssl rand -base64 48".to_owned()));
    match jwt.verifier(keys) {
        Ok(verifier) if verifier.left_out().is_empty() => {}
        Ok(verifier) => {
            let found = format!("keys that are left out: {}", verifier.left_out().join("; "));
            reader.warn(&key, found, "keys that can be used", None);
        }
        Err(JwtError::Claim(which)) => {
            let found = "an empty part between dots";
            reader.error(&format!("{path}.{which}_claim"), found, "the name of a claim", None);
        }
        Err(why) => reader.error(&key, format!("keys that cannot be used: {why}"), "keys that can be used", hint),
    }
}
