//! Files that are taken, and what comes of them.

use std::time::Duration;

use super::read;
use crate::{
    config::{
        Algorithm, FreeIds, HashKey, LogFormat, Mode, OnDown, OnStoreLoss, Policy, Posture, ProxyProtocol, SessionIds,
        Storage, StoreKind, StoreTopology, Users,
    },
    tenancy::NamingRule,
};

/// The sketch that the issue gave.
const SKETCH: &str = r#"
[admin]
bind = "127.0.0.1:4320"
[[listener]]
name = "sdk"
bind = "127.0.0.1:4321"
mode = "session"                  # or "connection"
pool = "copilot"
[pool.copilot]
policy = "consistent-hash"        # "round-robin" | "least-sessions"
storage = "shared"                # "local": a session stays with the backend whose disk it is on
backends = [ { name = "cli-1", address = "cli-1:4321" }, { name = "cli-2", address = "cli-2:4321", weight = 2 } ]
connection_token = { env = "TOKEN" }
[pool.copilot.health]
interval = "5s"
timeout = "2s"
rise = 2
fall = 3
"#;

#[test]
fn the_sketch() {
    let config = read(SKETCH).unwrap();
    let pool = &config.pools["copilot"];
    assert_eq!(config.warnings, []);
    assert_eq!((config.listeners[0].mode, config.listeners[0].pool.as_str()), (Mode::Session, "copilot"));
    assert_eq!(
        (pool.policy, pool.hash_key, pool.storage()),
        (Policy::ConsistentHash, HashKey::Session, Storage::Shared)
    );
    let backends: Vec<_> = pool.backends.iter().map(|b| (b.name.as_str(), b.address.to_string(), b.weight)).collect();
    assert_eq!(backends, [("cli-1", "cli-1:4321".to_owned(), 1), ("cli-2", "cli-2:4321".to_owned(), 2)]);
    assert_eq!(pool.connection_token.as_ref().unwrap().expose(), "s3cret");
    assert_eq!((pool.health.interval, pool.health.fall), (Duration::from_secs(5), 3));
}

#[test]
fn every_default_is_what_was_agreed() {
    let text = "[[listener]]\nname = \"a\"\nbind = \"[::1]:0\"\npool = \"x\"\n[pool.x.supervise]\ncount = 2\n";
    let config = read(text).unwrap();
    let (seconds, listener) = (Duration::from_secs, &config.listeners[0]);
    assert_eq!(config.runtime.worker_threads, None);
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Text, "info"));
    assert_eq!((config.admin.bind.to_string().as_str(), config.admin.tenant_metrics), ("127.0.0.1:4320", false));
    assert_eq!((config.shutdown.drain_timeout, config.shutdown.readiness_lead), (seconds(30), seconds(0)));
    let store = &config.store;
    assert_eq!(
        (store.kind, store.topology, store.on_store_loss),
        (StoreKind::Memory, StoreTopology::Single, OnStoreLoss::RefuseNew)
    );
    assert_eq!((store.prefix.as_str(), store.ttl, store.database, store.tls), ("pilotfish:", seconds(15), 0, false));
    assert_eq!((store.addresses[0].to_string().as_str(), store.master.as_str()), ("127.0.0.1:6379", "pilotfish"));
    assert_eq!((listener.mode, listener.max_clients, &listener.connection_token), (Mode::Session, 10_000, &None));
    let session = &listener.session;
    assert_eq!((session.max_frame, session.client_buffer, session.max_in_flight), (32 << 20, 1 << 20, 1024));
    assert_eq!(
        (session.header_timeout, session.body_timeout, session.auth_timeout),
        (seconds(10), seconds(30), seconds(5))
    );
    assert!(!session.allow_runtime_shutdown);
    let timeouts = &session.timeouts;
    assert_eq!((timeouts.quick, timeouts.create, timeouts.long), (seconds(30), seconds(60), seconds(600)));
    assert_eq!((listener.connection.proxy_protocol, listener.connection.idle_timeout), (ProxyProtocol::Off, None));
    let pool = &config.pools["x"];
    assert_eq!((pool.load_bound, pool.load_bound_floor, pool.max_frame), (1.25, 32, 64 << 20));
    assert_eq!((pool.resolve_interval, pool.connect_timeout), (seconds(30), seconds(2)));
    let health = &pool.health;
    assert_eq!((health.interval, health.timeout, health.rise, health.fall), (seconds(5), seconds(2), 2, 3));
    assert_eq!((health.jitter, health.protocol_version.min, health.protocol_version.max), (0.1, 2, 3));
    assert_eq!((health.slow_start, health.panic_threshold, health.passive), (seconds(30), 1, true));
    assert_eq!(health.on_down, OnDown::Keep);
    let supervise = pool.supervise.as_ref().unwrap();
    assert_eq!(supervise.command, ["copilot", "--headless", "--port", "{port}", "--no-auto-update"]);
    assert_eq!((supervise.count, supervise.port_range.first, supervise.port_range.last), (Some(2), 4400, 4499));
    assert_eq!(
        (supervise.start_timeout, supervise.unresponsive_after, supervise.stop_timeout),
        (seconds(30), seconds(30), seconds(5))
    );
    let backoff = &supervise.restart_backoff;
    assert_eq!((backoff.min, backoff.max, backoff.jitter), (Duration::from_millis(500), seconds(30), 0.2));
    assert!(
        supervise.env.is_empty() && !supervise.clear_env && supervise.home.is_none() && supervise.name_prefix.is_none()
    );
}

