//! The keys of one listener's JWTs, and the file that they stand in.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;

use crate::{
    config::{Jwt, read_key_file, read_secret_file},
    tenancy::{JwtError, JwtKeys, JwtVerifier},
};

/// The keys with their file. The login sees what is in `shared`.
pub(super) struct Keys {
    listener: String,
    set: Jwt,
    file: Option<PathBuf>,
    shared: Arc<ArcSwap<JwtVerifier>>,
    /// What was looked at last, taken or not.
    seen: Result<JwtKeys, String>,
}

impl Keys {
    /// The keys as they were when the config was read; `None` where it names none.
    pub(super) fn new(listener: &str, set: &Jwt) -> Result<Option<Self>, JwtError> {
        let Some(keys) = set.keys() else { return Ok(None) };
        let verifier = set.verifier(keys.clone())?;
        let public = set.jwks.as_ref().or(set.public_key.as_ref()).map(|file| file.path.clone());
        let file = public.or_else(|| set.secret.as_ref().and_then(|secret| secret.file.clone()));
        let shared = Arc::new(ArcSwap::from_pointee(verifier));
        Ok(Some(Self { listener: listener.to_owned(), set: set.clone(), file, shared, seen: Ok(keys) }))
    }

    /// What the login looks into.
    pub(super) fn shared(&self) -> &Arc<ArcSwap<JwtVerifier>> {
        &self.shared
    }

    /// Whether there is a file to look at.
    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the file again and takes what changed. A file that is gone, empty or wrong leaves the last keys in force.
    pub(super) fn refresh(&mut self) {
        let Some(file) = self.file.clone() else { return };
        let read = self.read(&file);
        if same(&read, &self.seen) {
            return;
        }
        let taken = read
            .clone()
            .and_then(|keys| self.set.verifier(keys).map_err(|why| format!("holds keys that cannot be used: {why}")));
        let (listener, path) = (&self.listener, file.display());
        match taken {
            Ok(verifier) => {
                if !verifier.left_out().is_empty() {
                    let left_out = verifier.left_out().join("; ");
                    tracing::warn!(listener, file = %path, reason = left_out, "keys are left out");
                }
                tracing::info!(listener, file = %path, "the keys of JWTs were read again");
                self.shared.store(Arc::new(verifier));
            }
            Err(why) => {
                let why = format!("the file {why}");
                tracing::warn!(listener, file = %path, reason = why, "the last keys of JWTs stay in force");
            }
        }
        self.seen = read;
    }

    fn read(&self, file: &std::path::Path) -> Result<JwtKeys, String> {
        if self.set.jwks.is_some() {
            read_key_file(file).map(JwtKeys::Jwks)
        } else if self.set.public_key.is_some() {
            read_key_file(file).map(JwtKeys::Pem)
        } else {
            read_secret_file(file).map(JwtKeys::Secret)
        }
    }
}

/// Whether two looks at a file saw the same. One that cannot be read is told once, whatever the reasons after the first.
fn same(one: &Result<JwtKeys, String>, other: &Result<JwtKeys, String>) -> bool {
    match (one, other) {
        (Ok(JwtKeys::Jwks(one)), Ok(JwtKeys::Jwks(other))) | (Ok(JwtKeys::Pem(one)), Ok(JwtKeys::Pem(other))) => {
            one == other
        }
        (Ok(JwtKeys::Secret(one)), Ok(JwtKeys::Secret(other))) => one == other,
        (Err(_), Err(_)) => true,
        _ => false,
    }
}
