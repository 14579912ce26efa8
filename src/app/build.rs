//! Config values into the settings of each component. Nothing below this folder reads the config.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use super::{
    cleanup::CleanupSettings, instances::InstancesSettings, operations::OperationsSettings, recycle::RecycleSettings,
};
use crate::{
    backend::{Dialer, ErrandSettings, probe::ProbeSettings},
    config,
    health::{Thresholds, WearLimits},
    pool::{HashKey, Policy, PoolSettings, Storage},
    route::MoverSettings,
    serve::{
        connection::{ConnectionSettings, Patience, ProxyProtocol},
        session::{LockPolicy, SessionSettings},
    },
    session::{
        Evict, OnLoss, RoomSettings,
        expiry::{Ephemeral, Expiry, Patterns},
    },
    store::{self, RedisSettings, Tls, Topology},
    supervise::{EnvValue, Hook, Ports, Redactor, SuperviseSettings},
    telemetry::logs,
    tenancy::Wall,
    wire::Methods,
};

/// Shorter values of a supervised CLI's environment are flags and numbers; striking those out would make its log unreadable.
const SHORTEST_SECRET: usize = 8;

pub(super) fn log_format(format: config::LogFormat) -> logs::Format {
    match format {
        config::LogFormat::Text => logs::Format::Text,
        config::LogFormat::Json => logs::Format::Json,
    }
}

/// `None` if nobody shares anything.
pub(super) fn store(set: &config::Store, proxy: &str) -> Option<RedisSettings> {
    if set.kind == config::StoreKind::Memory {
        return None;
    }
    let spoken = set.tls || set.addresses.iter().any(store::Address::is_tls);
    Some(RedisSettings {
        proxy: proxy.into(),
        addresses: set.addresses.clone(),
        topology: match set.topology {
            config::StoreTopology::Single => Topology::Single,
            config::StoreTopology::Sentinel => Topology::Sentinel { master: set.master.clone() },
            config::StoreTopology::Cluster => Topology::Cluster,
        },
        username: set.username.clone(),
        password: set.password.clone(),
        sentinel_password: set.sentinel_password.clone(),
        tls: spoken.then(|| Tls {
            everywhere: set.tls,
            authorities: set.tls_ca.clone(),
            identity: set.tls_cert.clone().zip(set.tls_key.clone()),
        }),
        database: set.database,
        prefix: set.prefix.clone(),
        ttl: set.ttl,
    })
}

pub(super) fn pool(pool: &config::Pool) -> PoolSettings {
    PoolSettings {
        policy: match pool.policy {
            config::Policy::ConsistentHash => Policy::ConsistentHash,
            config::Policy::RoundRobin => Policy::RoundRobin,
            config::Policy::LeastSessions => Policy::LeastSessions,
        },
        hash_key: match pool.hash_key {
            config::HashKey::Session => HashKey::Session,
            config::HashKey::ClientAddress => HashKey::ClientAddress,
        },
        load_bound: pool.load_bound,
        load_bound_floor: u64::from(pool.load_bound_floor),
        storage: match pool.storage() {
            config::Storage::Shared => Storage::Shared,
            config::Storage::Local => Storage::Local,
        },
        panic_threshold: pool.health.panic_threshold.min(100) as u8,
        slow_start: pool.health.slow_start,
        move_rate: pool.move_rate,
        most_sessions: Some(pool.sessions.max_live_sessions).filter(|most| *most > 0).map(u64::from),
    }
}

/// In a pool that connections are placed in, a link is all that there is to wait for.
pub(super) fn operations(name: &str, config: &config::Config) -> OperationsSettings {
    let pool = &config.pools[name];
    let carries = config.listeners.iter().any(|set| set.pool == name && set.mode == config::Mode::Connection);
    OperationsSettings {
        drain_timeout: pool.drain_timeout,
        sessions_stay: pool.storage() == config::Storage::Local && !carries,
    }
}

/// Whoever has forgotten how to answer is asked again at the next run.
const VISIT: Duration = Duration::from_secs(10);

/// A backend looks at each of its sessions on the disk before it says the first word of their list.
const LIST: Duration = Duration::from_secs(120);

