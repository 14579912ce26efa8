//! Pools in which each tenant or user has a CLI of its own.

use super::{listeners, pool_path, posture};
use crate::config::{
    kind::IdRange,
    reader::Reader,
    schema::{File, Instances, Isolation, Mode, Pool, Posture},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    let mut users: Vec<(String, IdRange)> = Vec::new();
    for (name, pool) in &file.pools {
        let path = pool_path(name);
        if !reader.is_sound(&path) || !reader.is_sound(&format!("{path}.isolation")) {
            continue;
        }
        if pool.is_isolated() {
            process(reader, &path, pool);
            instances(reader, &format!("{path}.instances"), &pool.instances);
            tokens(reader, &format!("{path}.instances"), pool);
            recycling(reader, &path);
            if let Some(range) = pool.instances.uid_range {
                let key = format!("{path}.instances.uid_range");
                strangers(reader, &key, range, &users);
                users.push((key, range));
            }
            listened(file, reader, name, pool.isolation);
            if reader.is_sound("tenant") {
                people(file, reader, name, &path, pool);
            }
        } else {
            shared(reader, &path, pool);
        }
    }
}

/// Settings that nothing looks at without isolation.
fn shared(reader: &mut Reader<'_>, path: &str, pool: &Pool) {
    let found = "a setting that would be ignored: it goes with `isolation`";
    for key in reader.set_under(&format!("{path}.instances")) {
        let hint = "set `isolation = \"tenant\"` or \"user\", or leave it out".to_owned();
        reader.error(&key, found, "only settings that count", Some(hint));
    }
    let key = format!("{path}.supervise.home");
    let home = pool.supervise.as_ref().and_then(|set| set.home.as_ref()).filter(|_| reader.is_sound(&key));
    if home.is_some_and(|home| home.has("tenant") || home.has("user")) {
        let found = "a path with {tenant} or {user} in it in a pool without `isolation`";
        reader.error(&key, found, "a path for all", Some("set `isolation = \"tenant\"` or \"user\"".to_owned()));
    }
}

fn process(reader: &mut Reader<'_>, path: &str, pool: &Pool) {
    let (supervise, isolation) = (format!("{path}.supervise"), format!("{path}.isolation"));
    let Some(set) = pool.supervise.as_ref().filter(|_| reader.is_sound(&supervise)) else {
        if reader.is_sound(&supervise) {
            let found = format!("\"{}\" in a pool without supervise", pool.isolation.as_str());
            let hint = format!("add [{supervise}] with home = \"/var/lib/pilotfish/{}\"", wanted(pool.isolation).1);
            reader.error(&isolation, found, "`supervise`: CLIs of one's own are started by pilotfish", Some(hint));
        }
        return;
    };
    for (key, is_set, what) in [
        ("count", set.count.is_some(), "a number beside `isolation`"),
        ("clear_env", !set.clear_env, "false beside `isolation`: they get only `env` (with PATH and HOME)"),
    ] {
        let key = format!("{supervise}.{key}");
        if is_set && reader.is_set(&key) && reader.is_sound(&key) {
            let expected = "`max_instances` in `instances`, and no such key";
            let expected = if key.ends_with("count") { expected } else { "no such key" };
            reader.error(&key, what, expected, None);
        }
    }
    home(
        reader,
        &format!("{supervise}.home"),
        pool,
        set.home.as_ref().map(|home| (home.has("tenant"), home.has("user"))),
    );
}

fn wanted(isolation: Isolation) -> (&'static str, &'static str) {
    match isolation {
        Isolation::User => ("a path with {tenant} and {user} in it", "{tenant}/{user}"),
        _ => ("a path with {tenant} in it", "{tenant}"),
    }
}

/// Two that share a home would see each other's sessions.
fn home(reader: &mut Reader<'_>, key: &str, pool: &Pool, has: Option<(bool, bool)>) {
    let (expected, words) = wanted(pool.isolation);
    let hint = Some(format!("such as \"/var/lib/pilotfish/{words}\""));
    let right = match (pool.isolation, has) {
        (_, None) => {
            if reader.is_sound(key) {
                reader.error(key, "nothing", expected, hint);
            }
            return;
        }
        (Isolation::User, Some((tenant, user))) => tenant && user,
        (_, Some((tenant, user))) => tenant && !user,
    };
    if !right && reader.is_sound(key) {
        reader.error(key, "a path that is not each one's own", expected, hint);
    }
}

