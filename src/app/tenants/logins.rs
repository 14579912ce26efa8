//! A login for each listener whose pool is not open.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use super::keys::Keys;
use crate::{
    config::{Config, Isolation, Listener, Tenant},
    model::Identity,
    tenancy::{Certificates, Login, Tokens, Wall},
};

/// The logins by listener. The tokens are those of all tenants; a listener lets in only those of its pool.
pub(super) fn logins(
    config: &Config,
    walls: &BTreeMap<String, Arc<Wall>>,
    tokens: &Arc<ArcSwap<Tokens>>,
    keys: &BTreeMap<String, Keys>,
) -> BTreeMap<String, Arc<Login>> {
    let walled = config.listeners.iter().filter_map(|set| Some((set, walls.get(&set.pool)?)));
    let logins = walled.map(|(set, wall)| {
        let jwt = keys.get(&set.name).map(|keys| keys.shared().clone());
        let admits = wall.tenants().iter().map(|tenant| tenant.name.clone()).collect();
        let login = Login::new(tokens.clone(), jwt, default_tenant(set), admits);
        let (wall, isolation) =
            (wall.clone(), config.pools.get(&set.pool).map_or(Isolation::None, |pool| pool.isolation));
        let fits = move |who: &Identity| wall.admits(who) && has_place(who, isolation);
        (set.name.clone(), Arc::new(login.fitting(fits).knowing(certificates(config))))
    });
    logins.collect()
}

/// The names in certificates of all tenants.
fn certificates(config: &Config) -> Certificates {
    let names = |tenant: &Tenant| {
        let name: Arc<str> = tenant.name.as_str().into();
        tenant.certificates.clone().into_iter().map(move |certificate| (certificate, name.clone()))
    };
    Certificates::new(config.tenants.iter().flat_map(names))
}

/// The tenant that everybody is who comes to the listener, with the token for it, if there is one.
fn default_tenant(set: &Listener) -> Option<(Identity, Option<crate::model::Secret>)> {
    let tenant = set.tenant.as_ref()?;
    Some((Identity::of(tenant), set.connection_token.clone()))
}

/// Whoever has a CLI of its own has a home by its name: that must be a name, and nobody else's folder.
fn has_place(who: &Identity, isolation: Isolation) -> bool {
    match (isolation, &who.user) {
        (Isolation::None, _) => true,
        (Isolation::Tenant, _) => is_folder_name(&who.tenant),
        (Isolation::User, Some(user)) => is_folder_name(&who.tenant) && is_folder_name(user),
        (Isolation::User, None) => false,
    }
}

fn is_folder_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'@' | b'+');
    (1..=128).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_home_has_a_name_for_it() {
        let user = |name: &str| Identity { tenant: "corp".into(), user: Some(name.into()) };
        for right in ["ann", "ann@corp.example", "a.b-c_d+e", "7"] {
            assert!(has_place(&user(right), Isolation::User), "{right}");
        }
        for wrong in ["", ".", "..", "../bob", "a/b", "a\0", ".ssh", "-rf", "a b", "\u{e9}", &"x".repeat(129)] {
            assert!(!has_place(&user(wrong), Isolation::User), "{wrong:?}");
            assert!(has_place(&user(wrong), Isolation::None));
        }
        assert!(!has_place(&Identity::of("corp"), Isolation::User));
        assert!(has_place(&user("../bob"), Isolation::Tenant), "only the tenant counts");
    }
}
