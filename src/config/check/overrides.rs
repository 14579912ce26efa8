//! `methods.allow` and `methods.deny`: names that exist, and what an operator lets in with them.

use super::{admitted_with_paths, pool_path, posture, tenants};
use crate::{
    config::{
        kind::quote,
        problem::nearest,
        reader::Reader,
        schema::{File, MethodRules, Posture, Tenant},
    },
    wire::{Method, Methods},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (name, pool) in &file.pools {
        let shared = posture(file, reader, name, pool) == Some(Posture::Tenants);
        rules(reader, &format!("{}.methods", pool_path(name)), &pool.methods, shared);
    }
    for (path, tenant) in tenants(file, reader) {
        rules(reader, &format!("{path}.methods"), &tenant.methods, shares_a_pool(file, reader, tenant));
    }
}

/// Where others are in the pool, what a tenant may do to the process concerns them.
fn shares_a_pool(file: &File, reader: &Reader<'_>, tenant: &Tenant) -> bool {
    let mut shared =
        file.pools.iter().filter(|(name, pool)| posture(file, reader, name, pool) == Some(Posture::Tenants));
    shared.any(|(name, pool)| {
        admitted_with_paths(file, reader, name, pool).iter().any(|(_, other)| std::ptr::eq(*other, tenant))
    })
}

fn rules(reader: &mut Reader<'_>, path: &str, rules: &MethodRules, shared: bool) {
    let lists = [("allow", &rules.allow), ("deny", &rules.deny)];
    for (list, patterns) in lists {
        for (index, pattern) in patterns.iter().enumerate() {
            let key = format!("{path}.{list}[{index}]");
            if !reader.is_sound(&key) {
                continue;
            }
            let met = met(pattern);
            if met.is_empty() {
                unknown(reader, &key, pattern);
            } else if list == "allow" && rules.deny.contains(pattern) {
                reader.warn(&key, format!("{}, which `deny` has too", quote(pattern)), "one of them", None);
            } else if list == "allow" && shared {
                dangers(reader, &key, pattern, &met);
            }
        }
    }
}

/// The methods that a pattern means.
fn met(pattern: &str) -> Vec<&'static Method> {
    let table = Methods::get();
    let rows = table.names().into_iter().skip(1).map(|name| table.row(table.find(name)));
    let means = |name: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    };
    rows.filter(|row| means(&row.name)).collect()
}

/// Only a warning: a newer CLI may have it.
fn unknown(reader: &mut Reader<'_>, key: &str, pattern: &str) {
    let names = Methods::get().names();
    let near = match pattern.strip_suffix(".*") {
        None => nearest(pattern, names.into_iter().skip(1)).map(str::to_owned),
        Some(start) => {
            let parts = start.split('.').count();
            let starts = names.into_iter().skip(1).filter_map(|name| beginning(name, parts));
            nearest(start, starts).map(|start| format!("{start}.*"))
        }
    };
    let hint = near.map(|near| format!("did you mean `{near}`?"));
    let found = format!("{}, which is no method that pilotfish knows", quote(pattern));
    reader.warn(key, found, "a method of the Copilot CLI", hint);
}

/// The first `parts` parts of a longer name.
fn beginning(name: &str, parts: usize) -> Option<&str> {
    let end = name.match_indices('.').nth(parts.checked_sub(1)?).map(|(at, _)| at)?;
    Some(&name[..end])
}

/// What the table denies in a shared pool is denied for the others' sake.
fn dangers(reader: &mut Reader<'_>, key: &str, pattern: &str, met: &[&Method]) {
    let denied: Vec<&Method> = met.iter().copied().filter(|row| row.shared == "deny").collect();
    let Some((first, danger)) = denied.iter().find_map(|row| Some((row, danger(&row.class)?))) else { return };
    let named = match (first.name == pattern, denied.len()) {
        (true, _) => String::new(),
        (false, 1) => format!(" ({})", first.name),
        (false, count) => format!(" ({} and {} more)", first.name, count - 1),
    };
    let found = format!("{}{named} in a pool that tenants share: {danger}", quote(pattern));
    reader.warn(key, found, "a dedicated pool for whoever needs it", None);
}

/// What goes wrong among tenants with a denied method of `class`; `None` for those that do no harm.
fn danger(class: &str) -> Option<&'static str> {
    Some(match class {
        "protocol" => return None,
        "process_control" => "it ends or starts processes for all of them",
        "provider_takeover" => "it serves the whole process, with the prompts and keys of all of them",
        "provider_reply" => "it answers calls of the whole process",
        "global_mutating" => "it changes what all of them have",
        "global_read" | "global_read_sensitive" => "it reads what belongs to the whole process",
        "session_host" => "it acts on the backend's host, as the user of all sessions",
        "session_internal" => "it is the runtime's own and nobody checks it",
        "session_bulk_implicit" => "it acts on sessions of all of them",
        _ => "it does not stay within a session",
    })
}
