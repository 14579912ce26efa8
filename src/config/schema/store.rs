//! `[store]`: what several pilotfishes share.

use std::{path::PathBuf, time::Duration};

use super::ms;
use crate::{
    config::{
        kind::{
            choice, count, duration, key_prefix, line, list, one_of, optional, path, secret, store_address, switch,
        },
        section::section,
    },
    model::Secret,
    store::Address,
};

section! {
    /// What several pilotfishes before the same backends share: where a session is live, whose it is, whose turn it is. The keys
    /// but `kind` are for Redis. Its user may run scripts, INFO and SUBSCRIBE, on the keys and channels of `prefix`.
    pub struct Store {
        /// Where it is kept.
        pub kind: StoreKind = one_of::<StoreKind>(), text("memory");
        /// Where Redis or Valkey listens: of "single" the first that is a master, of "sentinel" the Sentinels, of "cluster" some nodes.
        pub addresses: Vec<Address> = list(store_address()), value("[\"127.0.0.1:6379\"]");
        /// How the addresses belong together.
        pub topology: StoreTopology = one_of::<StoreTopology>(), text("single");
        /// The name under which the Sentinels know the master.
        pub master: String = line(), text("pilotfish");
        /// The ACL user. Without it: the default one.
        pub username: Option<String> = optional(line()), absent("\"pilotfish\"");
        /// The user's password.
        pub password: Option<Secret> = optional(secret()), absent("{ env = \"PILOTFISH_REDIS_PASSWORD\" }");
        /// The password of the Sentinels.
        pub sentinel_password: Option<Secret> = optional(secret()), absent("{ env = \"PILOTFISH_SENTINEL_PASSWORD\" }");
        /// Whether all addresses speak TLS; one that begins with rediss:// does anyway.
        pub tls: bool = switch(), value("false");
        /// Who may have signed their certificates, in PEM. Without it: those that the system trusts.
        pub tls_ca: Option<PathBuf> = optional(path()), absent("\"/etc/pilotfish/redis-ca.pem\"");
        /// Our own certificate in PEM, where they ask for one.
        pub tls_cert: Option<PathBuf> = optional(path()), absent("\"/etc/pilotfish/redis.pem\"");
        /// Its key in PEM.
        pub tls_key: Option<PathBuf> = optional(path()), absent("\"/run/secrets/redis-key.pem\"");
        /// The database.
        pub database: u32 = count::<u32>(0, 10_000), value("0");
        /// What every key begins with. Pilotfishes that share have the same one, others another one.
        pub prefix: String = key_prefix(), text("pilotfish:");
        /// How long a hold lasts; it is renewed at a third of this. Others get the sessions of a pilotfish that died after so long.
        pub ttl: Duration = duration(ms(300), ms(600_000)), text("15s");
        /// What happens while Redis is away. Live sessions go on in any case.
        pub on_store_loss: OnStoreLoss = one_of::<OnStoreLoss>(), text("refuse-new");
    }
}

choice! {
    /// Where it is kept.
    pub enum StoreKind {
        /// in this process: for one pilotfish
        Memory = "memory",
        /// in Redis: for several
        Redis = "redis",
    }
}

choice! {
    /// How the addresses belong together.
    pub enum StoreTopology {
        /// one Redis, or several of which one is the master
        Single = "single",
        /// Sentinels that know the master
        Sentinel = "sentinel",
        /// nodes of a Cluster
        Cluster = "cluster",
    }
}

choice! {
    /// What happens while Redis is away.
    pub enum OnStoreLoss {
        /// sessions are not opened and locks not taken: those calls get an error (-32016)
        RefuseNew = "refuse-new",
        /// a session is opened where the hash says, and nobody locks: two may write to one session
        HashOnly = "hash-only",
    }
}
