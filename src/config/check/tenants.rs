//! Tenants: their names and their pools.

use super::{known_tenant, pool_path, tenants};
use crate::config::{
    kind::quote,
    problem::nearest,
    reader::Reader,
    schema::{File, Posture, Tenant},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    names(file, reader);
    for (path, tenant) in tenants(file, reader) {
        pools(file, reader, &path, tenant);
    }
    owners(file, reader);
}

fn names(file: &File, reader: &mut Reader<'_>) {
    let all = tenants(file, reader);
    for (index, (path, tenant)) in all.iter().enumerate() {
        let key = format!("{path}.name");
        let first = all[..index].iter().find(|(_, other)| other.name == tenant.name);
        if let Some((first, _)) = first.filter(|_| reader.is_sound(&key)) {
            let found = format!("{}, which is the name of {first} too", quote(&tenant.name));
            reader.error(&key, found, "a name of its own", None);
        }
    }
}

fn pools(file: &File, reader: &mut Reader<'_>, path: &str, tenant: &Tenant) {
    for (index, name) in tenant.pools.iter().flatten().enumerate() {
        let key = format!("{path}.pools[{index}]");
        if !reader.is_sound(&key) || !reader.is_sound("pool") {
            continue;
        }
        let Some(pool) = file.pools.get(name) else {
            let near = nearest(name, file.pools.keys().map(String::as_str));
            let hint = near.map(|name| format!("did you mean `{name}`?"));
            reader.error(&key, format!("{}, which is no pool", quote(name)), "the name of a pool", hint);
            continue;
        };
        let other = pool.tenant.as_ref().filter(|owner| **owner != tenant.name);
        match (super::posture(file, reader, name, pool), other) {
            (Some(Posture::Open), _) => {
                let found = format!("{}, which is open to everybody", quote(name));
                reader.error(&key, found, "a pool with posture \"tenants\" or \"dedicated\"", None);
            }
            (Some(Posture::Dedicated), Some(owner)) => {
                let found = format!("{}, which is dedicated to {owner}", quote(name));
                reader.error(&key, found, "a pool that lets this tenant in", None);
            }
            _ => {}
        }
    }
    if tenant.pools.as_ref().is_some_and(Vec::is_empty) && reader.is_sound(&format!("{path}.pools")) {
        reader.error(&format!("{path}.pools"), "an empty array", "at least one pool, or no such key", None);
    }
}

/// The owners of dedicated pools.
fn owners(file: &File, reader: &mut Reader<'_>) {
    for (name, pool) in &file.pools {
        let path = pool_path(name);
        if pool.is_isolated() || super::posture(file, reader, name, pool) != Some(Posture::Dedicated) {
            continue;
        }
        let key = format!("{path}.tenant");
        let Some(owner) = &pool.tenant else {
            if reader.is_sound(&key) {
                let example = file.tenants.first().map_or("alice", |tenant| tenant.name.as_str());
                let hint = format!("add `tenant = \"{example}\"`");
                reader.error(&key, "nothing", "the tenant of the dedicated pool", Some(hint));
            }
            continue;
        };
        if !known_tenant(file, reader, &key, owner) {
            continue;
        }
        let tenant = file.tenants.iter().find(|tenant| tenant.name == *owner);
        if tenant.and_then(|tenant| tenant.pools.as_ref()).is_some_and(|pools| !pools.contains(name)) {
            let found = format!("{}, whose `pools` leave this one out", quote(owner));
            let hint = format!("add \"{name}\" to them");
            reader.error(&key, found, "a tenant that may use this pool", Some(hint));
        }
    }
}
