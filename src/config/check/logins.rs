//! Listeners: who their clients are.

use super::{admitted_with_paths, known_tenant, listeners, pool_path, posture, tenants};
use crate::config::{
    kind::quote,
    reader::Reader,
    schema::{ClientAuth, File, Listener, Mode, Pool, Posture, Tenant, Users},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (path, listener) in listeners(file) {
        let Some(pool) = file.pools.get(&listener.pool) else { continue };
        let sound = ["mode", "pool", "tenant", "jwt", "connection_token"].iter();
        if !sound.map(|key| format!("{path}.{key}")).all(|key| reader.is_sound(&key)) {
            continue;
        }
        match posture(file, reader, &listener.pool, pool) {
            Some(Posture::Open) => open(reader, &path, listener),
            Some(posture) => walled(file, reader, &path, listener, pool, posture),
            None => {}
        }
    }
    unreachable(file, reader);
}

fn open(reader: &mut Reader<'_>, path: &str, listener: &Listener) {
    let keys = [(listener.tenant.is_some(), "tenant"), (listener.jwt.is_some(), "jwt")];
    for (_, key) in keys.into_iter().filter(|(set, _)| *set) {
        let found = format!("a setting for tenants, and the pool {} is open", listener.pool);
        let hint = "leave it out, or set the pool's `posture`".to_owned();
        reader.error(&format!("{path}.{key}"), found, "only settings that count", Some(hint));
    }
}

fn walled(file: &File, reader: &mut Reader<'_>, path: &str, listener: &Listener, pool: &Pool, posture: Posture) {
    let admitted = admitted_with_paths(file, reader, &listener.pool, pool);
    if let Some(name) = &listener.tenant {
        default_tenant(file, reader, path, listener, name, &admitted);
    }
    match (listener.mode, posture) {
        (Mode::Connection, Posture::Tenants) => {
            let found = format!("\"connection\" for the pool {}, which tenants share", listener.pool);
            let hint = "bytes do not tell tenants apart".to_owned();
            reader.error(&format!("{path}.mode"), found, "mode \"session\", or a dedicated pool", Some(hint));
        }
        (Mode::Connection, _) => whole_tenant(reader, path, listener, pool),
        (Mode::Session, _) => login(reader, path, listener, &admitted, certain(file, reader, listener)),
    }
}

/// The tenant that all clients of the listener are.
fn default_tenant(
    file: &File,
    reader: &mut Reader<'_>,
    path: &str,
    listener: &Listener,
    name: &str,
    admitted: &[(String, &Tenant)],
) {
    let key = format!("{path}.tenant");
    if !known_tenant(file, reader, &key, name) {
        return;
    }
    match admitted.iter().find(|(_, tenant)| tenant.name == name) {
        None if certain(file, reader, listener) => {
            let found = format!("{}, whom the pool {} does not let in", quote(name), listener.pool);
            reader.error(&key, found, "a tenant of the listener's pool", None);
        }
        Some((_, tenant)) if tenant.users == Users::Apart => {
            let found = format!("{}, whose users are apart", quote(name));
            let hint = "a client that nobody asked is no user".to_owned();
            reader.error(&key, found, "a tenant with users \"together\"", Some(hint));
        }
        _ => {}
    }
}

/// A dedicated pool in mode "connection": nobody is asked, so the file has to say that all are the pool's tenant.
fn whole_tenant(reader: &mut Reader<'_>, path: &str, listener: &Listener, pool: &Pool) {
    let Some(owner) = pool.tenant.as_ref().filter(|_| listener.tenant.is_none()) else { return };
    let found = format!("mode \"connection\", which asks nobody, for the pool of tenant {owner}");
    let hint = format!("add `tenant = \"{owner}\"` if only that tenant can reach it");
    reader.error(&format!("{path}.tenant"), found, "the tenant that all clients are", Some(hint));
}

