//! The store of a proxy on its own: nobody else is there to be asked, so every answer is ready at once.

mod line;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use self::line::Line;
use super::{
    Alone, Claimed, Hold, Key, Locked, Recorded, Renewed, Store, StoreError, TOLD_QUEUE, Told, Waiter, Who, Wish,
};

/// Holds of a proxy on its own have no end.
const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Keeps the lines for locks. Of sessions and owners it keeps nothing: the proxy's own tables are the truth.
pub struct Memory {
    tokens: AtomicU64,
    lines: Mutex<HashMap<Key, Line>>,
    told: broadcast::Sender<Told>,
}

impl Memory {
    /// Makes it.
    pub fn new() -> Self {
        Self { tokens: AtomicU64::new(0), lines: Mutex::default(), told: broadcast::Sender::new(TOLD_QUEUE) }
    }

    fn token(&self) -> u64 {
        self.tokens.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Changes the line for `key`; tells if whoever is the next may have the lock at once by that.
    fn change<T>(&self, key: &Key, change: impl FnOnce(&mut Line) -> T) -> Option<T> {
        let mut lines = self.lines.lock();
        let line = lines.get_mut(key)?;
        let next = line.next();
        let changed = change(line);
        let tells = line.next().is_some() && line.next() != next;
        if line.is_over() {
            lines.remove(key);
        }
        drop(lines);
        if tells {
            // Nobody listening is no fault.
            let _ = self.told.send(Told::Free(key.clone()));
        }
        Some(changed)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("locks", &self.lines.lock().len()).finish_non_exhaustive()
    }
}

fn renewed() -> Renewed {
    Renewed::Until { until: Instant::now() + FAR, shared: false }
}

#[async_trait]
impl Store for Memory {
    fn is_shared(&self) -> bool {
        false
    }

    fn is_up(&self) -> bool {
        true
    }

    fn losses(&self) -> u64 {
        0
    }

    fn listen(&self) -> broadcast::Receiver<Told> {
        self.told.subscribe()
    }

    async fn claim(&self, _: &Key, wish: &Wish) -> Result<Claimed, StoreError> {
        let hold = Hold { token: self.token(), until: Instant::now() + FAR };
        Ok(Claimed::Held { home: Box::from(&*wish.home), hold, shared: false, ephemeral: wish.ephemeral })
    }

    async fn isolate(&self, _: &Key, _: u64) -> Result<Alone, StoreError> {
        Ok(Alone::Yes)
    }

    async fn renew(&self, holds: &[(Key, u64)]) -> Result<Vec<Renewed>, StoreError> {
        Ok(holds.iter().map(|_| renewed()).collect())
    }

    async fn leave(&self, _: &Key, _: u64, _: bool) -> Result<(), StoreError> {
        Ok(())
    }

    /// No: what this proxy holds it knows without us.
    async fn is_held(&self, _: &Key) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn lock(&self, key: &Key, waiter: &Waiter) -> Result<Locked, StoreError> {
        let now = Instant::now();
        let token = self.token();
        let mut lines = self.lines.lock();
        let line = lines.entry(key.clone()).or_default();
        let locked = line.ask(waiter, token, now, now + FAR);
        if line.is_over() {
            lines.remove(key);
        }
        Ok(locked)
    }

    async fn renew_locks(&self, locks: &[(Key, u64)]) -> Result<Vec<Renewed>, StoreError> {
        let lines = self.lines.lock();
        let held = |(key, token): &(Key, u64)| lines.get(key).is_some_and(|line| line.is_held_by(*token));
        Ok(locks.iter().map(|lock| if held(lock) { renewed() } else { Renewed::Lost }).collect())
    }

    async fn unlock(&self, key: &Key, token: u64) -> Result<bool, StoreError> {
        Ok(self.change(key, |line| line.give_back(token)).unwrap_or(false))
    }

    async fn leave_line(&self, key: &Key, waiter: u64) -> Result<(), StoreError> {
        self.change(key, |line| line.leave(waiter));
        Ok(())
    }

    async fn record(&self, _: &Key, _: &Who) -> Result<Recorded, StoreError> {
        Ok(Recorded::Ours)
    }

    async fn disown(&self, _: &Key, _: Option<&Who>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn owners(&self, _: &str, _: u64) -> Result<(u64, Vec<(Box<str>, Who)>), StoreError> {
        Ok((0, Vec::new()))
    }
}
