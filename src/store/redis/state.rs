//! What the watcher knows and those who ask go by.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, broadcast};

use super::{
    connect::Trouble,
    holds::Holds,
    links::{Identity, Links},
    names::heard,
};
use crate::{
    store::{StoreError, TOLD_QUEUE, Told},
    telemetry::{Loss, StoreMetrics},
};

/// After the store was lost nobody gets anything new for so long: within it every other proxy has seen the loss, too
/// (the watcher needs at most [`super::watch::PULSE`] and [`super::watch::PATIENCE`]), and holds nothing any more.
pub(super) const GRACE: Duration = Duration::from_millis(700);

/// What the watcher knows.
pub(super) struct State {
    links: RwLock<Option<Arc<Links>>>,
    up: AtomicBool,
    losses: AtomicU64,
    grace: Mutex<Option<Instant>>,
    identity: Mutex<Option<Identity>>,
    pub holds: Mutex<Holds>,
    pub told: broadcast::Sender<Told>,
    /// Wakes the watcher.
    pub wake: Notify,
    /// A question was not answered.
    pub suspect: AtomicBool,
    /// The slots are elsewhere.
    pub resharded: AtomicBool,
    pub metrics: Arc<StoreMetrics>,
}

impl State {
    pub fn new(metrics: Arc<StoreMetrics>) -> Self {
        metrics.up.set(0);
        Self {
            links: RwLock::new(None),
            up: AtomicBool::new(false),
            losses: AtomicU64::new(0),
            grace: Mutex::new(None),
            identity: Mutex::new(None),
            holds: Mutex::default(),
            told: broadcast::Sender::new(TOLD_QUEUE),
            wake: Notify::new(),
            suspect: AtomicBool::new(false),
            resharded: AtomicBool::new(false),
            metrics,
        }
    }

    /// The connections. While the store is known to be down nobody waits for it.
    pub fn links(&self) -> Result<Arc<Links>, StoreError> {
        self.links.read().clone().ok_or(StoreError::Unavailable)
    }

    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// How often every hold was lost.
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    /// Whether the store was lost a moment ago.
    pub fn is_in_grace(&self) -> bool {
        let mut grace = self.grace.lock();
        let over = grace.is_some_and(|ends| Instant::now() >= ends);
        if over {
            *grace = None;
            self.holds.lock().forget_former();
        }
        grace.is_some()
    }

    /// It answers. Holds are thrown away before anybody may ask.
    pub fn rise(&self, links: Links) {
        let loss = self.compare(links.identity());
        if let Some(loss) = loss {
            self.lose(loss);
        }
        *self.links.write() = Some(Arc::new(links));
        self.up.store(true, Ordering::Release);
        self.metrics.up.set(1);
        self.tell(Told::Up { lost: loss.is_some() });
        tracing::info!("the store answers");
    }

    /// It does not answer.
    pub fn fall(&self, why: &Trouble) {
        *self.links.write() = None;
        if self.up.swap(false, Ordering::AcqRel) {
            self.metrics.up.set(0);
            tracing::warn!(reason = %why, "the store does not answer");
            self.tell(Told::Down);
        }
    }

    fn compare(&self, now: Identity) -> Option<Loss> {
        let before = self.identity.lock().replace(now.clone())?;
        // A further master is no loss; one that is missing took its slots' holds along.
        let gone = before.iter().find(|(run_id, _)| !now.contains_key(*run_id))?;
        let again = now.values().any(|address| address == gone.1);
        Some(if again { Loss::Restart } else { Loss::Failover })
    }

    fn lose(&self, loss: Loss) {
        *self.grace.lock() = Some(Instant::now() + GRACE);
        let lost = self.holds.lock().lose();
        self.losses.fetch_add(1, Ordering::AcqRel);
        self.metrics.lost.get(loss).inc_by(lost as u64);
        tracing::warn!(leases = lost, reason = ?loss, "the store is not the one that it was: every lease is lost");
    }

    /// What Redis sends unasked.
    pub fn push(&self, info: PushInfo) {
        match (info.kind, &info.data[..]) {
            (PushKind::Message, [_, Value::BulkString(news)]) => {
                if let Some(told) = heard(news) {
                    self.tell(told);
                }
            }
            (PushKind::Disconnection, _) => self.wake.notify_one(),
            _ => {}
        }
    }

    fn tell(&self, told: Told) {
        // Nobody listening is no fault.
        let _ = self.told.send(told);
    }
}
