//! Keeps what this proxy holds in the store: renews it, asks again for what the store has forgotten, lets go of what it has
//! lost, and wakes those who wait for a turn.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::broadcast::error::RecvError, task::JoinSet};

use super::{
    Leases, Live, Registry,
    lease::{Grip, NotHeld, State},
};
use crate::store::{Claimed, Key, Locked, Renewed, Told, Waiter, Wish};

/// Turns whose client has gone are looked at this often.
const LOOK: Duration = Duration::from_millis(100);

/// At every so manieth look it is asked whether somebody has come elsewhere for what lost clients of this proxy keep.
const KEPT: u64 = 5;

/// So many are asked for at once.
const AT_ONCE: usize = 64;

/// The keeper of one pool.
pub struct Keeper {
    registry: Arc<Registry>,
    leases: Arc<Leases>,
    /// From one renewal to the next.
    every: Duration,
}

impl Keeper {
    /// Over the sessions of `registry`; holds last for `ttl`, and are renewed at a third of it.
    pub fn new(registry: Arc<Registry>, ttl: Duration) -> Self {
        let leases = registry.leases().clone();
        Self { registry, leases, every: ttl / 3 }
    }

    /// Does it until its future is dropped.
    pub async fn run(self) {
        let mut told = self.leases.store().listen();
        let mut ticks = tokio::time::interval(self.every.max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut count = 0_u64;
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {
                    self.leases.end_left_turns(Instant::now());
                    count += 1;
                    if count.is_multiple_of(KEPT) && self.leases.is_shared() {
                        self.renew_kept().await;
                    }
                }
                _ = ticks.tick(), if self.leases.is_shared() => {
                    self.renew().await;
                    self.leases.tell_untold().await;
                }
                heard = told.recv() => match heard {
                    Ok(told) => self.hear(told).await,
                    Err(RecvError::Lagged(_)) => {
                        // It may have gone or come meanwhile.
                        self.leases.set_away(!self.leases.store().is_up());
                        self.renew().await;
                        self.registry.room().seated().iter().for_each(Live::ring);
                    }
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    async fn hear(&self, told: Told) {
        match told {
            Told::Free(key) if *key.pool == *self.leases.pool() => {
                if let Some(live) = self.registry.find(&key.session, Instant::now()) {
                    live.ring();
                }
            }
            Told::Down => self.leases.set_away(true),
            Told::Up { lost } => {
                if lost {
                    tracing::warn!(
                        pool = self.leases.pool(),
                        "the store has lost what it knew; asking for everything again"
                    );
                    self.ask_for_all().await;
                } else {
                    self.renew().await;
                }
                self.leases.set_away(!self.leases.store().is_up());
                self.leases.tell_untold().await;
            }
            Told::Free(_) | Told::Owned { .. } | Told::Disowned(_) => {}
        }
    }

    async fn renew(&self) {
        if self.leases.is_away() && !self.leases.store().is_up() {
            return;
        }
        self.ask_for_strays();
        let (held, gripped) = self.held();
        self.renew_holds(held).await;
        self.renew_grips(gripped).await;
    }

    async fn renew_kept(&self) {
        let kept: Vec<_> = self.registry.room().seated().into_iter().filter(|live| live.is_kept()).collect();
        if !kept.is_empty() && self.leases.store().is_up() {
            self.renew_holds(kept).await;
        }
    }

    fn held(&self) -> (Vec<Arc<Live>>, Vec<Arc<Live>>) {
        let seated = self.registry.room().seated();
        let gripped = seated.iter().filter(|live| live.lease().grip().is_some()).cloned();
        let gripped = gripped.chain(self.leases.left_turns()).collect();
        let held = seated.into_iter().filter(|live| matches!(live.lease().state(), State::Held { .. })).collect();
        (held, gripped)
    }

    /// Live sessions of which the store could not be asked, or not yet.
    fn ask_for_strays(&self) {
        let stray = |live: &Arc<Live>| {
            let state = live.lease().state();
            let unknown = matches!(state, State::Free | State::Moving | State::Not(NotHeld::Unavailable));
            unknown && !live.is_under_way() && live.is_open()
        };
        for live in self.registry.room().seated().into_iter().filter(stray) {
            self.leases.claim_at_home(&live);
        }
    }

    async fn renew_holds(&self, held: Vec<Arc<Live>>) {
        let (known, unknown): (Vec<_>, Vec<_>) = held.into_iter().partition(|live| token(live) > 0);
        let asked: Vec<(Key, u64)> = known.iter().map(|live| (self.leases.key(live.id()), token(live))).collect();
        let Ok(answers) = self.leases.store().renew(&asked).await else { return };
        let mut lost = unknown;
        for ((live, renewed), (_, asked)) in known.into_iter().zip(answers).zip(&asked) {
            match renewed {
                Renewed::Until { until, shared } => {
                    live.lease().renewed(*asked, live.stamp(until), shared);
                }
                Renewed::Lost => lost.push(live),
            }
        }
        for live in lost {
            ask_again(self.leases.clone(), live).await;
        }
    }

    async fn renew_grips(&self, gripped: Vec<Arc<Live>>) {
        let grips: Vec<_> = gripped.into_iter().filter_map(|live| Some((live.lease().grip()?, live))).collect();
        let asked: Vec<(Key, u64)> =
            grips.iter().map(|(grip, live)| (self.leases.key(live.id()), grip.hold.token)).collect();
        if asked.is_empty() {
            return;
        }
        let Ok(answers) = self.leases.store().renew_locks(&asked).await else { return };
        for ((grip, live), renewed) in grips.into_iter().zip(answers) {
            match renewed {
                Renewed::Until { until, .. } => {
                    live.lease().regrip(&grip, Grip { hold: crate::store::Hold { until, ..grip.hold }, ..grip })
                }
                Renewed::Lost => self.lock_again(&live, &grip).await,
            }
        }
    }

    /// The turn that runs keeps its lock, if nobody else has it.
    async fn lock_again(&self, live: &Arc<Live>, grip: &Grip) {
        let waiter = Waiter { number: grip.waiter, label: "".into(), lines_up: false };
        if let Ok(Locked::Held(hold)) = self.leases.store().lock(&self.leases.key(live.id()), &waiter).await {
            live.lease().regrip(grip, Grip { hold, ..*grip });
        }
    }

    async fn ask_for_all(&self) {
        let (held, gripped) = self.held();
        // The others wait only for so long before they take what nobody asks for.
        for some in held.chunks(AT_ONCE) {
            let asking = some.iter().map(|live| ask_again(self.leases.clone(), live.clone()));
            asking.collect::<JoinSet<()>>().join_all().await;
        }
        for live in gripped {
            if let Some(grip) = live.lease().grip() {
                self.lock_again(&live, &grip).await;
            }
        }
    }
}

fn token(live: &Live) -> u64 {
    if let State::Held { token, .. } = live.lease().state() { token } else { 0 }
}

/// Nobody knows of our hold any more: if nobody else has it either, it is ours again; otherwise it is lost.
async fn ask_again(leases: Arc<Leases>, live: Arc<Live>) {
    let State::Held { home, token, .. } = live.lease().state() else { return };
    if live.is_parked() || live.clients() == 0 {
        return;
    }
    let now = Instant::now();
    let lapsed = !live.lease().is_good(live.stamp(now));
    let wish = Wish { home: home.clone(), lost: None, owner: None, ephemeral: live.is_ephemeral() };
    match leases.store().claim(&leases.key(live.id()), &wish).await {
        Ok(Claimed::Held { home: theirs, hold, shared, .. }) if *theirs == *home => {
            if lapsed {
                // Meanwhile another proxy may have had it, and closed it.
                live.relocate(|course| course.doubt(now));
            }
            live.lease().reclaimed(token, hold.token, live.stamp(hold.until), shared);
        }
        // Asked again with the next renewal.
        Ok(Claimed::Moving) | Err(_) => {}
        Ok(Claimed::Held { hold, .. }) => {
            tracing::warn!(session = live.id(), "another proxy has taken this session elsewhere; it is let go here");
            let _ = leases.store().leave(&leases.key(live.id()), hold.token, false).await;
            let_go(&live);
        }
        Ok(Claimed::Foreign) => let_go(&live),
    }
}

fn let_go(live: &Arc<Live>) {
    live.lease().set(State::Free);
    live.lease().extend(0);
    live.relocate(|course| course.dispossess(Instant::now()));
}
