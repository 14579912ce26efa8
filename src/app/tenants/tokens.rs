//! The tokens of all tenants, and the files that some of them stand in.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;

use crate::{
    config::{Config, Tenant, TokenSource, read_secret_file},
    model::{Identity, Secret},
    tenancy::{MAX_TOKEN_BYTES, TokenDigest, Tokens},
};

/// The tokens with their files. Logins see what is in `shared`.
pub(super) struct TokenRing {
    shared: Arc<ArcSwap<Tokens>>,
    entries: Vec<Entry>,
    /// Tokens that listeners ask for as the clients of one tenant.
    reserved: Vec<TokenDigest>,
}

struct Entry {
    who: Identity,
    digest: TokenDigest,
    file: Option<PathBuf>,
    /// The last look at the file found no token that can be taken, and the log has it.
    complained: bool,
}

impl TokenRing {
    /// The tokens as they were when the config was read.
    pub(super) fn new(config: &Config) -> Self {
        let entries: Vec<Entry> = config.tenants.iter().flat_map(entries).collect();
        let asked = config.listeners.iter().filter(|listener| listener.tenant.is_some());
        let asked = asked.filter_map(|listener| listener.connection_token.as_ref());
        let reserved = asked.map(|token| TokenDigest::of(token.expose().as_bytes())).collect();
        Self { shared: Arc::new(ArcSwap::from_pointee(tokens(&entries))), entries, reserved }
    }

    /// What logins look into.
    pub(super) fn shared(&self) -> &Arc<ArcSwap<Tokens>> {
        &self.shared
    }

    /// Whether there is a file to look at.
    pub(super) fn has_files(&self) -> bool {
        self.entries.iter().any(|entry| entry.file.is_some())
    }

    /// Reads the files again and takes what changed. A file that is gone, empty or wrong leaves its last token in force, so
    /// that a slip does not lock a tenant out.
    pub(super) fn refresh(&mut self) {
        let mut changed = false;
        for index in 0..self.entries.len() {
            let Some(file) = self.entries[index].file.clone() else { continue };
            let read = read_token(&file).and_then(|digest| self.fit(index, digest));
            changed |= self.entries[index].take(&file, read);
        }
        if changed {
            self.shared.store(Arc::new(tokens(&self.entries)));
        }
    }

    /// A token that is somebody else's already would say two things.
    fn fit(&self, index: usize, digest: TokenDigest) -> Result<TokenDigest, String> {
        let own = &self.entries[index].who;
        let owner = self.entries.iter().find(|entry| entry.digest == digest && entry.who != *own);
        match owner {
            None if self.reserved.contains(&digest) => Err("holds the connection_token of a listener".to_owned()),
            Some(entry) => Err(format!("holds a token of {}", entry.who)),
            None => Ok(digest),
        }
    }
}

impl Entry {
    /// Takes what the file holds now. `true`: it is another token.
    fn take(&mut self, file: &Path, read: Result<TokenDigest, String>) -> bool {
        let (tenant, path) = (&self.who.tenant, file.display());
        match read {
            Ok(digest) => {
                let changed = digest != self.digest;
                if changed {
                    tracing::info!(tenant = %tenant, file = %path, "the token changed");
                } else if self.complained {
                    tracing::info!(tenant = %tenant, file = %path, "the token can be read again");
                }
                (self.digest, self.complained) = (digest, false);
                changed
            }
            Err(why) => {
                if !std::mem::replace(&mut self.complained, true) {
                    let why = format!("the file {why}");
                    tracing::warn!(tenant = %tenant, file = %path, reason = why, "the last token stays in force");
                }
                false
            }
        }
    }
}

fn entries(tenant: &Tenant) -> impl Iterator<Item = Entry> {
    let name: Arc<str> = tenant.name.as_str().into();
    tenant.tokens.iter().map(move |token| Entry {
        who: Identity { tenant: name.clone(), user: token.user.as_deref().map(Into::into) },
        digest: token.digest(),
        file: match &token.source {
            TokenSource::Secret(secret) => secret.file.clone(),
            TokenSource::Digest(_) => None,
        },
        complained: false,
    })
}

fn tokens(entries: &[Entry]) -> Tokens {
    Tokens::new(entries.iter().map(|entry| (entry.digest.clone(), entry.who.clone())).collect())
}

fn read_token(file: &Path) -> Result<TokenDigest, String> {
    let token: Secret = read_secret_file(file)?;
    let text = token.expose().as_bytes();
    if text.len() > MAX_TOKEN_BYTES { Err("holds too long a token".to_owned()) } else { Ok(TokenDigest::of(text)) }
}
