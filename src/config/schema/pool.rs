//! `[pool.NAME]`: interchangeable backends and the way sessions are placed on them.

use std::time::Duration;

use super::{
    BackendTls, Cleanup, DAY, Discovery, FreeIds, Guards, HOUR, Health, Instances, Isolation, MethodRules, Posture,
    Recycle, SessionIds, Sessions, Supervise, ZERO, ms,
};
use crate::{
    config::{
        kind::{
            Address, Template, address, choice, count, duration, list_of, name, number, one_of, optional, secret, size,
            switch, table, table_or_none, template,
        },
        section::section,
    },
    model::Secret,
    tenancy::NamingRule,
};

section! {
    /// Interchangeable backends: `backends` that run already, `discovery` to find them, or `supervise` to have pilotfish start them.
    pub struct Pool {
        /// How a session (in mode "connection": a connection) finds its backend.
        pub policy: Policy = one_of::<Policy>(), text("consistent-hash");
        /// What "consistent-hash" goes by.
        pub hash_key: HashKey = one_of::<HashKey>(), text("session");
        /// With "consistent-hash": a backend with more than this many times the mean of the pool's sessions is passed over.
        pub load_bound: f64 = number(1.0, 100.0, true), value("1.25");
        /// Sessions on a backend below which `load_bound` does not apply: small numbers are never even.
        pub load_bound_floor: u32 = count::<u32>(0, 1_000_000), value("32");
        /// Whose disk the sessions are on. To be said where a pool has more than one of `backends`: a wrong guess loses sessions.
        pub storage: Option<Storage> = optional(one_of::<Storage>()), absent("\"shared\"");
        /// The backends that run already.
        pub backends: Vec<Backend> = list_of::<Backend>(), value("[]");
        /// TLS towards the backends.
        pub tls: Option<BackendTls> = table_or_none::<BackendTls>(), absent("{ ... }");
        /// How often the names in `backends` are looked up again.
        pub resolve_interval: Duration = duration(ms(1000), HOUR), text("30s");
        /// The token that pilotfish shows to the backends (their COPILOT_CONNECTION_TOKEN; supervised ones are given it).
        pub connection_token: Option<Secret> = optional(secret()), absent("{ file = \"/run/secrets/cli-token\" }");
        /// How long a dial may take, in both modes.
        pub connect_timeout: Duration = duration(ms(10), HOUR), text("2s");
        /// The largest message that a backend may send.
        pub max_frame: usize = size(1 << 10, 1 << 30), text("64MiB");
        /// Who uses it. Without it: "open" in a file without a [[tenant]], otherwise "tenants".
        pub posture: Option<Posture> = optional(one_of::<Posture>()), absent("\"tenants\"");
        /// With posture "dedicated": the one tenant that gets in.
        pub tenant: Option<String> = optional(name()), absent("\"alice\"");
        /// With posture "tenants": how it is known whose a session is. Without it: "prefix".
        pub session_ids: Option<SessionIds> = optional(one_of::<SessionIds>()), absent("\"prefix\"");
        /// With session_ids "prefix": how the ids of sessions begin that say whose they are. Without it: "{tenant}--".
        pub session_id_template: Option<Template> = optional(template()), absent("\"{tenant}--\"");
        /// With session_ids "prefix": what happens to ids that do not say whose they are. Without it: "record".
        pub free_ids: Option<FreeIds> = optional(one_of::<FreeIds>()), absent("\"record\"");
        /// Methods that the tenants may call or not call, other than the table of methods says.
        pub methods: MethodRules = table::<MethodRules>(), value("{}");
        /// With posture "tenants": what every tenant may name in the params of calls, besides what its own table allows.
        pub guards: Guards = table::<Guards>(), value("{}");
        /// Whether the sessions of a backend that is lost are opened elsewhere ("shared") or there once it is back ("local").
        pub rehome: bool = switch(), value("true");
        /// How long requests of a session wait for its new home.
        pub rehome_wait: Duration = duration(ms(100), HOUR), text("30s");
        /// Sessions a second that change their home, at most. 0: no limit.
        pub move_rate: f64 = number(0.0, 100_000.0, false), value("50.0");
        /// How long a backend may take to close or open a session that changes its home.
        pub move_timeout: Duration = duration(ms(100), HOUR), text("10s");
        /// How long turns may run on a backend that is drained; then they are aborted.
        pub drain_timeout: Duration = duration(ZERO, DAY), text("5m");
        /// Whether idle sessions go back to the backend that their hash says, once it is there again.
        pub rebalance: bool = switch(), value("false");
        /// Sessions a second that do so.
        pub rebalance_rate: f64 = number(0.01, 1000.0, false), value("1.0");
        /// What happens to a turn whose client is lost.
        pub on_client_loss: OnClientLoss = one_of::<OnClientLoss>(), text("finish-turn");
        /// How long such a turn may run on, and how long its client may take to come back for the rest of it.
        pub linger: Duration = duration(ms(100), HOUR), text("60s");
        /// How long such a turn waits for an answer that only its client could give.
        pub orphan_wait: Duration = duration(ZERO, HOUR), text("30s");
        /// After how long a silent turn is looked at: what was missed of it is told, or it ends with an error. 0s: never.
        pub stall_after: Duration = duration(ZERO, DAY), text("10m");
        /// Who gets a Copilot CLI of its own, started by pilotfish. Needs `supervise`, whose `home` names the tenant.
        pub isolation: Isolation = one_of::<Isolation>(), text("none");
        /// How many sessions live at a time.
        pub sessions: Sessions = table::<Sessions>(), value("{}");
        /// How the backends are checked.
        pub health: Health = table::<Health>(), value("{}");
        /// When sessions that nobody uses are deleted.
        pub cleanup: Cleanup = table::<Cleanup>(), value("{}");
        /// When a backend is started again.
        pub recycle: Recycle = table::<Recycle>(), value("{}");
        /// Where the backends are found, if they come and go.
        pub discovery: Option<Discovery> = table_or_none::<Discovery>(), absent("{ dns = \"copilot-cli.default.svc\", port = 4321 }");
        /// The Copilot CLIs that pilotfish starts itself.
        pub supervise: Option<Supervise> = table_or_none::<Supervise>(), absent("{ count = 3 }");
        /// With `isolation`: how CLIs of one's own come and go.
        pub instances: Instances = table::<Instances>(), value("{}");
    }
}

