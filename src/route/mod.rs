//! Decisions: which backend gets a session, a look-up, a client's sessionless requests. Reads the pins and the pool's
//! policy; changes nothing but the pins.

mod idler;
mod instance;
mod mover;

use std::{sync::Arc, time::Instant};

use crate::{
    balance,
    model::Peer,
    pool::{HashKey, Load, Member, Policy, Pool, Storage, Verdict},
    session::{Bell, Claim, Live, Registry},
};

pub use idler::Idler;
pub use instance::{Entry, Instance, Occupancy, Phase, Quarters, Trouble};
pub use mover::{Mover, MoverSettings};

/// How many ids are drawn to find one whose hash home has room.
const DRAWS: usize = 16;

/// The router of one pool.
#[derive(Clone, Debug)]
pub struct Router {
    pool: Arc<Pool>,
    registry: Arc<Registry>,
}

impl Router {
    /// A router over `pool` with the pins of `registry`.
    pub fn new(pool: Arc<Pool>, registry: Arc<Registry>) -> Self {
        Self { pool, registry }
    }

    /// The pool.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The pins.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Whether each backend has a disk of its own.
    pub fn is_local(&self) -> bool {
        self.pool.settings().storage == Storage::Local
    }

    /// Attaches a client to a session: at its home if it is live, else placed by the policy on a backend that is not in
    /// `avoid`. `None`: nothing healthy.
    pub fn claim(
        &self,
        session: &str,
        (client, bell): (Caller, &Arc<Bell>),
        now: Instant,
        avoid: &[Arc<str>],
    ) -> Option<Claim> {
        self.registry.claim(session, bell, now, || self.place(session, client.address, avoid, now))
    }

    /// Who would get a session now, other than `avoid`.
    pub fn place(&self, session: &str, client: Peer, avoid: &[Arc<str>], now: Instant) -> Option<Arc<Member>> {
        self.pool.place(self.key(session, client), &names(avoid), Load::Sessions, now)
    }

    /// Attaches a client to a session that a backend has just made or found.
    pub fn claim_at(&self, session: &str, bell: &Arc<Bell>, now: Instant, home: &Arc<Member>) -> Option<Claim> {
        self.registry.claim(session, bell, now, || Some(home.clone()))
    }

    /// The session's pin.
    pub fn find(&self, session: &str, now: Instant) -> Option<Arc<Live>> {
        self.registry.find(session, now)
    }

    /// Where a session that is not known to be live would be: its hash home. `None` for policies that do not hash.
    pub fn guess(&self, session: &str, client: Peer) -> Option<Arc<Member>> {
        (self.pool.settings().policy == Policy::ConsistentHash)
            .then(|| self.pool.any(self.key(session, client)))
            .flatten()
    }

    /// A backend for a client's requests without a session, not one of `avoid`.
    pub fn any(&self, client: Caller, avoid: &[Arc<str>]) -> Option<Arc<Member>> {
        let key = balance::hash_key(&client.number.to_le_bytes());
        let free = |member: &Arc<Member>| !avoid.contains(&member.name);
        self.pool.any(key).filter(free).or_else(|| self.pool.place(key, &names(avoid), Load::Links, Instant::now()))
    }

    /// Where to look for a session that is on one backend's disk: the hash order.
    pub fn search_order(&self, session: &str, client: Peer) -> Vec<Arc<Member>> {
        let mut order = self.pool.order(self.key(session, client));
        order.retain(|member| member.verdict() != Verdict::Down && member.address().is_some());
        order
    }

    /// Backends to ask when every disk has to be looked at.
    pub fn everyone(&self) -> Vec<Arc<Member>> {
        let members = self.pool.members();
        members.iter().filter(|member| member.address().is_some()).cloned().collect()
    }

    /// An id for a session that its client did not name: one whose hash home is within the bound on load, so that it lives
    /// where its hash says from birth, in every proxy and after a restart.
    /// `named` makes the id of a UUID.
    pub fn new_session_id(&self, client: Peer, named: impl Fn(String) -> String) -> String {
        let draw = || named(uuid::Uuid::new_v4().to_string());
        let mut id = draw();
        for _ in 0..DRAWS {
            let key = self.key(&id, client);
            let (home, placed) = (self.pool.any(key), self.pool.place(key, &[], Load::Sessions, Instant::now()));
            let at_home = home.zip(placed).is_none_or(|(home, placed)| Arc::ptr_eq(&home, &placed));
            if at_home || self.pool.settings().policy != Policy::ConsistentHash {
                break;
            }
            id = draw();
        }
        id
    }

    fn key(&self, session: &str, client: Peer) -> u64 {
        match self.pool.settings().hash_key {
            HashKey::Session => balance::hash_key(session.as_bytes()),
            HashKey::ClientAddress => balance::hash_key(client.host().to_string().as_bytes()),
        }
    }
}

fn names(avoid: &[Arc<str>]) -> Vec<&str> {
    avoid.iter().map(|name| &**name).collect()
}

/// The client that asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Its number in this process, from 1.
    pub number: u32,
    /// Its address.
    pub address: Peer,
}
