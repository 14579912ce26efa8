//! One proxy cleans up at a time, where several share the storage.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::time::sleep;

use crate::store::{Hold, Key, Locked, Renewed, Store, StoreError, Waiter};

/// No session's id, so no session's lock.
const NAME: &str = "@cleanup";

static NUMBERS: AtomicU64 = AtomicU64::new(u64::MAX / 2);

/// The right to clean up a pool.
pub(super) struct Lease {
    store: Arc<dyn Store>,
    key: Key,
    hold: Hold,
}

impl Lease {
    /// Takes it. `None`: another proxy has it.
    pub(super) async fn take(store: &Arc<dyn Store>, pool: &Arc<str>) -> Result<Option<Self>, StoreError> {
        let key = Key { pool: pool.clone(), session: NAME.into() };
        let waiter =
            Waiter { number: NUMBERS.fetch_add(1, Ordering::Relaxed), label: "clean-up".into(), lines_up: false };
        match store.lock(&key, &waiter).await? {
            Locked::Held(hold) => Ok(Some(Self { store: store.clone(), key, hold })),
            Locked::Busy { .. } => Ok(None),
        }
    }

    /// Keeps it; comes back when it is lost.
    pub(super) async fn kept(&mut self) {
        loop {
            let left = self.hold.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // A third of what a new hold has; sooner and sooner when the store does not answer.
            sleep(left / 3 + std::time::Duration::from_millis(10)).await;
            let renewed = self.store.renew_locks(&[(self.key.clone(), self.hold.token)]).await;
            match renewed.as_deref() {
                Ok([Renewed::Until { until, .. }]) => self.hold.until = *until,
                Ok(_) => return,
                Err(_) => {}
            }
        }
    }

    /// Gives it back.
    pub(super) async fn give_back(self) {
        // If the store does not answer, it ends by itself.
        let _ = self.store.unlock(&self.key, self.hold.token).await;
    }
}
