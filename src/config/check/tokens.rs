//! Tokens: one of each, and with a user where that is needed.

use super::{listeners, tenants};
use crate::{
    config::{
        reader::Reader,
        schema::{File, Users},
    },
    tenancy::TokenDigest,
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    let mut seen: Vec<(String, TokenDigest)> = Vec::new();
    for (path, tenant) in tenants(file, reader) {
        for (index, token) in tenant.tokens.iter().enumerate() {
            let key = format!("{path}.tokens[{index}]");
            if !reader.is_sound(&key) {
                continue;
            }
            if tenant.users == Users::Apart && token.user.is_none() {
                let hint = "its tenant has `users = \"apart\"`".to_owned();
                reader.error(&key, "a token without a user", "`user = \"NAME\"` in it", Some(hint));
            }
            once(reader, &seen, &key, &token.digest());
            seen.push((key, token.digest()));
        }
    }
    for (path, listener) in listeners(file).filter(|(_, listener)| listener.tenant.is_some()) {
        let key = format!("{path}.connection_token");
        if let Some(token) = listener.connection_token.as_ref().filter(|_| reader.is_sound(&key)) {
            once(reader, &seen, &key, &TokenDigest::of(token.expose().as_bytes()));
        }
    }
}

/// A token says who a client is, so it can say only one.
fn once(reader: &mut Reader<'_>, seen: &[(String, TokenDigest)], key: &str, digest: &TokenDigest) {
    if let Some((first, _)) = seen.iter().find(|(_, other)| other == digest) {
        reader.error(key, format!("the same token as {first}"), "a token of its own", None);
    }
}
