//! What a Redis store is told.

use std::{path::PathBuf, time::Duration};

use crate::{model::Secret, store::Address};

/// How the addresses belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Each is the same data's; the first one that is a master is used.
    Single,
    /// They are Sentinels.
    Sentinel {
        /// The name under which they know the master.
        master: String,
    },
    /// They are nodes of a Cluster, some or all.
    Cluster,
}

/// TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// To every address; otherwise only to those with `rediss://`.
    pub everywhere: bool,
    /// Who may have signed the certificates, in PEM; without it those that the system trusts.
    pub authorities: Option<PathBuf>,
    /// Our own certificate and its key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What a Redis store is told.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// This proxy, unlike every other one.
    pub proxy: Box<str>,
    /// Where they listen; at least one.
    pub addresses: Vec<Address>,
    /// How they belong together.
    pub topology: Topology,
    /// The ACL user; without it the default one.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// The password of the Sentinels.
    pub sentinel_password: Option<Secret>,
    /// TLS; an address with `rediss://` has it without this, too, and trusts whom the system trusts.
    pub tls: Option<Tls>,
    /// The database.
    pub database: u32,
    /// What every key begins with.
    pub prefix: String,
    /// How long a hold lasts.
    pub ttl: Duration,
}
