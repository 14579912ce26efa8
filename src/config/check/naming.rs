//! Names of tenants and users as parts of session ids.

use super::{admitted_with_paths, pool_path, posture};
use crate::{
    config::{
        kind::quote,
        reader::Reader,
        schema::{File, FreeIds, Pool, Posture, Tenant, Users},
    },
    tenancy::{NamingError, NamingRule, Said},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (name, pool) in &file.pools {
        let path = pool_path(name);
        let sound = ["session_ids", "session_id_template"].map(|key| format!("{path}.{key}"));
        let shared = posture(file, reader, name, pool) == Some(Posture::Tenants);
        if !shared || !sound.iter().all(|key| reader.is_sound(key)) {
            continue;
        }
        let rule = pool.naming();
        for (path, tenant) in admitted_with_paths(file, reader, name, pool) {
            let place = Place { pool: name, path: &path, rule: &rule };
            users(reader, &place, tenant);
            names(reader, &place, tenant);
            sessions(reader, &place, pool, tenant);
        }
    }
}

/// A tenant that is looked at for one of its pools.
struct Place<'a> {
    pool: &'a str,
    path: &'a str,
    rule: &'a NamingRule,
}

/// Ids name a user where users are apart, and only there.
fn users(reader: &mut Reader<'_>, place: &Place<'_>, tenant: &Tenant) {
    let key = format!("{}.users", place.path);
    if !reader.is_sound(&key) {
        return;
    }
    let template_key = format!("{}.session_id_template", pool_path(place.pool));
    match (tenant.users, place.rule.tells_users()) {
        (Users::Apart, false) => {
            let found = format!("\"apart\" for the pool {}, whose session ids name no user", place.pool);
            let hint = format!("set `{template_key} = \"{{tenant}}--{{user}}--\"`");
            reader.error(&key, found, "\"together\", or a template with {user}", Some(hint));
        }
        (Users::Together, true) if !place.rule.is_registry() => {
            let found = format!("a template with {{user}}, and the users of tenant {} are together", tenant.name);
            let hint = "set `users = \"apart\"` for all tenants of the pool, or give those who are together a pool of their own";
            reader.error(&template_key, found, "a template without {user}", Some(hint.to_owned()));
        }
        _ => {}
    }
}

fn names(reader: &mut Reader<'_>, place: &Place<'_>, tenant: &Tenant) {
    let key = format!("{}.name", place.path);
    if let Err(why) = place.rule.check_tenant_name(&tenant.name)
        && reader.is_sound(&key)
    {
        return wrong(reader, place, &key, &tenant.name, why);
    }
    for (index, token) in tenant.tokens.iter().enumerate().filter(|_| tenant.users == Users::Apart) {
        let key = format!("{}.tokens[{index}]", place.path);
        let Some(user) = token.user.as_ref().filter(|_| reader.is_sound(&key)) else { continue };
        if let Err(why) = place.rule.check_user_name(&tenant.name, user) {
            wrong(reader, place, &format!("{key}.user"), user, why);
        }
    }
}

fn wrong(reader: &mut Reader<'_>, place: &Place<'_>, key: &str, name: &str, why: NamingError) {
    let found = format!("{}, with which session ids of the pool {} cannot begin: {why}", quote(name), place.pool);
    let hint = "or set `session_ids = \"registry\"` for the pool".to_owned();
    reader.error(key, found, "letters, digits and single `-` or `_` between them", Some(hint));
}

/// An id that names another tenant is that one's to share.
fn sessions(reader: &mut Reader<'_>, place: &Place<'_>, pool: &Pool, tenant: &Tenant) {
    for (index, share) in tenant.share.iter().enumerate() {
        let key = format!("{}.share[{index}].session", place.path);
        let beginning = share.session.strip_suffix('*');
        let owner = match place.rule.says(beginning.unwrap_or(&share.session)) {
            Said::Named { tenant: owner, .. } if owner == tenant.name => continue,
            Said::Named { tenant: owner, .. } => format!("a session of {}", quote(owner)),
            // A beginning may still grow into an id of the tenant's.
            Said::Free | Said::Nobody if beginning.is_some() => continue,
            Said::Nobody => "a session that can be nobody's".to_owned(),
            Said::Free if pool.free_ids() == FreeIds::Refuse => "a session that does not say whose it is".to_owned(),
            Said::Free => continue,
        };
        if reader.is_sound(&key) && reader.is_sound(&format!("{}.name", place.path)) {
            let found = format!("{}, which is {owner} in the pool {}", quote(&share.session), place.pool);
            reader.error(&key, found, "a session of this tenant", None);
        }
    }
}