#[test]
fn every_default_of_the_wall_is_what_was_agreed() {
    let text = "[[listener]]\nname = \"a\"\nbind = \"[::1]:0\"\npool = \"x\"\n[listener.jwt]\nissuer = \"i\"\naudience = \"a\"\n\
        jwks = { file = \"src/config/tests/jwks.json\" }\n[pool.x.supervise]\ncount = 2\n[[tenant]]\nname = \"bob\"\n";
    let config = read(text).unwrap();
    assert_eq!(config.warnings, []);
    let (pool, tenant) = (&config.pools["x"], &config.tenants[0]);
    assert_eq!(
        (config.posture(pool), pool.session_ids(), pool.free_ids()),
        (Posture::Tenants, SessionIds::Prefix, FreeIds::Record)
    );
    assert_eq!(pool.naming(), NamingRule::prefix("{tenant}--").unwrap());
    assert!(pool.methods.allow.is_empty() && pool.methods.deny.is_empty() && !pool.guards.stdio_mcp);
    assert!(pool.guards.provider_urls.is_empty() && pool.guards.mcp_urls.is_empty() && pool.guards.commands.is_empty());
    assert_eq!((tenant.users, tenant.pools.as_ref(), tenant.stdio_mcp), (Users::Together, None, false));
    assert!(
        tenant.tokens.is_empty() && tenant.roots.is_empty() && tenant.share.is_empty() && tenant.commands.is_empty()
    );
    let limits = &tenant.limits;
    assert!(limits.connections.or(limits.sessions).or(limits.turns).is_none());
    assert!(limits.frames_per_second.or(limits.creates_per_minute).is_none() && limits.bytes_per_second.is_none());
    let jwt = config.listeners[0].jwt.as_ref().unwrap();
    assert_eq!(jwt.algorithms, [Algorithm::Rs256, Algorithm::Es256]);
    assert_eq!(
        (jwt.tenant_claim.as_str(), jwt.user_claim.as_ref(), jwt.leeway),
        ("tenant", None, Duration::from_secs(30))
    );
    assert!(jwt.jwks.as_ref().is_some_and(|keys| keys.path.is_absolute() && keys.text.contains("P-256")));
}

