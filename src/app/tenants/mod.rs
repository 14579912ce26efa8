//! From the config to the wall between tenants: a wall for each pool, a login for each listener, and the files that both of
//! them watch.
//!
//! # Layout
//! - `walls`: the walls; `logins`: who may come in where.
//! - `tokens`: the tokens of all tenants; `keys`: the keys of one listener's JWTs. Both can be refreshed from their files.
//! - `watch`: the task that does so.

mod keys;
mod logins;
#[cfg(test)]
mod tests;
mod tokens;
mod walls;
mod watch;

use std::{collections::BTreeMap, sync::Arc};

use thiserror::Error;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{keys::Keys, tokens::TokenRing, watch::Watched};
use crate::{
    config::{Config, Mode, Posture},
    serve::session::Lobby,
    tenancy::{JwtError, Login, Patience, Wall},
};

/// Why there is no wall. The config was checked, so only a file that changed since then can be the reason.
#[derive(Debug, Error)]
pub enum TenantsError {
    /// The keys of a listener's JWTs.
    #[error("listener `{listener}`: the keys of JWTs cannot be used: {source}")]
    Keys {
        /// The listener.
        listener: String,
        /// What is wrong with them.
        source: JwtError,
    },
}

/// The walls and logins of the whole proxy.
pub(super) struct Tenants {
    walls: BTreeMap<String, Arc<Wall>>,
    logins: BTreeMap<String, Arc<Login>>,
    patience: Arc<Patience>,
    lobby: Arc<Lobby>,
}

impl Tenants {
    /// Builds all of it, and keeps tokens and keys fresh on `tracker` until `cancel`.
    pub(super) fn start(
        config: &Config,
        tracker: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Result<Self, TenantsError> {
        let walls = walls::walls(config);
        let tokens = TokenRing::new(config);
        let keys = keys_of(config)?;
        let logins = logins::logins(config, &walls, tokens.shared(), &keys);
        watch::spawn(Watched { tokens, keys: keys.into_values().collect() }, tracker, cancel);
        warn_of_open_pools(config);
        Ok(Self { walls, logins, patience: Arc::default(), lobby: Arc::default() })
    }

    /// The wall of a pool; `None` where it is open.
    pub(super) fn wall(&self, pool: &str) -> Option<Arc<Wall>> {
        self.walls.get(pool).cloned()
    }

    /// How clients of a listener say who they are; `None` where its pool is open.
    pub(super) fn login(&self, listener: &str) -> Option<Arc<Login>> {
        self.logins.get(listener).cloned()
    }

    /// All walls, by pool.
    pub(super) fn walls(&self) -> &BTreeMap<String, Arc<Wall>> {
        &self.walls
    }

    /// Clients of every listener that have not said who they are.
    pub(super) fn lobby(&self) -> Arc<Lobby> {
        self.lobby.clone()
    }

    /// What addresses did that showed wrong tokens, at whichever listener.
    pub(super) fn patience(&self) -> Arc<Patience> {
        self.patience.clone()
    }
}

/// The keys of JWTs by listener.
fn keys_of(config: &Config) -> Result<BTreeMap<String, Keys>, TenantsError> {
    let mut all = BTreeMap::new();
    for listener in &config.listeners {
        let Some(jwt) = &listener.jwt else { continue };
        let keys = Keys::new(&listener.name, jwt);
        let keys = keys.map_err(|source| TenantsError::Keys { listener: listener.name.clone(), source })?;
        all.extend(keys.map(|keys| (listener.name.clone(), keys)));
    }
    Ok(all)
}

/// In an open pool whoever comes in has everything: right for one application, and wrong for all else.
fn warn_of_open_pools(config: &Config) {
    for (name, pool) in &config.pools {
        let reached = config.listeners.iter().any(|set| set.pool == *name && set.mode == Mode::Session);
        if reached && config.posture(pool) == Posture::Open {
            tracing::warn!(
                pool = name,
                "one trusted application: every client may do everything with every session; [[tenant]] makes a wall"
            );
        }
    }
}