fn instances(reader: &mut Reader<'_>, path: &str, set: &Instances) {
    let key = |key: &str| format!("{path}.{key}");
    if set.warm_spares >= set.max_instances && set.warm_spares > 0 && reader.is_sound(&key("warm_spares")) {
        let found = format!("{} spares of {} in all", set.warm_spares, set.max_instances);
        reader.error(&key("warm_spares"), found, "fewer than `max_instances`", None);
    }
    let sources = [
        (set.token_file.is_some(), "token_file"),
        (!set.token_env.is_empty(), "token_env"),
        (set.token_command.is_some(), "token_command"),
    ];
    let given: Vec<_> = sources.iter().filter(|(given, _)| *given).map(|(_, name)| *name).collect();
    if let [_, second, ..] = given[..] {
        reader.error(&key(second), "a second source of tokens", format!("only one of {}", given.join(" and ")), None);
    }
    if set.token_required && given.is_empty() && reader.is_sound(&key("token_required")) {
        let expected = "one of token_file, token_env and token_command";
        reader.error(&key("token_required"), "true without a source of tokens", expected, None);
    }
    if let Some(range) = set.uid_range.filter(|_| reader.is_sound(&key("uid_range"))) {
        let ids = u64::from(range.last - range.first) + 1;
        if ids < u64::from(set.max_instances) {
            let found = format!("{ids} user ids for up to {} CLIs", set.max_instances);
            reader.error(&key("uid_range"), found, "one for each home that will ever be", None);
        }
    } else if set.gid.is_some() && reader.is_sound(&key("uid_range")) && reader.is_sound(&key("gid")) {
        reader.error(&key("gid"), "a group id without `uid_range`", "both of them, or none", None);
    }
}

/// A user id of two homes would be one user.
fn strangers(reader: &mut Reader<'_>, key: &str, range: IdRange, others: &[(String, IdRange)]) {
    let shared = |other: &IdRange| other.first <= range.last && range.first <= other.last;
    if let Some((other, _)) = others.iter().find(|(_, other)| shared(other)).filter(|_| reader.is_sound(key)) {
        let found = format!("a range that overlaps {other}");
        reader.error(key, found, "user ids of no other pool", Some("give each pool its own uid_range".to_owned()));
    }
}

/// Where each tenant has one, there is no user whose token it could be.
fn tokens(reader: &mut Reader<'_>, path: &str, pool: &Pool) {
    let set = &pool.instances;
    let named = [
        ("token_file", set.token_file.as_ref().is_some_and(|file| file.has("user"))),
        ("token_command", set.token_command.iter().flatten().any(|word| word.contains("{user}"))),
    ];
    for (key, named) in named.iter().filter(|(_, named)| *named && pool.isolation == Isolation::Tenant) {
        let key = format!("{path}.{key}");
        if reader.is_sound(&key) && *named {
            let hint = "set `isolation = \"user\"`, or leave {user} out".to_owned();
            reader.error(&key, "{user} in a pool in which each tenant has one CLI", "only {tenant}", Some(hint));
        }
    }
}

/// One that is due would have to be moved, and nobody takes its sessions.
fn recycling(reader: &mut Reader<'_>, path: &str) {
    for key in reader.set_under(&format!("{path}.recycle")) {
        let found = "a setting that would be ignored: CLIs of one's own are not recycled";
        let hint = "`idle_stop` in `instances` stops those that nobody uses".to_owned();
        reader.error(&key, found, "only settings that count", Some(hint));
    }
}

fn listened(file: &File, reader: &mut Reader<'_>, name: &str, isolation: Isolation) {
    for (path, listener) in listeners(file).filter(|(_, listener)| listener.pool == name) {
        let mode = format!("{path}.mode");
        if listener.mode == Mode::Connection && reader.is_sound(&mode) {
            let found = format!("\"connection\" for the pool {name}, in which everybody has a CLI of its own");
            reader.error(&mode, found, "mode \"session\": bytes do not say whose they are", None);
        }
        let tenant = format!("{path}.tenant");
        if isolation == Isolation::User && listener.tenant.is_some() && reader.is_sound(&tenant) {
            let found = "a tenant for all clients of a pool in which each user has its own CLI";
            reader.error(&tenant, found, "no such key", Some("a client that nobody asked is no user".to_owned()));
        }
    }
}

fn people(file: &File, reader: &mut Reader<'_>, name: &str, path: &str, pool: &Pool) {
    let isolation = format!("{path}.isolation");
    if file.tenants.is_empty() {
        let hint = "add [[tenant]] with name and tokens".to_owned();
        let found = format!("\"{}\" in a file without tenants", pool.isolation.as_str());
        reader.error(&isolation, found, "at least one [[tenant]]", Some(hint));
        return;
    }
    let key = format!("{path}.posture");
    if let Some(other) = posture(file, reader, name, pool).filter(|posture| *posture != Posture::Dedicated) {
        let found = format!("\"{}\" beside `isolation`", other.as_str());
        reader.error(&key, found, "\"dedicated\", or no such key", None);
    }
    let key = format!("{path}.tenant");
    if pool.tenant.is_some() && reader.is_sound(&key) {
        let found = "one tenant for a pool in which each has its own CLI";
        let hint = "`pools` of a tenant say which it may use".to_owned();
        reader.error(&key, found, "no such key", Some(hint));
    }
}
