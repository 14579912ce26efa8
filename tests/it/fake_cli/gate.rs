//! A door that requests and turns wait at until the test opens it.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use crate::deadline::within;

/// Clones share the door.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Door>);

#[derive(Debug)]
struct Door {
    permits: Semaphore,
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Door { permits: Semaphore::new(0), waiting: watch::Sender::new(0) }))
    }

    /// Lets everyone through, now and later.
    pub fn open(&self) {
        self.0.permits.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Lets `count` through, first come first served.
    pub fn let_through(&self, count: usize) {
        self.0.permits.add_permits(count);
    }

    /// Waits until `count` have come to the gate since it was made (those already through included).
    pub async fn reached(&self, count: usize) {
        let mut waiting = self.0.waiting.subscribe();
        let seen = || format!("{count} at the gate, {} came", *self.0.waiting.borrow());
        within(seen, waiting.wait_for(|came| *came >= count)).await.expect("the gate outlives its waiters");
    }

    pub(super) async fn pass(&self) {
        self.0.waiting.send_modify(|came| *came += 1);
        if let Ok(permit) = self.0.permits.acquire().await {
            permit.forget();
        }
    }
}
