//! The store: keys that need or exclude each other.

use crate::{
    config::{
        kind::quote,
        reader::Reader,
        schema::{File, Store, StoreKind, StoreTopology},
    },
    store::Address,
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    let store = &file.store;
    if !reader.is_sound("store") || !reader.is_sound("store.kind") {
        return;
    }
    if store.kind == StoreKind::Memory {
        return unused(reader);
    }
    addresses(store, reader);
    topology(store, reader);
    tls(store, reader);
}

/// Without Redis nobody looks at these.
fn unused(reader: &mut Reader<'_>) {
    for key in reader.set_under("store") {
        if key != "store.kind" && key != "store" {
            let hint = "the store is in memory: add kind = \"redis\"".to_owned();
            reader.warn(&key, "a key that is not used", "only `kind`", Some(hint));
        }
    }
}

fn addresses(store: &Store, reader: &mut Reader<'_>) {
    if store.addresses.is_empty() {
        reader.error("store.addresses", "an array of 0", "at least one address", None);
    }
    for (index, address) in store.addresses.iter().enumerate() {
        let key = format!("store.addresses[{index}]");
        let socket = matches!(address, Address::Unix(_)) && store.topology != StoreTopology::Single;
        if socket && reader.is_sound(&key) && reader.is_sound("store.topology") {
            reader.error(&key, quote(&address.to_string()), "a host and a port, from which others are told", None);
        }
    }
}

fn topology(store: &Store, reader: &mut Reader<'_>) {
    if !reader.is_sound("store.topology") {
        return;
    }
    if store.topology == StoreTopology::Cluster && store.database != 0 && reader.is_sound("store.database") {
        reader.error("store.database", format!("integer {}", store.database), "0: a Cluster has no other one", None);
    }
    for key in ["store.master", "store.sentinel_password"] {
        if store.topology != StoreTopology::Sentinel && reader.is_set(key) && reader.is_sound(key) {
            let hint = "it is for topology = \"sentinel\"".to_owned();
            reader.warn(key, "a key that is not used", "none without Sentinels", Some(hint));
        }
    }
}

fn tls(store: &Store, reader: &mut Reader<'_>) {
    let pair = [("tls_cert", store.tls_cert.is_some(), "tls_key"), ("tls_key", store.tls_key.is_some(), "tls_cert")];
    for (name, set, other) in pair {
        let (key, other_key) = (format!("store.{name}"), format!("store.{other}"));
        if set && !reader.is_set(&other_key) && reader.is_sound(&key) {
            reader.error(&key, format!("no `{other}` beside it"), format!("`{name}` and `{other}`, or neither"), None);
        }
    }
    let spoken = store.tls || store.addresses.iter().any(Address::is_tls);
    for name in ["tls_ca", "tls_cert", "tls_key"] {
        let key = format!("store.{name}");
        if !spoken && reader.is_set(&key) && reader.is_sound(&key) && reader.is_sound("store.tls") {
            reader.error(&key, "a file for TLS", "tls = true beside it", None);
        }
    }
}
