//! What several proxies agree on through the store (`crate::store`): which of them hold a session and at which home, and whose
//! turn it is. A session's own part is a [`Lease`]; [`Leases`] asks for it. The store is asked when a session is opened, closed
//! or waited for, never on the way of a message: for that a hold is one number, the moment until which it is good.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Waker},
    time::Instant,
};

use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Bell, Live, Ticket, untold::Untold};
use crate::store::{Alone, Claimed, Hold, Key, Memory, Recorded, Store, StoreError, Who, Wish};

/// What happens when the store does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// Live sessions go on; what needs a new hold is refused.
    #[default]
    RefuseNew,
    /// Sessions are placed by their hash, as if nobody else were there.
    HashOnly,
}

/// Why a session is not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotHeld {
    /// The store does not answer.
    Unavailable,
    /// It is somebody else's.
    Foreign,
}

/// A session's hold as this proxy knows it.
#[derive(Debug, Default)]
pub struct Lease {
    /// Good until then, as the room stamps moments.
    until: AtomicU64,
    state: Mutex<State>,
    alone: Mutex<Option<Result<Alone, StoreError>>>,
    grip: Mutex<Option<Box<Grip>>>,
}

/// Whether and where it is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nobody has asked.
    #[default]
    Free,
    /// Asked, and not answered yet.
    Asking,
    /// Held.
    Held {
        /// The fencing token; 0: the store was not there to be asked.
        token: u64,
        /// At this home.
        home: Arc<str>,
        /// Other proxies hold it, too.
        shared: bool,
    },
    /// Another proxy moves it.
    Moving,
    /// Not held.
    Not(NotHeld),
}

/// Who has the turn lock of a session, in this proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grip {
    /// The client's number.
    pub client: u32,
    /// What it asked for the lock as.
    pub waiter: u64,
    /// Its hold.
    pub hold: Hold,
}

