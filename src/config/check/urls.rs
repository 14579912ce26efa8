//! Allow-lists of URLs: entries that add nothing.

use super::{pool_path, tenants};
use crate::config::{kind::quote, reader::Reader, schema::File};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (name, pool) in &file.pools {
        let path = format!("{}.guards", pool_path(name));
        list(reader, &format!("{path}.provider_urls"), &pool.guards.provider_urls);
        list(reader, &format!("{path}.mcp_urls"), &pool.guards.mcp_urls);
    }
    for (path, tenant) in tenants(file, reader) {
        list(reader, &format!("{path}.provider_urls"), &tenant.provider_urls);
        list(reader, &format!("{path}.mcp_urls"), &tenant.mcp_urls);
    }
}

fn list(reader: &mut Reader<'_>, path: &str, urls: &[String]) {
    for (index, url) in urls.iter().enumerate() {
        let key = format!("{path}[{index}]");
        if !reader.is_sound(&key) {
            continue;
        }
        // Of two alike the second one is told.
        let wider = |at: usize, other: &str| covers(other, url) && (at < index || !covers(url, other));
        let found = urls.iter().enumerate().find(|(at, other)| *at != index && wider(*at, other));
        if let Some((other, _)) = found.filter(|(other, _)| reader.is_sound(&format!("{path}[{other}]"))) {
            let found = format!("{}, which entry [{other}] allows already", quote(url));
            reader.warn(&key, found, "entries that do not overlap", None);
        }
    }
}

/// Whether whatever begins with `narrow` begins with `wide`, at the end of a host or of a part of the path.
fn covers(wide: &str, narrow: &str) -> bool {
    let rest = narrow.strip_prefix(wide);
    wide == "*" || rest.is_some_and(|rest| rest.is_empty() || wide.ends_with('/') || rest.starts_with('/'))
}
