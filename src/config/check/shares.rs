//! Shares: of sessions that are the tenant's own, with somebody whom the file knows.

use super::{known_tenant, tenants};
use crate::config::{
    kind::quote,
    reader::Reader,
    schema::{File, Tenant, Users},
};

pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    for (path, tenant) in tenants(file, reader) {
        for (index, share) in tenant.share.iter().enumerate() {
            let path = format!("{path}.share[{index}]");
            for (index, grantee) in share.with.iter().enumerate() {
                with(file, reader, &format!("{path}.with[{index}]"), tenant, grantee);
            }
            let before = tenant.share[..index].iter().position(|other| other.session == share.session);
            let key = format!("{path}.session");
            if let Some(first) = before.filter(|_| reader.is_sound(&key)) {
                let found = format!("{}, which is in share[{first}] too", quote(&share.session));
                reader.error(&key, found, "each session once", Some(format!("add to `with` of share[{first}]")));
            }
        }
    }
}

fn with(file: &File, reader: &mut Reader<'_>, key: &str, tenant: &Tenant, grantee: &str) {
    let name = grantee.split_once('/').map_or(grantee, |(name, _)| name);
    if !reader.is_sound(key) || !known_tenant(file, reader, key, name) {
        return;
    }
    if name == tenant.name && tenant.users == Users::Together {
        let found = format!("{}, who has the session anyway", quote(grantee));
        reader.warn(key, found, "another tenant, or `users = \"apart\"`", None);
    }
}