/// Asks the store for the sessions of one pool.
#[derive(Debug)]
pub struct Leases {
    pub(super) store: Arc<dyn Store>,
    pool: Arc<str>,
    on_loss: OnLoss,
    /// The store is away, or is back and has not been asked about every hold yet.
    away: AtomicBool,
    /// Turns whose client is gone, and until when each keeps its lock.
    pub(super) left: Mutex<Vec<(Arc<Live>, u32, Instant)>>,
    /// What the store could not be told.
    pub(super) untold: Mutex<Vec<Untold>>,
    waiters: AtomicU64,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl Leases {
    /// For the sessions of `pool`. What is asked runs on `tracker` until `cancel`.
    pub fn new(
        store: Arc<dyn Store>,
        pool: Arc<str>,
        on_loss: OnLoss,
        tracker: TaskTracker,
        cancel: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            pool,
            on_loss,
            away: AtomicBool::new(false),
            left: Mutex::default(),
            untold: Mutex::default(),
            waiters: AtomicU64::new(0),
            tracker,
            cancel,
        })
    }

    /// Of a proxy on its own.
    pub fn alone() -> Arc<Self> {
        let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
        Self::new(Arc::new(Memory::new()), "".into(), OnLoss::default(), tracker, cancel)
    }

    /// Whether other proxies take part.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Whether the store is away: nobody can get a hold there meanwhile, so what is held goes on.
    #[inline]
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Acquire)
    }

    pub(super) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Release);
    }

    /// The pool.
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// What happens when it does not answer.
    pub fn on_loss(&self) -> OnLoss {
        self.on_loss
    }

    /// A session's key in the store.
    pub fn key(&self, session: &str) -> Key {
        Key { pool: self.pool.clone(), session: session.into() }
    }

    /// Asks for a hold on a session. Its clients are told when the answer is there.
    pub fn claim(self: &Arc<Self>, live: &Arc<Live>, wish: Wish) {
        live.lease().set(State::Asking);
        let (me, live) = (self.clone(), live.clone());
        self.run(async move {
            let losses = me.store.losses();
            let claimed = me.ask_claim(&me.key(live.id()), &wish).await;
            me.claimed(&live, &wish, claimed);
            if me.store.losses() != losses {
                // Lost before it was known here: asked for once more.
                live.lease().set(State::Free);
            }
            live.ring();
        });
    }

    /// Asks for a hold on a session where it lives: that is nowhere else, and nobody moves it.
    pub fn claim_at_home(self: &Arc<Self>, live: &Arc<Live>) {
        if self.is_shared() {
            let wish = Wish { home: live.home().name.clone(), lost: None, owner: None, ephemeral: live.is_ephemeral() };
            self.claim(live, wish);
        }
    }

    /// Whose it is comes first: of two proxies that make the same session for two tenants, one is told that it exists.
    async fn ask_claim(&self, key: &Key, wish: &Wish) -> Result<Claimed, StoreError> {
        if let Some(who) = &wish.owner
            && self.store.record(key, who).await? == Recorded::Taken
        {
            return Ok(Claimed::Foreign);
        }
        self.store.claim(key, wish).await
    }

    /// Records whose a session is that a backend made.
    pub fn record(self: &Arc<Self>, session: &str, who: Who) {
        if self.is_shared() {
            let (me, key) = (self.clone(), self.key(session));
            self.run(async move {
                // If it fails, whoever comes for it records it.
                let _ = me.store.record(&key, &who).await;
            });
        }
    }

    /// A session is nobody's any more.
    pub fn disown(self: &Arc<Self>, session: &str, who: Who) {
        if self.is_shared() {
            let (me, key) = (self.clone(), self.key(session));
            self.run(async move {
                // What stays recorded is somebody's who cannot reach it: harmless.
                let _ = me.store.disown(&key, Some(&who)).await;
            });
        }
    }

    /// Takes in what a claim gave.
    fn claimed(self: &Arc<Self>, live: &Arc<Live>, wish: &Wish, claimed: Result<Claimed, StoreError>) {
        let lease = live.lease();
        match claimed {
            // It is open here, at another home than it has: that is not where it lives.
            Ok(Claimed::Held { home, hold, .. })
                if live.is_open() && !live.is_under_way() && *home != *live.home().name =>
            {
                lease.set(State::Held { token: hold.token, home: home.into(), shared: true });
                self.leave(live, false);
                live.relocate(|course| course.dispossess(Instant::now()));
            }
            Ok(Claimed::Foreign) if live.is_open() => {
                lease.set(State::Free);
                live.relocate(|course| course.dispossess(Instant::now()));
            }
            Ok(Claimed::Held { home, hold, shared, ephemeral }) => {
                if ephemeral && !wish.ephemeral {
                    // Another proxy's client made it.
                    live.set_ephemeral(true);
                }
                lease.extend(live.stamp(hold.until));
                lease.set(State::Held { token: hold.token, home: home.into(), shared });
            }
            Ok(Claimed::Moving) => lease.set(State::Moving),
            Ok(Claimed::Foreign) => lease.set(State::Not(NotHeld::Foreign)),
            Err(_) if self.on_loss == OnLoss::HashOnly => {
                // Until the store is there again, and is asked for it.
                lease.extend(u64::MAX);
                lease.set(State::Held { token: 0, home: wish.home.clone(), shared: false });
            }
            Err(_) => lease.set(State::Not(NotHeld::Unavailable)),
        }
    }

    /// Asks whether a session may be closed by this proxy.
    pub fn isolate(self: &Arc<Self>, live: &Arc<Live>) {
        *live.lease().alone.lock() = None;
        let token = match live.lease().state() {
            State::Held { token, .. } if token > 0 => token,
            // Nobody was there to be asked about it: it is ours.
            _ => return live.lease().isolated(Ok(Alone::Yes)),
        };
        let (me, live) = (self.clone(), live.clone());
        self.run(async move {
            let alone = me.store.isolate(&me.key(live.id()), token).await;
            live.lease().isolated(alone);
            live.ring();
        });
    }

    /// Lets a session go. `closed`: it lives nowhere now.
    pub fn leave(self: &Arc<Self>, live: &Live, closed: bool) {
        if !self.is_shared() {
            return;
        }
        let state = std::mem::take(&mut *live.lease().state.lock());
        live.lease().until.store(0, Ordering::Release);
        if let State::Held { token, .. } = state
            && token > 0
        {
            let (me, key) = (self.clone(), self.key(live.id()));
            self.run(async move { me.tell(Untold::Left(key, token, closed)).await });
        }
    }

    /// Asks for a session's turn lock. The client hears by its bell.
    pub fn lock(self: &Arc<Self>, ticket: &Arc<Ticket>, bell: &Arc<Bell>) {
        let (me, ticket, bell) = (self.clone(), ticket.clone(), bell.clone());
        self.run(async move {
            let losses = me.store.losses();
            let locked = me.store.lock(&me.key(ticket.live.id()), &ticket.waiter).await;
            // Lost before it was known here: nobody would ask for it again.
            let locked = if me.store.losses() == losses { locked } else { Err(StoreError::Unavailable) };
            ticket.answer(locked);
            bell.ring(&ticket.live);
        });
    }

    /// Gives back the turn lock of `client`, if it has it.
    pub fn unlock(self: &Arc<Self>, live: &Live, client: u32) {
        let mut grip = live.lease().grip.lock();
        let Some(mine) = grip.take_if(|grip| grip.client == client) else { return };
        drop(grip);
        self.unlock_hold(live, mine.hold.token);
    }

    /// Gives back a lock that nobody wants any more.
    pub(super) fn unlock_hold(self: &Arc<Self>, live: &Live, token: u64) {
        let (me, key) = (self.clone(), self.key(live.id()));
        self.run(async move { me.tell(Untold::Unlocked(key, token)).await });
    }

    /// `waiter` does not wait for a session's turn lock any more. `unsure`: a question of it was not answered.
    pub(super) fn leave_line(self: &Arc<Self>, live: &Live, waiter: u64, unsure: bool) {
        let (me, key) = (self.clone(), self.key(live.id()));
        self.run(async move { me.tell(Untold::LeftLine(key, waiter, unsure)).await });
    }

    /// A number for somebody who wants a lock: never given twice.
    pub fn next_waiter(&self) -> u64 {
        self.waiters.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Runs it: at once, if it has nothing to wait for.
    fn run(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut future = Box::pin(future);
        if !self.is_shared() && future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        let task = self.cancel.clone().run_until_cancelled_owned(future);
        self.tracker.spawn(async move {
            // Cut short only by the end of everything.
            let _ = task.await;
        });
    }
}

