//! The tables of the file. Each key is declared here and nowhere else.

mod cleanup;
mod discovery;
mod health;
mod instances;
mod jwt;
mod listener;
mod pool;
mod process;
mod recycle;
mod sessions;
mod store;
mod supervise;
mod tenant;
mod tls;
mod wall;

pub use cleanup::Cleanup;
pub(super) use discovery::BackendsFile;
pub use discovery::{Discovery, Records};
pub use health::{Health, OnDown, ProtocolRange};
pub use instances::{InstanceLimits, Instances, Isolation};
pub use jwt::{Algorithm, Jwt};
pub use listener::{ConnectionSettings, Listener, Mode, ProxyProtocol, SessionSettings, Timeouts};
pub use pool::{Backend, HashKey, OnClientLoss, Policy, Pool, StartState, Storage};
pub use process::{Admin, Log, LogFormat, Runtime, Shutdown};
pub use recycle::Recycle;
pub use sessions::{Evict, Lock, Sessions};
pub use store::{OnStoreLoss, Store, StoreKind, StoreTopology};
pub use supervise::{RestartBackoff, Supervise};
pub(super) use tenant::admitted;
pub use tenant::{Limits, Share, Tenant, Users};
pub use tls::{BackendTls, ClientAuth, ListenerTls};
pub use wall::{FreeIds, Guards, MethodRules, Posture, SessionIds};

use std::{collections::BTreeMap, time::Duration};

use super::{
    kind::{list_of, map_of, table},
    section::section,
};

section! {
    /// The whole file.
    pub struct File {
        /// The process itself.
        pub runtime: Runtime = table::<Runtime>(), value("{}");
        /// What pilotfish says of itself.
        pub log: Log = table::<Log>(), value("{}");
        /// Health, metrics and status for operators.
        pub admin: Admin = table::<Admin>(), value("{}");
        /// What happens between SIGTERM and the end.
        pub shutdown: Shutdown = table::<Shutdown>(), value("{}");
        /// What several pilotfishes share.
        pub store: Store = table::<Store>(), value("{}");
        /// Where clients connect.
        pub listeners as "listener": Vec<Listener> = list_of::<Listener>(), value("[]");
        /// Who serves them.
        pub pools as "pool": BTreeMap<String, Pool> = map_of::<Pool>(), value("{}");
        /// Who shares the pools.
        pub tenants as "tenant": Vec<Tenant> = list_of::<Tenant>(), value("[]");
    }
}

const ZERO: Duration = Duration::ZERO;
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3600);

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
