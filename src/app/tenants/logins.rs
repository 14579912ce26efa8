//! A login for each listener whose pool is not open.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use super::keys::Keys;
use crate::{
    config::{Config, Listener},
    model::Identity,
    tenancy::{Login, Tokens, Wall},
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
        let wall = wall.clone();
        (set.name.clone(), Arc::new(login.fitting(move |who| wall.admits(who))))
    });
    logins.collect()
}

/// The tenant that everybody is who comes to the listener, with the token for it, if there is one.
fn default_tenant(set: &Listener) -> Option<(Identity, Option<crate::model::Secret>)> {
    let tenant = set.tenant.as_ref()?;
    Some((Identity::of(tenant), set.connection_token.clone()))
}