impl Lease {
    /// Of a session in a proxy on its own: always good.
    pub(super) fn new(shared: bool) -> Self {
        let lease = Self::default();
        lease.until.store(if shared { 0 } else { u64::MAX }, Ordering::Relaxed);
        lease
    }

    /// Whether it is good at `stamp`: one load.
    #[inline]
    pub fn is_good(&self, stamp: u64) -> bool {
        self.until.load(Ordering::Acquire) > stamp
    }

    /// Whether and where it is held.
    pub fn state(&self) -> State {
        self.state.lock().clone()
    }

    /// It is good until then.
    pub fn extend(&self, until: u64) {
        self.until.store(until, Ordering::Release);
    }

    /// The hold with this token is good until then.
    pub(super) fn renewed(&self, of: u64, until: u64, by_others: bool) {
        if let State::Held { token, shared, .. } = &mut *self.state.lock()
            && *token == of
        {
            *shared = by_others;
            self.extend(until);
        }
    }

    /// The hold with the token `of` has another one now.
    pub(super) fn reclaimed(&self, of: u64, new: u64, until: u64, by_others: bool) {
        if let State::Held { token, shared, .. } = &mut *self.state.lock()
            && *token == of
        {
            (*token, *shared) = (new, by_others);
            self.extend(until);
        }
    }

    /// The same for a turn lock.
    pub(super) fn regrip(&self, old: &Grip, new: Grip) {
        let mut grip = self.grip.lock();
        if grip.as_deref() == Some(old) {
            *grip = Some(Box::new(new));
        }
    }

    /// Clients of other proxies are attached to it.
    pub fn is_shared(&self) -> bool {
        matches!(&*self.state.lock(), State::Held { shared: true, .. })
    }

    /// Changes what is known.
    pub fn set(&self, state: State) {
        *self.state.lock() = state;
    }

    fn isolated(&self, alone: Result<Alone, StoreError>) {
        *self.alone.lock() = Some(alone);
    }

    /// The answer to [`Leases::isolate`], once.
    pub fn take_isolated(&self) -> Option<Result<Alone, StoreError>> {
        self.alone.lock().take()
    }

    /// Who has the turn lock, in this proxy.
    pub fn grip(&self) -> Option<Grip> {
        self.grip.lock().as_deref().copied()
    }

    /// `client` has the turn lock.
    pub fn take_grip(&self, grip: Option<Grip>) {
        *self.grip.lock() = grip.map(Box::new);
    }
}