#[test]
fn postures_and_who_gets_in() {
    let pools = ["a", "b", "c", "d"]
        .map(|name| format!("[pool.{name}]\nbackends = [ {{ name = \"{name}\", address = \"{name}:1\" }} ]\n"));
    let [a, b, c, d] = pools;
    let tenants = "[[tenant]]\nname = \"x\"\ntokens = [ { env = \"LONG\" } ]\n[[tenant]]\nname = \"y\"\npools = [ \"b\", \"c\" ]\ntokens = [ { env = \"LONGER\" } ]\n";
    let text =
        format!("{a}{b}{c}posture = \"dedicated\"\ntenant = \"y\"\n{d}posture = \"open\"\n{tenants}{}", super::REST);
    let config = read(&text).unwrap();
    let names = |pool| config.tenants_of(pool).iter().map(|tenant| tenant.name.clone()).collect::<Vec<_>>().join(" ");
    assert_eq!(["a", "b", "c", "d", "none"].map(names), ["x", "x y", "y", "", ""]);
    let postures = ["a", "b", "c", "d"].map(|pool| config.posture(&config.pools[pool]));
    assert_eq!(postures, [Posture::Tenants, Posture::Tenants, Posture::Dedicated, Posture::Open]);
    assert_eq!(read(super::REST).map(|config| config.posture(&config.pools["ok"])), Ok(Posture::Open));
}

#[test]
fn tokens_keep_what_a_comparison_needs() {
    let hex = "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0";
    let text =
        |token: &str| format!("[[tenant]]\nname = \"a\"\ntokens = [ {{ {token}, user = \"ann\" }} ]\n{}", super::REST);
    let (named, hashed) =
        (read(&text("env = \"TOKEN\"")).unwrap(), read(&text(&format!("sha256 = \"{hex}\""))).unwrap());
    let (named, hashed) = (&named.tenants[0].tokens[0], &hashed.tenants[0].tokens[0]);
    assert!(named.digest() == hashed.digest() && named != hashed);
    assert_eq!(named.user.as_deref(), Some("ann"));
    let told = format!("{named:?} {hashed:?}");
    assert!(!told.contains("s3cret") && !told.contains("1ec1") && told.contains("***"), "{told}");
}

#[test]
fn layouts_of_toml_are_all_the_same() {
    let inline = "listener = [ { name = \"a\", bind = \"127.0.0.1:1\", pool = \"x\" } ]\n\
        pool.x.backends = [ { name = \"b\", address = \"[::1]:1\" } ]\npool.x.load_bound = 2\n";
    let tables = "[[listener]]\nname = 'a'\nbind = '127.0.0.1:1'\npool = 'x'\n[pool.x]\nload_bound = 2.0\n\
        [[pool.x.backends]]\nname = 'b'\naddress = '[::1]:1'\n";
    let (mut one, two) = (read(inline).unwrap(), read(tables).unwrap());
    assert_ne!(one.fingerprint, two.fingerprint);
    one.fingerprint.clone_from(&two.fingerprint);
    assert_eq!(one, two);
}

#[test]
fn an_environment_of_a_child_mixes_text_and_secrets() {
    let text = "[[listener]]\nname = \"a\"\nbind = \"[::1]:0\"\npool = \"x\"\n[pool.x.supervise]\ncount = 2\nhome = \"home\"\n\
        env = { A = \"plain\", B = { env = \"TOKEN\" }, C = \"\" }\n";
    let config = read(text).unwrap();
    let supervise = config.pools["x"].supervise.as_ref().unwrap();
    let env: Vec<_> = supervise.env.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(env, [("A", "plain"), ("B", "s3cret"), ("C", "")]);
    assert!(supervise.home.as_ref().unwrap().as_str().starts_with('/'));
}

#[test]
fn levels_and_directives_of_the_log() {
    for level in ["off", "WARN", "info,pilotfish::health=debug", "pilotfish=trace", "warn,hyper=off"] {
        let text = format!("{}\n[log]\nlevel = \"{level}\"\n", super::REST);
        assert_eq!(read(&text).unwrap().log.level, level);
    }
}
