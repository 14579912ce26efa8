//! TLS on listeners and towards backends, from files that are watched.

use std::{collections::BTreeMap, sync::Arc};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::AppError;
use crate::{
    backend::{
        Dialer,
        tls::{self, ClientFiles, ClientTls, Refresh, ServerFiles, ServerTls},
    },
    config::{self, Config},
    tls::ClientAuth,
};

/// The certificates of the whole proxy.
pub(super) struct Certificates {
    listeners: BTreeMap<String, ServerTls>,
    pools: BTreeMap<String, ClientTls>,
}

impl Certificates {
    /// Reads all files, and looks at them on `tracker` until `cancel`.
    pub(super) fn start(config: &Config, tracker: &TaskTracker, cancel: &CancellationToken) -> Result<Self, AppError> {
        let (mut listeners, mut pools) = (BTreeMap::new(), BTreeMap::new());
        for (set, files) in config.listeners.iter().filter_map(|set| Some((set, set.tls.as_ref()?))) {
            let what = format!("listener `{}`", set.name);
            let opened = ServerTls::open(what.clone(), of_listener(files));
            listeners.insert(set.name.clone(), opened.map_err(|source| AppError::Certificates { what, source })?);
        }
        for (name, files) in config.pools.iter().filter_map(|(name, pool)| Some((name, pool.tls.as_ref()?))) {
            let what = format!("pool `{name}`");
            let opened = ClientTls::open(what.clone(), of_pool(files));
            pools.insert(name.clone(), opened.map_err(|source| AppError::Certificates { what, source })?);
        }
        let all: Vec<Arc<dyn Refresh>> =
            listeners.values().map(ServerTls::refresh).chain(pools.values().map(ClientTls::refresh)).collect();
        tls::keep(all, tracker, cancel);
        Ok(Self { listeners, pools })
    }

    /// TLS of a listener, if it has any.
    pub(super) fn of_listener(&self, name: &str) -> Option<ServerTls> {
        self.listeners.get(name).cloned()
    }

    /// How the backends of a pool are reached.
    pub(super) fn dialer(&self, pool: &str) -> Dialer {
        self.pools.get(pool).cloned().map(Dialer::with_tls).unwrap_or_default()
    }
}

fn of_listener(set: &config::ListenerTls) -> ServerFiles {
    ServerFiles {
        certificate: set.cert.clone(),
        key: set.key.clone(),
        client_authorities: set.client_ca.clone(),
        client_auth: match set.client_auth() {
            config::ClientAuth::Off => ClientAuth::Off,
            config::ClientAuth::Optional => ClientAuth::Optional,
            config::ClientAuth::Required => ClientAuth::Required,
        },
    }
}

fn of_pool(set: &config::BackendTls) -> ClientFiles {
    ClientFiles {
        authorities: set.ca.clone(),
        identity: set.cert.clone().zip(set.key.clone()),
        server_name: set.server_name.clone(),
    }
}
