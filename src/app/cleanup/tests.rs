//! What another proxy has is left alone, and one proxy cleans up at a time.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    lease::Lease,
    remover::{Removal, Remover},
    visits::Visits,
    *,
};
use crate::{
    app::{
        fleet::Squadron,
        operations::{Operations, OperationsSettings},
    },
    pool::{Member, Pool, PoolSettings},
    session::Registry,
    store::{
        Alone, Claimed, Hold, Key, Locked, Memory, Recorded, Renewed, Store, StoreError, TTL, Told, Waiter, Who, Wish,
    },
    telemetry::Metrics,
};

/// A store that another proxy uses, too.
#[derive(Debug, Default)]
struct Shared {
    inner: Memory,
    held: AtomicBool,
    joined: AtomicBool,
    locked: AtomicBool,
    left: Mutex<Vec<bool>>,
}

fn hold() -> Hold {
    Hold { token: 7, until: Instant::now() + TTL }
}

#[async_trait]
impl Store for Shared {
    fn is_shared(&self) -> bool {
        true
    }

    fn is_up(&self) -> bool {
        true
    }

    fn losses(&self) -> u64 {
        0
    }

    fn listen(&self) -> broadcast::Receiver<Told> {
        self.inner.listen()
    }

    async fn claim(&self, _: &Key, wish: &Wish) -> Result<Claimed, StoreError> {
        let home = Box::from(&*wish.home);
        Ok(Claimed::Held { home, hold: hold(), shared: self.joined.load(Ordering::Relaxed), ephemeral: false })
    }

    async fn isolate(&self, _: &Key, _: u64) -> Result<Alone, StoreError> {
        Ok(if self.joined.load(Ordering::Relaxed) { Alone::No } else { Alone::Yes })
    }

    async fn renew(&self, holds: &[(Key, u64)]) -> Result<Vec<Renewed>, StoreError> {
        self.inner.renew(holds).await
    }

    async fn leave(&self, _: &Key, _: u64, closed: bool) -> Result<(), StoreError> {
        self.left.lock().push(closed);
        Ok(())
    }

    async fn is_held(&self, _: &Key) -> Result<bool, StoreError> {
        Ok(self.held.load(Ordering::Relaxed))
    }

    async fn lock(&self, _: &Key, _: &Waiter) -> Result<Locked, StoreError> {
        if self.locked.swap(true, Ordering::Relaxed) {
            return Ok(Locked::Busy { ahead: 0, holder: None, held_for: Duration::ZERO });
        }
        Ok(Locked::Held(Hold { token: 7, until: Instant::now() + Duration::from_millis(60) }))
    }

    async fn renew_locks(&self, _: &[(Key, u64)]) -> Result<Vec<Renewed>, StoreError> {
        Ok(vec![Renewed::Lost])
    }

    async fn unlock(&self, _: &Key, _: u64) -> Result<bool, StoreError> {
        self.locked.store(false, Ordering::Relaxed);
        Ok(true)
    }

    async fn leave_line(&self, _: &Key, _: u64) -> Result<(), StoreError> {
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

fn squadron() -> Arc<Squadron> {
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let settings = OperationsSettings { drain_timeout: Duration::ZERO, sessions_stay: false };
    let metrics = Arc::new(Metrics::new(&[]).unwrap());
    let member = Arc::new(Member::new("p".into(), "a".into(), 1, None));
    Arc::new(Squadron {
        dialer: crate::backend::Dialer::default(),
        pool: Arc::new(Pool::new("p", PoolSettings::default(), vec![member])),
        registry: Arc::new(Registry::new(Duration::ZERO)),
        supervisor: None,
        sightings: None,
        instances: None,
        operations: Operations::new("p".into(), settings, metrics, &tracker, &cancel),
        cleanup: Arc::new(Cleanup::none()),
    })
}

#[tokio::test]
async fn what_another_proxy_has_is_left_alone() {
    let (squadron, shared) = (squadron(), Arc::new(Shared::default()));
    let store: Arc<dyn Store> = shared.clone();
    let remover = Remover::new(squadron.clone(), None, &store);
    let home = squadron.pool.members()[0].clone();
    let mut visits = Visits::new(squadron.cleanup.settings().visits.clone());

    shared.held.store(true, Ordering::Relaxed);
    assert_eq!(remover.remove(&mut visits, "s", &home).await, Removal::Held);
    assert_eq!(remover.look(&mut visits, "s", &home).await, Removal::Held);
    // Somebody came between the question and the claim.
    shared.held.store(false, Ordering::Relaxed);
    shared.joined.store(true, Ordering::Relaxed);
    assert_eq!(remover.remove(&mut visits, "s", &home).await, Removal::Held);
    assert_eq!(*shared.left.lock(), [false]);
    // Nobody, but no backend can be asked.
    shared.joined.store(false, Ordering::Relaxed);
    assert!(matches!(remover.remove(&mut visits, "s", &home).await, Removal::Failed(_)));
    assert_eq!(*shared.left.lock(), [false, false]);
    assert!(!squadron.registry.is_condemned("s"));
}

#[tokio::test]
async fn one_proxy_cleans_up_at_a_time_and_knows_when_it_may_not_any_more() {
    let store: Arc<dyn Store> = Arc::new(Shared::default());
    let pool = Arc::from("p");
    let mut lease = Lease::take(&store, &pool).await.unwrap().unwrap();
    assert!(Lease::take(&store, &pool).await.unwrap().is_none());
    lease.kept().await;
    lease.give_back().await;
    assert!(Lease::take(&store, &pool).await.unwrap().is_some());
}

#[tokio::test]
async fn an_order_runs_once_and_the_next_is_due_later() {
    let expiry = Some(Expiry { ttl: Duration::from_secs(1), ..Expiry::default() });
    let settings = CleanupSettings { expiry, ..Cleanup::none().settings };
    let cleanup = Arc::new(Cleanup::new(settings));
    assert!(Run::begin(&cleanup, Instant::now()).is_none());
    assert_eq!(cleanup.ask(true), Ok(1));
    assert_eq!(cleanup.ask(true), Err(Refusal::Running));
    let run = cleanup.next().await;
    assert!(run.dry_run && cleanup.ask(false) == Err(Refusal::Running));
    run.end(crate::telemetry::CleanupEnd::Done, FIRST);
    assert!(Run::begin(&cleanup, Instant::now()).is_none());
    assert!(Run::begin(&cleanup, Instant::now() + FIRST).is_some_and(|run| !run.dry_run));
    assert_eq!(Cleanup::none().ask(true), Err(Refusal::NoTtl));
}
