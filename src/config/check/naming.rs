//! Names of tenants and users as parts of session ids.

use super::{admitted_with_paths, pool_path, posture};
use crate::config::{
    kind::{Template, quote},
    reader::Reader,
    schema::{File, Pool, Posture, SessionIds, Tenant, Users},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (name, pool) in &file.pools {
        let path = pool_path(name);
        let sound = ["session_ids", "session_id_template"].map(|key| format!("{path}.{key}"));
        let shared = posture(file, reader, name, pool) == Some(Posture::Tenants);
        if !shared || pool.session_ids() != SessionIds::Prefix || !sound.iter().all(|key| reader.is_sound(key)) {
            continue;
        }
        for (path, tenant) in admitted_with_paths(file, reader, name, pool) {
            let place = Place { pool: name, path: &path };
            users(reader, &place, pool, tenant);
            names(reader, &place, pool, tenant);
            sessions(reader, &place, pool, tenant);
        }
    }
}

/// A tenant that is looked at for one of its pools.
struct Place<'a> {
    pool: &'a str,
    path: &'a str,
}

/// Ids name a user where users are apart, and only there.
fn users(reader: &mut Reader<'_>, place: &Place<'_>, pool: &Pool, tenant: &Tenant) {
    let key = format!("{}.users", place.path);
    let template = pool.session_id_template();
    if !reader.is_sound(&key) {
        return;
    }
    let template_key = format!("{}.session_id_template", pool_path(place.pool));
    match (tenant.users, template.has_user()) {
        (Users::Apart, false) => {
            let found = format!("\"apart\" for the pool {}, whose session ids name no user", place.pool);
            let hint = format!("set `{template_key} = \"{{tenant}}--{{user}}--\"`");
            reader.error(&key, found, "\"together\", or a template with {user}", Some(hint));
        }
        (Users::Together, true) => {
            let found = format!("a template with {{user}}, and the users of tenant {} are together", tenant.name);
            let hint = "set `users = \"apart\"` for all tenants of the pool, or give those who are together a pool of their own";
            reader.error(&template_key, found, "a template without {user}", Some(hint.to_owned()));
        }
        _ => {}
    }
}

fn names(reader: &mut Reader<'_>, place: &Place<'_>, pool: &Pool, tenant: &Tenant) {
    let rule = Rule::prefix(&pool.session_id_template());
    let key = format!("{}.name", place.path);
    if let Err(why) = rule.check_tenant_name(&tenant.name)
        && reader.is_sound(&key)
    {
        wrong(reader, place, &key, &tenant.name, &why);
    }
    for (index, token) in tenant.tokens.iter().enumerate() {
        let key = format!("{}.tokens[{index}]", place.path);
        let Some(user) = token.user.as_ref().filter(|_| reader.is_sound(&key) && rule.user) else { continue };
        if let Err(why) = rule.check_user_name(&tenant.name, user) {
            wrong(reader, place, &format!("{key}.user"), user, &why);
        }
    }
}

fn wrong(reader: &mut Reader<'_>, place: &Place<'_>, key: &str, name: &str, why: &str) {
    let found = format!("{}, with which session ids of the pool {} cannot begin: {why}", quote(name), place.pool);
    let hint = "or set `session_ids = \"registry\"` for the pool".to_owned();
    reader.error(key, found, "letters, digits and single `-` or `_` between them", Some(hint));
}

/// An id that names another tenant is that one's to share.
fn sessions(reader: &mut Reader<'_>, place: &Place<'_>, pool: &Pool, tenant: &Tenant) {
    let rule = Rule::prefix(&pool.session_id_template());
    for (index, share) in tenant.share.iter().enumerate() {
        let key = format!("{}.share[{index}].session", place.path);
        let owner = rule.owner(&share.session).filter(|owner| *owner != tenant.name);
        if let Some(owner) = owner.filter(|_| reader.is_sound(&key)) {
            let found =
                format!("{}, which is a session of {} in the pool {}", quote(&share.session), quote(owner), place.pool);
            reader.error(&key, found, "a session of this tenant", None);
        }
    }
}

/// Stands here until `tenancy` has it.
struct Rule {
    delimiter: String,
    user: bool,
}

impl Rule {
    fn prefix(template: &Template) -> Self {
        let delimiter = template.as_str().trim_start_matches("{tenant}");
        let delimiter = delimiter.split("{user}").next().unwrap_or_default().to_owned();
        Self { delimiter, user: template.has_user() }
    }

    fn check_tenant_name(&self, name: &str) -> Result<(), String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let edge = self.delimiter.chars().next().unwrap_or('-');
        if !name.bytes().all(plain) {
            Err("a character that no session id has".to_owned())
        } else if name.contains(&self.delimiter) {
            Err(format!("`{}` stands between the parts of an id", self.delimiter))
        } else if name.starts_with(edge) || name.ends_with(edge) {
            Err(format!("a `{edge}` at an end"))
        } else {
            Ok(())
        }
    }

    fn check_user_name(&self, _tenant: &str, user: &str) -> Result<(), String> {
        self.check_tenant_name(user)
    }

    fn owner<'a>(&self, id: &'a str) -> Option<&'a str> {
        id.split_once(&self.delimiter).map(|(owner, _)| owner)
    }
}