pub(super) fn cleanup(pool: &config::Pool, dialer: Dialer) -> CleanupSettings {
    let set = &pool.cleanup;
    let exclude = || Patterns::new(set.exclude.iter().map(String::as_str));
    CleanupSettings {
        expiry: set.ttl.map(|ttl| Expiry { ttl, exclude: exclude() }),
        interval: set.interval,
        dry_run: set.dry_run,
        rate: set.rate,
        ephemeral: !pool.sessions.ephemeral.is_empty(),
        linger: pool.linger,
        visits: ErrandSettings {
            dialer,
            token: pool.connection_token.clone(),
            connect_timeout: pool.connect_timeout,
            timeout: VISIT,
            list_timeout: LIST,
        },
    }
}

fn ephemeral(set: &config::Sessions) -> Ephemeral {
    const UNNAMED: &str = "unnamed";
    let words = || set.ephemeral.iter().map(String::as_str);
    let named = Patterns::new(words().filter(|word| *word != UNNAMED));
    Ephemeral { unnamed: words().any(|word| word == UNNAMED), named }
}

pub(super) fn on_store_loss(set: &config::Store) -> OnLoss {
    match set.on_store_loss {
        config::OnStoreLoss::RefuseNew => OnLoss::RefuseNew,
        config::OnStoreLoss::HashOnly => OnLoss::HashOnly,
    }
}

pub(super) fn room(set: &config::Sessions) -> RoomSettings {
    let some = |most: u32| Some(most as usize).filter(|most| *most > 0);
    RoomSettings {
        backend: some(set.max_live_sessions),
        pool: some(set.max_live_sessions_total),
        evict: match set.evict {
            config::Evict::OldestIdle => Evict::OldestIdle,
            config::Evict::Reject => Evict::Reject,
            config::Evict::Queue => Evict::Queue,
        },
    }
}

pub(super) fn mover(pool: &config::Pool) -> MoverSettings {
    MoverSettings { drain_timeout: pool.drain_timeout, rebalance: pool.rebalance, rebalance_rate: pool.rebalance_rate }
}

/// `None` if nobody is ever due.
pub(super) fn recycle(pool: &config::Pool) -> Option<RecycleSettings> {
    let set = &pool.recycle;
    let limits = WearLimits {
        age: set.max_age,
        sessions: set.max_sessions,
        memory: set.max_memory.map(|bytes| bytes as u64),
        descriptors: set.max_descriptors,
        slow: set.slow_probe,
    };
    let redactor = Arc::new(Redactor::new(pool.connection_token.iter()));
    let hook = set.on_recycle.clone().map(|command| Hook { command, timeout: set.hook_timeout, redactor });
    limits.any().then_some(RecycleSettings { limits, check_interval: set.check_interval, hook })
}

pub(super) fn probe(pool: &config::Pool, dialer: Dialer) -> ProbeSettings {
    let health = &pool.health;
    ProbeSettings {
        dialer,
        interval: health.interval,
        timeout: health.timeout,
        connect_timeout: pool.connect_timeout.min(health.timeout),
        thresholds: Thresholds { rise: health.rise, fall: health.fall },
        jitter: health.jitter,
        protocol: health.protocol_version.min..=health.protocol_version.max,
        token: pool.connection_token.clone(),
        ..ProbeSettings::default()
    }
}

pub(super) fn session(
    listener: &config::Listener,
    pool: &config::Pool,
    wall: Option<&Wall>,
    tenant_metrics: bool,
) -> SessionSettings {
    let set = &listener.session;
    SessionSettings {
        max_frame: set.max_frame,
        max_backend_frame: pool.max_frame,
        header_timeout: set.header_timeout,
        body_timeout: set.body_timeout,
        auth_timeout: set.auth_timeout,
        token: listener.connection_token.clone(),
        backend_token: pool.connection_token.clone(),
        max_in_flight: set.max_in_flight,
        high_watermark: set.client_buffer,
        connect_timeout: pool.connect_timeout,
        quick_timeout: set.timeouts.quick,
        create_timeout: set.timeouts.create,
        long_timeout: set.timeouts.long,
        allow_shutdown: wall.map_or(set.allow_runtime_shutdown, allows_shutdown),
        passive_health: pool.health.passive,
        tenant_metrics,
        rehome: pool.rehome,
        rehome_wait: pool.rehome_wait,
        lock: match pool.sessions.lock {
            config::Lock::Off => LockPolicy::Off,
            config::Lock::Reject => LockPolicy::Reject,
            config::Lock::Queue => LockPolicy::Queue,
            config::Lock::SteerOwn => LockPolicy::SteerOwn,
        },
        lock_timeout: pool.sessions.lock_timeout,
        queue_timeout: pool.sessions.queue_timeout,
        move_timeout: pool.move_timeout,
        linger: (pool.on_client_loss == config::OnClientLoss::FinishTurn).then_some(pool.linger),
        ephemeral: ephemeral(&pool.sessions),
        orphan_wait: pool.orphan_wait,
        stall_after: Some(pool.stall_after).filter(|after| !after.is_zero()),
        client_timeout: set.client_timeout,
        cut_when_down: pool.health.on_down == config::OnDown::Cut,
    }
}

