//! One backend as the rest of the proxy sees it: a name, an address, counters, a verdict.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU8, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

/// What health says of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// Not probed yet: takes no placements.
    Unknown = 0,
    /// Takes placements.
    Up = 1,
    /// Takes none.
    Down = 2,
}

/// What the operator says of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Admission {
    /// Takes placements if it is healthy.
    Ready = 0,
    /// Takes no new placements; sessions that live here go on.
    Drain = 1,
}

/// One backend of a pool. Shared by every client task; all fields are atomics.
#[derive(Debug)]
pub struct Member {
    /// The backend's name in the config: what the rendezvous hash is over.
    pub name: Arc<str>,
    /// The pool's name.
    pub pool: Arc<str>,
    /// Relative share of placements, at least 1.
    pub weight: u32,
    /// Sessions that live here, as far as this proxy knows.
    pub sessions: AtomicI64,
    /// Links (one for each client) open to it.
    pub links: AtomicI64,
    /// Turns running on it.
    pub turns: AtomicI64,
    /// Wakes the probe at once: a link was refused, reset or closed.
    pub suspect: Notify,
    address: ArcSwapOption<SocketAddr>,
    verdict: AtomicU8,
    admission: AtomicU8,
}

impl Member {
    /// A member that nobody has probed yet.
    pub fn new(pool: Arc<str>, name: Arc<str>, weight: u32, address: Option<SocketAddr>) -> Self {
        Self {
            name,
            pool,
            weight: weight.max(1),
            sessions: AtomicI64::new(0),
            links: AtomicI64::new(0),
            turns: AtomicI64::new(0),
            suspect: Notify::new(),
            address: ArcSwapOption::new(address.map(Arc::new)),
            verdict: AtomicU8::new(Verdict::Unknown as u8),
            admission: AtomicU8::new(Admission::Ready as u8),
        }
    }

    /// Where to dial it now; `None` while its name has not been resolved or, for a supervised one, while it is not started.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address.load().as_deref().copied()
    }

    /// Sets the address that later links dial. Links that are open stay where they are.
    pub fn set_address(&self, address: Option<SocketAddr>) {
        self.address.store(address.map(Arc::new));
    }

    /// What health says now.
    pub fn verdict(&self) -> Verdict {
        match self.verdict.load(Ordering::Acquire) {
            1 => Verdict::Up,
            2 => Verdict::Down,
            _ => Verdict::Unknown,
        }
    }

    /// Records what health says; gives back what it said before.
    pub fn set_verdict(&self, verdict: Verdict) -> Verdict {
        match self.verdict.swap(verdict as u8, Ordering::AcqRel) {
            1 => Verdict::Up,
            2 => Verdict::Down,
            _ => Verdict::Unknown,
        }
    }

    /// What the operator says now.
    pub fn admission(&self) -> Admission {
        if self.admission.load(Ordering::Acquire) == 1 { Admission::Drain } else { Admission::Ready }
    }

    /// Records what the operator says.
    pub fn set_admission(&self, admission: Admission) {
        self.admission.store(admission as u8, Ordering::Release);
    }
}
