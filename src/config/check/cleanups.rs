//! Clean-up: keys that do nothing by themselves.

use super::pool_path;
use crate::config::{reader::Reader, schema::File};

/// What is said without a `ttl` is never looked at.
const KEYS: [&str; 4] = ["interval", "dry_run", "exclude", "rate"];

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (name, _) in file.pools.iter().filter(|(_, pool)| pool.cleanup.ttl.is_none()) {
        let table = format!("{}.cleanup", pool_path(name));
        let ttl = format!("{table}.ttl");
        if !reader.is_sound(&table) || !reader.is_sound(&ttl) {
            continue;
        }
        for key in KEYS.map(|key| format!("{table}.{key}")) {
            if reader.is_set(&key) {
                let hint = "nothing is deleted without a ttl".to_owned();
                reader.warn(&key, "a clean-up without a `ttl`", "a `ttl` such as \"30d\"", Some(hint));
                break;
            }
        }
    }
}