/// Behind a wall each tenant's policy decides, and comes first: here it is enough that one of them may.
fn allows_shutdown(wall: &Wall) -> bool {
    const NAME: &str = "runtime.shutdown";
    let method = Methods::get().find(NAME);
    wall.tenants().iter().any(|tenant| tenant.policy.allows(method, NAME))
}

pub(super) fn connection(listener: &config::Listener, pool: &config::Pool) -> ConnectionSettings {
    let default = ConnectionSettings::default();
    ConnectionSettings {
        connect_timeout: pool.connect_timeout,
        patience: Patience { idle: listener.connection.idle_timeout, ..default.patience },
        proxy_protocol: match listener.connection.proxy_protocol {
            config::ProxyProtocol::Off => ProxyProtocol::Off,
            config::ProxyProtocol::V2 => ProxyProtocol::V2,
        },
        max_clients: listener.max_clients,
        splice: listener.connection.splice,
        ..default
    }
}

pub(super) fn supervise(set: &config::Supervise, pool: &config::Pool) -> SuperviseSettings {
    let env = set.env.iter().map(|(name, value)| {
        let text = value.expose();
        let plain = text.len() < SHORTEST_SECRET || text.contains("{port}") || text.contains("{name}");
        let value = if plain { EnvValue::Plain(text.to_owned()) } else { EnvValue::Secret(value.clone()) };
        (name.clone(), value)
    });
    SuperviseSettings {
        command: set.command.clone(),
        env: env.collect(),
        withhold_env: if set.clear_env { everything_but_path_and_home() } else { Vec::new() },
        working_dir: set.working_directory.clone(),
        copilot_home: set.home.as_ref().map(|home| home.as_str().to_owned()),
        connection_token: pool.connection_token.clone(),
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        ports: set.port_range.first..=set.port_range.last,
        start_timeout: set.start_timeout,
        unresponsive_timeout: set.unresponsive_after,
        stop_timeout: set.stop_timeout,
        backoff_first: set.restart_backoff.min,
        backoff_max: set.restart_backoff.max,
        ..SuperviseSettings::default()
    }
}

fn everything_but_path_and_home() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| name != "PATH" && name != "HOME").collect()
}

/// How identities get backends of their own; `None` where they share them.
pub(super) fn instances(pool: &config::Pool) -> Option<InstancesSettings> {
    let (set, supervised) = (&pool.instances, pool.supervise.as_ref().filter(|_| pool.is_isolated())?);
    let withhold_env = everything_but_path_and_home();
    let ports = supervised.port_range;
    let landlord = Ports::new(IpAddr::V4(Ipv4Addr::LOCALHOST), ports.first..=ports.last);
    Some(InstancesSettings {
        by_user: pool.isolation == config::Isolation::User,
        most: set.max_instances as usize,
        spares: set.warm_spares as usize,
        idle_stop: Some(set.idle_stop).filter(|limit| !limit.is_zero()),
        queue_timeout: set.queue_timeout,
        outfit: super::instances::outfit(set, supervised),
        token_check: Some(set.token_check).filter(|every| !every.is_zero()),
        supervise: SuperviseSettings { withhold_env, landlord: Some(landlord), ..supervise(supervised, pool) },
        probe: probe(pool, Dialer::default()),
    })
}

/// The names of a supervised pool's instances.
pub(super) fn instance_names(pool: &str, set: &config::Supervise) -> Vec<Arc<str>> {
    let prefix = set.name_prefix.as_deref().unwrap_or(pool);
    (1..=set.processes()).map(|number| format!("{prefix}-{number}").into()).collect()
}

/// How long a pin outlives a client that was lost. The runtime cleans a session up within milliseconds of its connection's
/// end (measured on 1.0.102); five seconds also cover a machine under load.
pub(super) const PIN_LINGER: Duration = Duration::from_secs(5);