impl Pool {
    /// Whose disk the sessions are on. Supervised CLIs share one; for a single backend both kinds are the same.
    pub fn storage(&self) -> Storage {
        self.storage.unwrap_or(Storage::Shared)
    }

    /// Who uses it, in a file with or without tenants.
    pub fn posture(&self, has_tenants: bool) -> Posture {
        let usual = if self.is_isolated() { Posture::Dedicated } else { Posture::Tenants };
        self.posture.unwrap_or(if has_tenants { usual } else { Posture::Open })
    }

    /// Whether tenants or users have CLIs of their own.
    pub fn is_isolated(&self) -> bool {
        self.isolation != Isolation::None
    }

    /// How it is known whose a session is.
    pub fn session_ids(&self) -> SessionIds {
        self.session_ids.unwrap_or(SessionIds::Prefix)
    }

    /// What ids say of their owners.
    pub fn naming(&self) -> NamingRule {
        match self.session_ids() {
            SessionIds::Prefix => self.session_id_template.clone().unwrap_or_default().rule().clone(),
            SessionIds::Registry => NamingRule::registry(),
        }
    }

    /// What happens to ids that do not say whose they are.
    pub fn free_ids(&self) -> FreeIds {
        self.free_ids.unwrap_or(FreeIds::Record)
    }
}

choice! {
    /// How a session finds its backend.
    pub enum Policy {
        /// by a hash over the backends' names: the same in every pilotfish, and after a restart
        ConsistentHash = "consistent-hash",
        /// one after the other, by weight
        RoundRobin = "round-robin",
        /// where the fewest sessions live for its weight; in mode "connection" the fewest connections
        LeastSessions = "least-sessions",
    }
}

choice! {
    /// What the hash goes by.
    pub enum HashKey {
        /// the session's id; in mode "connection", which sees none, the client's address
        Session = "session",
        /// the client's IP address: all sessions of one machine stay together
        ClientAddress = "client-address",
    }
}

choice! {
    /// Whose disk the sessions of a pool are on.
    pub enum Storage {
        /// every backend sees every session (one COPILOT_HOME), so any of them can resume it
        Shared = "shared",
        /// a session stays with the backend whose disk it is on
        Local = "local",
    }
}

choice! {
    /// What happens to a turn whose client is lost.
    pub enum OnClientLoss {
        /// it goes on, and its client may come back for the rest of it
        FinishTurn = "finish-turn",
        /// it ends
        Abort = "abort",
    }
}

section! {
    /// One Copilot CLI server that runs already.
    pub struct Backend {
        /// Its name, which the hash goes by: keep it when the address changes.
        pub name: String = name(), required("\"cli-1\"");
        /// Where it listens. A name is looked up again at `resolve_interval`.
        pub address: Address = address(), required("\"cli-1:4321\"");
        /// Its share of the sessions, relative to the other backends.
        pub weight: u32 = count::<u32>(1, 1000), value("1");
        /// Whether it starts in drain: it gets no sessions until an operator undrains it.
        pub drain: bool = switch(), value("false");
        /// The same in a word, instead of `drain`.
        pub state: Option<StartState> = optional(one_of::<StartState>()), absent("\"ready\"");
    }
}

impl Backend {
    /// Whether it starts in drain.
    pub fn drains(&self) -> bool {
        self.state.map_or(self.drain, |state| state == StartState::Drain)
    }
}

choice! {
    /// How a backend starts.
    pub enum StartState {
        /// it gets sessions
        Ready = "ready",
        /// it gets none until an operator undrains it
        Drain = "drain",
    }
}
