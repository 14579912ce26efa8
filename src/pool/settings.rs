//! What can be set on a pool.

use std::time::Duration;

use crate::balance::LoadBound;

/// Who gets a new session or connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// By hash of the key: the same backend today, tomorrow and in every proxy.
    #[default]
    ConsistentHash,
    /// In turn, by weight.
    RoundRobin,
    /// Whoever carries the least for its weight.
    LeastSessions,
}

/// What the hash is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashKey {
    /// The session's id.
    #[default]
    Session,
    /// The client's IP address.
    ClientAddress,
}

/// Where the backends keep their sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// On storage that all of them share: any backend can resume any session.
    #[default]
    Shared,
    /// Each on its own: a session can only be resumed where its files are.
    Local,
}

/// Which of a member's counters is its load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Load {
    /// Sessions: what session mode places.
    #[default]
    Sessions,
    /// Links: what connection mode places.
    Links,
}

/// What can be set on a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSettings {
    /// Who gets a new session.
    pub policy: Policy,
    /// What the hash is over. The pool is given the finished hash; this is for whoever computes it.
    pub hash_key: HashKey,
    /// Times the mean load that consistent hashing fills a backend to; 0 switches the bound off.
    pub load_bound: f64,
    /// Loads below this are never too much.
    pub load_bound_floor: u64,
    /// Where the backends keep their sessions.
    pub storage: Storage,
    /// Percent of the members that have to be up for the verdicts to be believed; 0: always believed, 1: unless all are down.
    pub panic_threshold: u8,
    /// Sessions a second that change their home, at most; 0: no limit.
    pub move_rate: f64,
    /// Live sessions on one member, beyond which another one is preferred.
    pub most_sessions: Option<u64>,
    /// How long a backend that recovered gets less than its share; zero switches it off.
    pub slow_start: Duration,
}

impl PoolSettings {
    /// The bound as `balance` takes it.
    pub(super) fn bound(&self) -> LoadBound {
        LoadBound { factor: self.load_bound, floor: self.load_bound_floor }
    }
}

impl Default for PoolSettings {
    /// 1 percent of panic: with more, a fleet that really lost most of its backends would go on dialling dead ones.
    fn default() -> Self {
        let bound = LoadBound::default();
        Self {
            policy: Policy::default(),
            hash_key: HashKey::default(),
            load_bound: bound.factor,
            load_bound_floor: bound.floor,
            storage: Storage::default(),
            panic_threshold: 1,
            move_rate: 50.0,
            most_sessions: None,
            slow_start: Duration::from_secs(30),
        }
    }
}
