//! What several proxies share: who holds which session at which home (pins), whose turn it is (locks), whose a session is
//! (owners). One trait; `memory` is for a proxy on its own, `redis` for several.
//!
//! Never asked on the way of a message: a hold is asked for when a session is opened or a turn begins, and is good until its
//! time is over ([`Hold::until`]); a task renews it meanwhile.
//!
//! # Layout
//! - [`Store`]: the trait, and the words of its questions and answers.
//! - [`Memory`]: a proxy on its own; `memory::line`: one lock and those who wait for it.
//! - [`Redis`]: several proxies; [`Watch`]: the task that connects it and looks whether it is still what it was.
//! - [`Address`]: where it listens.

mod address;
mod memory;
mod redis;

pub use self::{
    address::{Address, AddressError},
    memory::Memory,
    redis::{OpenError, Redis, RedisSettings, Tls, Topology, Watch},
};

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::broadcast;

/// Why the store did not do it. The proxy's fault as seen by a client; may be tried again.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    /// It did not answer in time, or cannot be reached.
    #[error("the store cannot be reached")]
    Unavailable,
    /// It answered with something that is not understood, or refused (for example the login).
    #[error("the store refused")]
    Refused,
}

/// A session of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The pool.
    pub pool: Arc<str>,
    /// The session's id.
    pub session: Arc<str>,
}

/// A hold on a session or a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The fencing token: greater than that of every earlier hold on the same key, whatever happened to the store meanwhile.
    pub token: u64,
    /// It is ours at least so long: counted from before the request was sent, so it ends here before it ends in the store.
    pub until: Instant,
}

/// Where this proxy wants to open a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The name of the backend.
    pub home: Arc<str>,
    /// The home that the session is known to have lost: the record's word for it counts no more.
    pub lost: Option<Arc<str>>,
    /// Whose it is to be, if that is recorded.
    pub owner: Option<Who>,
    /// It ends with its clients.
    pub ephemeral: bool,
}

/// Whose a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The tenant.
    pub tenant: Arc<str>,
    /// The user, where the users of a tenant are apart.
    pub user: Option<Arc<str>>,
}

/// What a claim of a session gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// This proxy is one of those who hold it, at this home, which may be another one than was wished.
    Held {
        /// The home's name.
        home: Box<str>,
        /// The hold.
        hold: Hold,
        /// Other proxies hold it as well.
        shared: bool,
        /// It ends with its clients.
        ephemeral: bool,
    },
    /// Another proxy is moving it at this moment.
    Moving,
    /// It is somebody else's.
    Foreign,
}

/// Whether a session may be closed by this proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// Nobody else holds it, and nobody gets a hold on it until this proxy claims or leaves it (or its hold is over).
    Yes,
    /// Other proxies hold it, too.
    No,
    /// The hold is not ours any more.
    Lost,
}

/// What a renewal gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// It is ours until then.
    Until {
        /// See [`Hold::until`].
        until: Instant,
        /// Other proxies hold it as well (sessions only).
        shared: bool,
    },
    /// It is not ours any more.
    Lost,
}

/// Somebody who wants a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Unlike that of anybody else in this proxy.
    pub number: u64,
    /// What others are told of it.
    pub label: Arc<str>,
    /// Whether it stands in line if the lock is taken.
    pub lines_up: bool,
}

/// What asking for a lock gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locked {
    /// It is the waiter's.
    Held(Hold),
    /// It is somebody else's.
    Busy {
        /// How many stand before it in line; 0: it is the next (or does not line up).
        ahead: u32,
        /// What its holder is called; `None`: nobody has it, but others stand before this one.
        holder: Option<Box<str>>,
        /// For how long it has had it.
        held_for: Duration,
    },
}

/// What a record of an owner gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded.
    Ours,
    /// It is somebody else's.
    Taken,
}

/// What a store tells those who use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It answers (again). `lost`: it is not the one that it was (it restarted empty, or another one took its place), so no
    /// hold that was given before counts.
    Up {
        /// Whether every hold is lost.
        lost: bool,
    },
    /// It does not answer.
    Down,
    /// A lock came free, and somebody stands in line for it.
    Free(Key),
    /// An owner was recorded, by whichever proxy.
    Owned {
        /// The session.
        key: Key,
        /// Whose it is.
        who: Who,
    },
    /// A session has no owner any more.
    Disowned(Key),
}

/// What proxies share. Every call answers within [`LIMIT`], by an error if need be. A future that is dropped may have done
/// its work or not.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync {
    /// Whether other proxies use it, too.
    fn is_shared(&self) -> bool;

    /// Whether it answered when it was last asked: one load.
    fn is_up(&self) -> bool;

    /// How often every hold was lost at once. Who is given a hold and finds another number afterwards than before it asked
    /// has lost it already.
    fn losses(&self) -> u64;

    /// What happens from now on. Who lags behind misses the oldest.
    fn listen(&self) -> broadcast::Receiver<Told>;

    /// Becomes one of those who hold a session.
    async fn claim(&self, key: &Key, wish: &Wish) -> Result<Claimed, StoreError>;

    /// Asks whether this proxy may close a session that it holds.
    async fn isolate(&self, key: &Key, token: u64) -> Result<Alone, StoreError>;

    /// Renews holds on sessions; the answers are in the same order. Of more than 500 each 500 take up to [`LIMIT`].
    async fn renew(&self, holds: &[(Key, u64)]) -> Result<Vec<Renewed>, StoreError>;

    /// Lets a session go. `closed`: it lives nowhere now; otherwise its home is remembered for a minute. Does nothing if the
    /// hold is not ours any more.
    async fn leave(&self, key: &Key, token: u64, closed: bool) -> Result<(), StoreError>;

    /// Whether anybody holds the session, this proxy included.
    async fn is_held(&self, key: &Key) -> Result<bool, StoreError>;

    /// Takes a lock, or lines up for it. A waiter that has it already gets the same hold again. Who stands in line asks again at
    /// least every second, and sooner when told [`Told::Free`]; who does not for three seconds has left the line.
    async fn lock(&self, key: &Key, waiter: &Waiter) -> Result<Locked, StoreError>;

    /// Renews locks, as [`Store::renew`] does.
    async fn renew_locks(&self, locks: &[(Key, u64)]) -> Result<Vec<Renewed>, StoreError>;

    /// Gives a lock back. `false`: it was not ours any more, and nothing was done.
    async fn unlock(&self, key: &Key, token: u64) -> Result<bool, StoreError>;

    /// Leaves the line for a lock; gives it back if the waiter was given it and the answer was lost.
    async fn leave_line(&self, key: &Key, waiter: u64) -> Result<(), StoreError>;

    /// Records whose a session is, unless it is somebody's.
    async fn record(&self, key: &Key, who: &Who) -> Result<Recorded, StoreError>;

    /// The session is nobody's any more; with `who`: only if it was theirs.
    async fn disown(&self, key: &Key, who: Option<&Who>) -> Result<(), StoreError>;

    /// All records of a pool, some at a time: begin with 0, end when 0 is given back.
    async fn owners(&self, pool: &str, cursor: u64) -> Result<(u64, Vec<(Box<str>, Who)>), StoreError>;
}

/// The longest time for an answer. Clients are told within 250 ms that the store is away.
pub const LIMIT: Duration = Duration::from_millis(200);

/// How long a hold lasts, if nothing else is set.
pub const TTL: Duration = Duration::from_secs(15);

/// Who waits for a lock and has not asked for so long has left the line.
pub const ABSENCE: Duration = Duration::from_secs(3);

/// How much of what is told waits for a listener that lags behind.
const TOLD_QUEUE: usize = 4096;
