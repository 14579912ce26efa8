//! Pools: settings of the wall where there is one, and none where they would be ignored.

use super::{pool_path, posture};
use crate::config::{
    reader::Reader,
    schema::{File, Pool, Posture, SessionIds},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (name, pool) in &file.pools {
        let path = pool_path(name);
        let Some(posture) = posture(file, reader, name, pool) else { continue };
        match posture {
            Posture::Open => open(file, reader, &path, pool),
            Posture::Dedicated => ignored(reader, &path, pool, "posture \"tenants\"", &ownership(pool)),
            Posture::Tenants => shared(file, reader, &path, pool),
        }
    }
}

fn open(file: &File, reader: &mut Reader<'_>, path: &str, pool: &Pool) {
    let mut set = ownership(pool);
    set.extend(owner(pool));
    set.extend((!pool.methods.allow.is_empty()).then_some("methods.allow"));
    set.extend((!pool.methods.deny.is_empty()).then_some("methods.deny"));
    ignored(reader, path, pool, "posture \"tenants\" or \"dedicated\"", &set);
    if !file.tenants.is_empty() {
        let hint = "every client can read and delete every session of it".to_owned();
        let found = "\"open\" in a file with tenants";
        reader.warn(&format!("{path}.posture"), found, "\"tenants\" or \"dedicated\"", Some(hint));
    }
}

fn shared(file: &File, reader: &mut Reader<'_>, path: &str, pool: &Pool) {
    if file.tenants.is_empty() {
        let hint = "add [[tenant]] with name and tokens".to_owned();
        reader.error(
            &format!("{path}.posture"),
            "\"tenants\" in a file without one",
            "at least one [[tenant]]",
            Some(hint),
        );
    }
    ignored(reader, path, pool, "posture \"dedicated\"", &Vec::from_iter(owner(pool)));
    if pool.session_ids() == SessionIds::Registry && reader.is_sound(&format!("{path}.session_ids")) {
        let template = pool.session_id_template.is_some().then_some("session_id_template");
        let free = pool.free_ids.is_some().then_some("free_ids");
        ignored(reader, path, pool, "session_ids \"prefix\"", &Vec::from_iter(template.into_iter().chain(free)));
    }
}

fn owner(pool: &Pool) -> Option<&'static str> {
    pool.tenant.is_some().then_some("tenant")
}

/// The settings of the pool that only have a meaning where tenants share it.
fn ownership(pool: &Pool) -> Vec<&'static str> {
    let guards = &pool.guards;
    let all = [
        (pool.session_ids.is_some(), "session_ids"),
        (pool.session_id_template.is_some(), "session_id_template"),
        (pool.free_ids.is_some(), "free_ids"),
        (!guards.provider_urls.is_empty(), "guards.provider_urls"),
        (!guards.mcp_urls.is_empty(), "guards.mcp_urls"),
        (guards.stdio_mcp, "guards.stdio_mcp"),
        (!guards.commands.is_empty(), "guards.commands"),
    ];
    all.into_iter().filter(|(set, _)| *set).map(|(_, key)| key).collect()
}

/// An operator would trust in settings that nothing looks at.
fn ignored(reader: &mut Reader<'_>, path: &str, pool: &Pool, only_with: &str, keys: &[&str]) {
    for key in keys {
        let key = format!("{path}.{key}");
        if !reader.is_sound(&key) {
            continue;
        }
        let found = format!("a setting that would be ignored: it goes with {only_with}");
        let hint = match pool.posture {
            Some(_) => "leave it out, or change what it goes with",
            None => "leave it out, or set `posture`",
        };
        reader.error(&key, found, "only settings that count", Some(hint.to_owned()));
    }
}
