//! Listeners: their names, their pools, and settings that their mode does not have.

use super::{listeners, posture};
use crate::config::{
    kind::quote,
    problem::nearest,
    reader::Reader,
    schema::{ClientAuth, File, Listener, Mode, Posture},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    if file.listeners.is_empty() && reader.is_sound("listener") {
        let hint = "add [[listener]] with name, bind and pool".to_owned();
        reader.error("listener", "nothing", "at least one listener", Some(hint));
    }
    names(file, reader);
    for (path, listener) in listeners(file) {
        pool(file, reader, &path, listener);
        mode(reader, &path, listener);
        exposure(file, reader, &path, listener);
    }
}

fn names(file: &File, reader: &mut Reader<'_>) {
    for (index, (path, listener)) in listeners(file).enumerate() {
        let key = format!("{path}.name");
        let first = file.listeners[..index].iter().position(|other| other.name == listener.name);
        if let Some(first) = first.filter(|_| reader.is_sound(&key)) {
            let found = format!("{}, which is the name of listener[{first}] too", quote(&listener.name));
            reader.error(&key, found, "a name of its own", None);
        }
    }
}

fn pool(file: &File, reader: &mut Reader<'_>, path: &str, listener: &Listener) {
    let key = format!("{path}.pool");
    if file.pools.contains_key(&listener.pool) || !reader.is_sound(&key) || !reader.is_sound("pool") {
        return;
    }
    let pools: Vec<&str> = file.pools.keys().map(String::as_str).collect();
    let expected = match pools.as_slice() {
        [] => "a pool of this file, which has none".to_owned(),
        names => format!("one of the pools {}", names.join(", ")),
    };
    let near = nearest(&listener.pool, pools.iter().copied()).map(|name| format!("did you mean `{name}`?"));
    let hint = near.unwrap_or_else(|| format!("add [pool.{}]", listener.pool));
    reader.error(&key, format!("{}, which is no pool", quote(&listener.pool)), expected, Some(hint));
}

/// A setting of the other mode would be ignored, and an operator would trust in it.
fn mode(reader: &mut Reader<'_>, path: &str, listener: &Listener) {
    if !reader.is_sound(&format!("{path}.mode")) {
        return;
    }
    let (mut foreign, other) = match listener.mode {
        Mode::Session => (reader.set_under(&format!("{path}.connection")), Mode::Connection),
        Mode::Connection => (reader.set_under(&format!("{path}.session")), Mode::Session),
    };
    if listener.mode == Mode::Connection {
        let logins = ["connection_token", "jwt"].map(|key| format!("{path}.{key}"));
        foreign.extend(logins.into_iter().filter(|key| reader.is_set(key)));
    }
    for key in foreign {
        let found = format!("a setting of mode \"{}\"", other.as_str());
        let expected = format!("only settings of this listener's mode, \"{}\"", listener.mode.as_str());
        reader.error(&key, found, expected, Some("leave it out, or change `mode`".to_owned()));
    }
}

/// In mode "connection" the backends themselves ask for their token, so there is nothing to advise.
fn exposure(file: &File, reader: &mut Reader<'_>, path: &str, listener: &Listener) {
    let key = format!("{path}.bind");
    let certified = listener.tls.as_ref().is_some_and(|tls| tls.client_auth() == ClientAuth::Required);
    let token = reader.is_set(&format!("{path}.connection_token"));
    let asks = token || certified || tenants_log_in(file, reader, listener);
    if listener.mode == Mode::Session && !asks && reader.is_sound(&key) && !listener.bind.is_local() {
        let found = format!("{}, which other machines reach, and no connection_token", listener.bind);
        let hint = match &listener.tenant {
            Some(tenant) => format!("every client is tenant {tenant}"),
            None => "every client can read and delete every session".to_owned(),
        };
        reader.warn(&key, found, "a `connection_token`, or a loopback address", Some(hint));
    }
}

fn tenants_log_in(file: &File, reader: &Reader<'_>, listener: &Listener) -> bool {
    let pool = file.pools.get(&listener.pool);
    let open = pool.is_some_and(|pool| posture(file, reader, &listener.pool, pool) == Some(Posture::Open));
    listener.tenant.is_none() && pool.is_some() && !open
}