fn login(reader: &mut Reader<'_>, path: &str, listener: &Listener, admitted: &[(String, &Tenant)], certain: bool) {
    let token = format!("{path}.connection_token");
    match &listener.tenant {
        None if listener.connection_token.is_some() => {
            let found = "a token that does not say which tenant its clients are";
            let hint = "add `tenant`, or move it to the `tokens` of a [[tenant]]".to_owned();
            reader.error(&token, found, "`tenant` beside it", Some(hint));
        }
        Some(name) if listener.connection_token.is_none() && listener.jwt.is_some() => {
            let found = format!("a login that nobody is asked for, as every client is tenant {name}");
            reader.error(&format!("{path}.jwt"), found, "a `connection_token` beside `tenant`, or no `tenant`", None);
        }
        None if listener.jwt.is_none() && certain => some_token(reader, path, listener, admitted),
        _ => {}
    }
    user_claim(reader, path, listener, admitted);
    shutdown(reader, path, listener);
}

/// The old switch says nothing of who may.
fn shutdown(reader: &mut Reader<'_>, path: &str, listener: &Listener) {
    if listener.session.allow_runtime_shutdown {
        let key = format!("{path}.session.allow_runtime_shutdown");
        let found = format!("a setting that would be ignored, as the pool {} has tenants", listener.pool);
        let hint = "use `methods.allow` of the pool or of a tenant".to_owned();
        reader.error(&key, found, "only settings that count", Some(hint));
    }
}

fn some_token(reader: &mut Reader<'_>, path: &str, listener: &Listener, admitted: &[(String, &Tenant)]) {
    let found = format!("no way to log in to the pool {}", listener.pool);
    let hint = "add `tokens` to a [[tenant]]".to_owned();
    let certified = listener.tls.as_ref().is_some_and(|tls| tls.client_auth() != ClientAuth::Off);
    let can = |tenant: &Tenant| !tenant.tokens.is_empty() || (certified && !tenant.certificates.is_empty());
    if !admitted.iter().any(|(_, tenant)| can(tenant)) {
        reader.error(path, found, "tokens of a tenant of the pool, [listener.jwt] or `tenant`", Some(hint));
    }
}

/// Whether it is certain who gets into the listener's pool, and with which tokens.
fn certain(file: &File, reader: &Reader<'_>, listener: &Listener) -> bool {
    let sound = |(path, tenant): &(String, &Tenant)| {
        let pools = (0..tenant.pools.iter().flatten().count()).map(|index| format!("{path}.pools[{index}]"));
        let keys = ["name", "tokens", "certificates", "pools"].map(|key| format!("{path}.{key}"));
        keys.into_iter().chain(pools).all(|key| reader.is_sound(&key))
    };
    let owner = format!("{}.tenant", pool_path(&listener.pool));
    reader.is_sound(&owner)
        && tenants(file, reader).len() == file.tenants.len()
        && tenants(file, reader).iter().all(sound)
}

fn user_claim(reader: &mut Reader<'_>, path: &str, listener: &Listener, admitted: &[(String, &Tenant)]) {
    let key = format!("{path}.jwt.user_claim");
    let unnamed = listener.jwt.as_ref().is_some_and(|jwt| jwt.user_claim.is_none()) && reader.is_sound(&key);
    let apart = admitted.iter().find(|(_, tenant)| tenant.users == Users::Apart);
    if let Some((_, tenant)) = apart.filter(|_| unnamed) {
        let hint = format!("tenant {} has users apart and cannot log in with a JWT", tenant.name);
        reader.warn(&key, "nothing", "the claim that names the user", Some(hint));
    }
}

/// Tenants that no client can be.
fn unreachable(file: &File, reader: &mut Reader<'_>) {
    let named = |tenant: &Tenant| listeners(file).any(|(_, listener)| listener.tenant.as_ref() == Some(&tenant.name));
    let vouched = listeners(file).any(|(_, listener)| listener.jwt.is_some());
    for (path, tenant) in tenants(file, reader) {
        let key = format!("{path}.tokens");
        if tenant.tokens.is_empty()
            && tenant.certificates.is_empty()
            && !vouched
            && !named(tenant)
            && reader.is_sound(&key)
        {
            let hint = "nobody can log in as this tenant".to_owned();
            reader.warn(
                &key,
                "no tokens",
                "at least one, or a listener with its name or with [listener.jwt]",
                Some(hint),
            );
        }
    }
}
