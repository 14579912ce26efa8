//! A client's wish for a session's turn lock.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;

use super::Live;
use crate::store::{Locked, StoreError, Waiter};

/// A client's wish for a session's turn lock. Dropped, it leaves the line, and gives back what it got and nobody took.
#[derive(Debug)]
pub struct Ticket {
    pub(super) live: Arc<Live>,
    pub(super) waiter: Waiter,
    answer: Mutex<Option<Result<Locked, StoreError>>>,
    /// Its client has the lock.
    granted: AtomicBool,
    /// A question was not answered: it may be done later, when nobody waits any more.
    unsure: AtomicBool,
}

impl Ticket {
    /// For a client of `live`.
    pub fn new(live: Arc<Live>, waiter: Waiter) -> Arc<Self> {
        Arc::new(Self {
            live,
            waiter,
            answer: Mutex::default(),
            granted: AtomicBool::new(false),
            unsure: AtomicBool::new(false),
        })
    }

    pub(super) fn answer(&self, locked: Result<Locked, StoreError>) {
        self.unsure.fetch_or(locked.is_err(), Ordering::AcqRel);
        *self.answer.lock() = Some(locked);
    }

    /// What it is to the store.
    pub fn waiter(&self) -> u64 {
        self.waiter.number
    }

    /// The store's answer, once.
    pub fn take(&self) -> Option<Result<Locked, StoreError>> {
        let answer = self.answer.lock().take();
        self.granted.store(matches!(answer, Some(Ok(Locked::Held(_)))), Ordering::Release);
        answer
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let leases = self.live.leases();
        match self.answer.get_mut().take() {
            Some(Ok(Locked::Held(hold))) => leases.unlock_hold(&self.live, hold.token),
            // Whether it is still in the line nobody has to know.
            _ if self.granted.load(Ordering::Acquire) => {}
            _ if self.waiter.lines_up || self.unsure.load(Ordering::Acquire) => {
                leases.leave_line(&self.live, self.waiter.number, self.unsure.load(Ordering::Acquire))
            }
            _ => {}
        }
    }
}
