//! Sessions that should live elsewhere are sent on their way: those of a backend that is drained, and, where the operator
//! wants it, those that a lost backend's return has made strangers. One task a pool; the moving itself is the clients'.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ahash::AHashMap;
use tokio::time::Instant;

use super::Router;
use crate::{
    balance,
    pool::{HashKey, Member, Pacer, Policy, Storage},
    session::{Live, relocation::Cause},
};

/// Between two looks while a backend drains.
const LOOK: Duration = Duration::from_millis(50);

/// Between two looks at sessions that might go home.
const REBALANCE_LOOK: Duration = Duration::from_secs(1);

/// A session that something kept from moving is left alone for so long.
const AGAIN: Duration = Duration::from_millis(500);

/// After its turn was told to end at the drain's deadline a session is given so long.
const LAST_TURN: Duration = Duration::from_secs(5);

/// A session that has moved stays for so long, whatever rebalancing says: never to and fro.
const REST: Duration = Duration::from_secs(60);

/// What the operator set.
#[derive(Clone, Copy, Debug)]
pub struct MoverSettings {
    /// Turns on a backend that is drained may run so long, where the drain itself does not say.
    pub drain_timeout: Duration,
    /// Idle sessions go back to where their hash says.
    pub rebalance: bool,
    /// So many a second.
    pub rebalance_rate: f64,
}

/// Sends sessions on their way until its future is dropped.
pub struct Mover {
    router: Router,
    settings: MoverSettings,
    homing: Pacer,
    /// When each session was last asked to move.
    asked: AHashMap<Box<str>, Instant>,
    /// Since when each backend drains.
    draining: AHashMap<Arc<str>, Instant>,
    looked: Option<Instant>,
    /// When all clients were last told to close links.
    roused: Option<Instant>,
}

impl Mover {
    /// A mover of the pool of `router`.
    pub fn new(router: Router, settings: MoverSettings) -> Self {
        let homing = Pacer::new(settings.rebalance_rate);
        Self { router, settings, homing, asked: AHashMap::new(), draining: AHashMap::new(), looked: None, roused: None }
    }

    /// Does it. Sessions on local disks cannot move.
    pub async fn run(mut self) {
        if self.router.pool().settings().storage == Storage::Local {
            return;
        }
        loop {
            self.look(Instant::now());
            let next = if self.draining.is_empty() { REBALANCE_LOOK } else { LOOK };
            tokio::select! {
                () = self.router.pool().drains().notified() => {}
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    fn look(&mut self, now: Instant) {
        let members = self.router.pool().members();
        self.draining.retain(|name, _| members.iter().any(|member| member.name == *name && member.is_draining()));
        for member in members.iter().filter(|member| member.is_draining()) {
            let new = !self.draining.contains_key(&member.name);
            let since = *self.draining.entry(member.name.clone()).or_insert(now);
            self.empty(member, since, now);
            self.close_links(member, new, now);
        }
        self.asked.retain(|_, at| now.saturating_duration_since(*at) < AGAIN);
        let due = self.looked.is_none_or(|at| now.saturating_duration_since(at) >= REBALANCE_LOOK);
        if self.settings.rebalance && due && self.router.pool().settings().policy == Policy::ConsistentHash {
            self.looked = Some(now);
            self.send_home(now);
        }
    }

    /// Sessions of a backend that is drained: the idle ones go, the busy ones end their turns at the deadline.
    fn empty(&mut self, member: &Arc<Member>, since: Instant, now: Instant) {
        let limit = match member.drain() {
            Some(drain) => drain.deadline.map(|at| at.saturating_duration_since(drain.since)),
            None => Some(self.settings.drain_timeout),
        };
        let waited = now.saturating_duration_since(since);
        for live in self.router.registry().living_at(member) {
            if live.is_under_way() || self.asked.contains_key(live.id()) {
                continue;
            }
            if live.is_busy() {
                if limit.is_some_and(|limit| waited >= limit) {
                    live.hurry(limit.is_some_and(|limit| waited >= limit + LAST_TURN));
                    self.asked.insert(live.id().into(), now);
                }
                continue;
            }
            if !self.router.pool().pacer().take(now.into_std(), LOOK) {
                break;
            }
            self.send(&live, Cause::Drain, None, now);
        }
    }

    /// Clients close links to it that nothing goes over any more.
    fn close_links(&mut self, member: &Member, new: bool, now: Instant) {
        let due = self.roused.is_none_or(|at| now.saturating_duration_since(at) >= AGAIN);
        if member.links.load(Ordering::Relaxed) > 0 && (new || due) {
            self.roused = Some(now);
            self.router.registry().rouse_clients();
        }
    }

    fn send(&mut self, live: &Arc<Live>, cause: Cause, wish: Option<Arc<Member>>, now: Instant) -> bool {
        self.asked.insert(live.id().into(), now);
        live.begin_move(cause, wish, now.into_std())
    }

    /// Idle sessions that live elsewhere than where their hash says, because that was down or drained: back to it. The bound
    /// on load is not asked, so a session that it displaced stays where it is once it is home.
    fn send_home(&mut self, now: Instant) {
        if self.router.pool().settings().hash_key != HashKey::Session {
            return;
        }
        let strangers =
            self.router.registry().all(|live| live.clients() > 0 && !live.is_under_way() && !live.is_busy());
        for live in strangers {
            let rested = live.moved().is_none_or(|at| now.into_std().saturating_duration_since(at) >= REST);
            let Some(wish) = self.router.pool().any(balance_key(&live)) else { continue };
            if !rested || wish.is_draining() || wish.name == live.home().name || self.router.pool().is_crowded(&wish) {
                continue;
            }
            if !self.homing.take(now.into_std(), REBALANCE_LOOK) {
                break;
            }
            self.send(&live, Cause::Rebalance, Some(wish), now);
        }
    }
}

fn balance_key(live: &Live) -> u64 {
    balance::hash_key(live.id().as_bytes())
}
