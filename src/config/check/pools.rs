//! Pools: their members, and settings that only make sense together.

use super::{listeners, pool_path};
use crate::config::{
    kind::quote,
    reader::Reader,
    schema::{Backend, File, HashKey, Health, Mode, Policy, Pool, Storage},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (name, pool) in &file.pools {
        let path = pool_path(name);
        if !reader.is_sound(&path) {
            continue;
        }
        members(reader, &path, pool);
        if !pool.backends.is_empty() {
            backends(reader, &format!("{path}.backends"), &pool.backends);
        }
        storage(reader, &path, pool, &users(file, name));
        health(reader, &format!("{path}.health"), &pool.health);
        use_of(file, reader, name, pool);
    }
}

fn members(reader: &mut Reader<'_>, path: &str, pool: &Pool) {
    let keys = ["backends", "discovery", "supervise"];
    if keys.iter().any(|key| !reader.is_sound(&format!("{path}.{key}"))) {
        return;
    }
    let set = [!pool.backends.is_empty(), pool.discovery.is_some(), pool.supervise.is_some()];
    let set: Vec<&str> = keys.into_iter().zip(set).filter(|(_, set)| *set).map(|(key, _)| key).collect();
    match set[..] {
        [] => {
            let hint = "add `backends = [ { name = \"cli-1\", address = \"host:4321\" } ]`".to_owned();
            reader.error(path, "neither backends nor discovery nor supervise", "one of them", Some(hint));
        }
        [_] => {}
        [first, .., last] => {
            reader.error(&format!("{path}.{last}"), format!("both {first} and {last}"), "one of them", None);
        }
    }
}

/// The backends of the array at `path`.
pub(in crate::config) fn backends(reader: &mut Reader<'_>, path: &str, all: &[Backend]) {
    if !all.is_empty() && all.iter().all(Backend::drains) {
        reader.warn(path, "only backends that start in drain", "one that takes sessions", None);
    }
    let array = path.rsplit('.').next().unwrap_or(path);
    for (index, backend) in all.iter().enumerate() {
        state(reader, &format!("{path}[{index}]"), backend);
        let before = &all[..index];
        let name = format!("{path}[{index}].name");
        let same = before.iter().position(|other| other.name == backend.name);
        if let Some(first) = same.filter(|_| reader.is_sound(&name)) {
            let found = format!("{}, which is the name of {array}[{first}] too", quote(&backend.name));
            reader.error(&name, found, "a name of its own in the pool", None);
        }
        let address = format!("{path}[{index}].address");
        let same = before.iter().position(|other| other.address == backend.address);
        if let Some(first) = same.filter(|_| reader.is_sound(&address)) {
            let found = format!("{}, which is the address of {array}[{first}] too", backend.address);
            reader.warn(&address, found, "an address of its own", Some("one server would count twice".to_owned()));
        }
    }
}

/// Two keys for one thing have to say the same.
fn state(reader: &mut Reader<'_>, path: &str, backend: &Backend) {
    let (state, drain) = (format!("{path}.state"), format!("{path}.drain"));
    let sound = reader.is_sound(&state) && reader.is_sound(&drain) && reader.is_set(&drain);
    if sound && backend.state.is_some() && backend.drains() != backend.drain {
        let word = if backend.drains() { "drain" } else { "ready" };
        let hint = "`state` says all that `drain` says".to_owned();
        let found = format!("{} beside `drain = {}`", quote(word), backend.drain);
        reader.error(&state, found, "one of them", Some(hint));
    }
}

/// "shared" for local disks loses sessions when the pool changes, "local" for a shared one makes needless searches:
/// nothing that we should guess. A pool that only moves bytes has no sessions to lose.
fn storage(reader: &mut Reader<'_>, path: &str, pool: &Pool, users: &[Mode]) {
    let key = format!("{path}.storage");
    let matters =
        (pool.backends.len() > 1 || pool.discovery.is_some()) && (users.is_empty() || users.contains(&Mode::Session));
    if pool.storage.is_none() && matters && reader.is_sound(&key) {
        let hint = "\"shared\" if they have one COPILOT_HOME, \"local\" if each has its own".to_owned();
        reader.error(&key, "nothing", "\"shared\" or \"local\" for more than one backend", Some(hint));
    }
    if pool.storage == Some(Storage::Local) && pool.supervise.is_some() {
        reader.error(&key, "\"local\"", "\"shared\": supervised CLIs have one COPILOT_HOME", None);
    }
}

fn health(reader: &mut Reader<'_>, path: &str, health: &Health) {
    let (interval, timeout) = (format!("{path}.interval"), format!("{path}.timeout"));
    if reader.is_sound(&interval) && reader.is_sound(&timeout) && health.timeout > health.interval {
        let found = format!("{:?}, longer than the interval of {:?}", health.timeout, health.interval);
        reader.warn(&timeout, found, "a timeout within the interval", Some("a hung backend is found later".to_owned()));
    }
    let (min, max) = (format!("{path}.protocol_version.min"), format!("{path}.protocol_version.max"));
    let (low, high) = (health.protocol_version.min, health.protocol_version.max);
    if reader.is_sound(&min) && reader.is_sound(&max) && low > high {
        let key = if reader.is_set(&min) { &min } else { &max };
        reader.error(key, format!("versions from {low} to {high}"), "min not above max", None);
    }
}

/// The modes of the listeners that use the pool.
fn users(file: &File, pool: &str) -> Vec<Mode> {
    listeners(file).filter(|(_, listener)| listener.pool == pool).map(|(_, listener)| listener.mode).collect()
}

fn use_of(file: &File, reader: &mut Reader<'_>, name: &str, pool: &Pool) {
    let users = users(file, name);
    let path = pool_path(name);
    let unsure = listeners(file).any(|(listener, _)| !reader.is_sound(&format!("{listener}.pool")));
    if users.is_empty() && !unsure && reader.is_sound("listener") {
        reader.warn(&path, "a pool that no listener uses", "a listener with it", None);
    }
    let key = format!("{path}.hash_key");
    let by_session = pool.policy == Policy::ConsistentHash && pool.hash_key == HashKey::Session;
    if by_session && reader.is_set(&key) && users.contains(&Mode::Connection) {
        let found = "\"session\" in a pool of a listener with mode \"connection\"";
        reader.warn(&key, found, "\"client-address\", which is what that listener uses", None);
    }
}
