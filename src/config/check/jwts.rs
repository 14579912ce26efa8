//! `[listener.jwt]`: one source of keys, and signatures that go with it.

use super::listeners;
use crate::config::{
    reader::Reader,
    schema::{Algorithm, File, Jwt},
};

/// As long as the hash, which RFC 7518 asks for.
const SHORTEST_SECRET: usize = 32;

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (path, listener) in listeners(file) {
        let path = format!("{path}.jwt");
        if let Some(jwt) = listener.jwt.as_ref().filter(|_| reader.is_sound(&path)) {
            sources(reader, &path, jwt);
            algorithms(reader, &path, jwt);
            secret(reader, &path, jwt);
        }
    }
}

fn sources(reader: &mut Reader<'_>, path: &str, jwt: &Jwt) {
    const ALL: [&str; 3] = ["jwks", "public_key", "secret"];
    if !ALL.iter().all(|key| reader.is_sound(&format!("{path}.{key}"))) {
        return;
    }
    let set = [jwt.jwks.is_some(), jwt.public_key.is_some(), jwt.secret.is_some()];
    let given: Vec<&str> = ALL.into_iter().zip(set).filter(|(_, set)| *set).map(|(key, _)| key).collect();
    match given.as_slice() {
        [_] => {}
        [] => {
            let hint = "add `jwks = { file = \"jwks.json\" }`".to_owned();
            reader.error(path, "no key to check tokens with", "one of jwks, public_key, secret", Some(hint));
        }
        several => {
            let found = format!("{} together", several.join(" and "));
            reader.error(path, found, "one of jwks, public_key, secret", None);
        }
    }
}

/// A public key that is taken for an HMAC key would let everybody sign.
fn algorithms(reader: &mut Reader<'_>, path: &str, jwt: &Jwt) {
    let key = format!("{path}.algorithms");
    let elements = 0..jwt.algorithms.len();
    if !reader.is_sound(&key) || elements.into_iter().any(|index| !reader.is_sound(&format!("{key}[{index}]"))) {
        return;
    }
    if jwt.algorithms.is_empty() {
        reader.error(&key, "an empty array", "at least one of \"RS256\", \"ES256\", \"HS256\"", None);
        return;
    }
    let sound = ["jwks", "public_key", "secret"].iter().all(|key| reader.is_sound(&format!("{path}.{key}")));
    let hmac = jwt.algorithms.iter().filter(|algorithm| **algorithm == Algorithm::Hs256).count();
    let public = jwt.jwks.is_some() || jwt.public_key.is_some();
    if public && hmac > 0 {
        let hint = "\"HS256\" goes with `secret`".to_owned();
        reader.error(&key, "\"HS256\" with public keys", "\"RS256\", \"ES256\" or both", Some(hint));
    } else if sound && jwt.secret.is_some() && !public && hmac < jwt.algorithms.len() {
        let hint = "set `algorithms = [\"HS256\"]`".to_owned();
        reader.error(&key, "signatures with public keys, and a `secret`", "\"HS256\" alone", Some(hint));
    }
}

fn secret(reader: &mut Reader<'_>, path: &str, jwt: &Jwt) {
    let key = format!("{path}.secret");
    let short = jwt.secret.as_ref().is_some_and(|secret| secret.text.expose().len() < SHORTEST_SECRET);
    if short && reader.is_sound(&key) {
        let found = format!("a secret of fewer than {SHORTEST_SECRET} bytes");
        let hint = "openssl rand -base64 48".to_owned();
        reader.error(&key, found, format!("{SHORTEST_SECRET} bytes or more"), Some(hint));
    }
}
