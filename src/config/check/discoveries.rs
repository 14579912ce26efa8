//! Discovery: one source, and only keys that go with it.

use super::pool_path;
use crate::config::{
    backends_file,
    reader::Reader,
    schema::{Discovery, File, Records},
};

/// Keys of name servers only.
const DNS_KEYS: [&str; 8] =
    ["port", "records", "resolvers", "min_ttl", "max_ttl", "timeout", "removal_delay", "weight"];

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (name, pool) in &file.pools {
        let path = format!("{}.discovery", pool_path(name));
        if let Some(discovery) = pool.discovery.as_ref().filter(|_| reader.is_sound(&path)) {
            source(reader, &path, discovery);
        }
    }
}

fn source(reader: &mut Reader<'_>, path: &str, set: &Discovery) {
    let key = |name: &str| format!("{path}.{name}");
    if !reader.is_sound(&key("dns")) || !reader.is_sound(&key("file")) {
        return;
    }
    match (&set.dns, &set.file) {
        (None, None) => {
            let hint = "add `dns = \"copilot-cli.default.svc\"` and `port = 4321`".to_owned();
            reader.error(path, "neither dns nor file", "one of them", Some(hint));
        }
        (Some(_), Some(_)) => reader.error(&key("file"), "both dns and file", "one of them", None),
        (Some(_), None) => port(reader, path, set),
        (None, Some(file)) => {
            for key in DNS_KEYS.map(key) {
                if reader.is_set(&key) {
                    reader.error(&key, "a key of `dns` beside `file`", "only `file` and `keep_empty`", None);
                }
            }
            // It may be written later, so it is no reason to refuse this file.
            if let Err(wrong) = backends_file(file) {
                let hint = "until it is right the pool has no backend".to_owned();
                reader.warn(&key("file"), wrong.to_string(), "a file of backends", Some(hint));
            }
        }
    }
    let (min, max) = (key("min_ttl"), key("max_ttl"));
    if set.min_ttl > set.max_ttl && reader.is_sound(&min) && reader.is_sound(&max) {
        let at = if reader.is_set(&min) { &min } else { &max };
        let found = format!("{:?}, with a max_ttl of {:?}", set.min_ttl, set.max_ttl);
        reader.error(at, found, "min_ttl not above max_ttl", None);
    }
}

fn port(reader: &mut Reader<'_>, path: &str, set: &Discovery) {
    let (port, records) = (format!("{path}.port"), format!("{path}.records"));
    if !reader.is_sound(&port) || !reader.is_sound(&records) {
        return;
    }
    match (set.records(), set.port) {
        (Records::A, None) => {
            let hint = "add `port = 4321`, or ask for SRV records".to_owned();
            reader.error(path, "no port beside `dns`", "the port of the backends", Some(hint));
        }
        (Records::Srv, Some(_)) => {
            reader.error(&port, "a port beside SRV records", "none: the records say it", None);
        }
        _ => {}
    }
}
