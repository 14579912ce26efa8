//! A backend of one's own: whose it is, the pool of one that it makes, and how far its process is. Clients enter it before they
//! say anything to it, and whoever runs it stops it only while nobody is in it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Router;
use crate::{model::Identity, pool::Verdict};

/// How far the process of an instance is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// There is none.
    #[default]
    Asleep,
    /// Somebody needs it, and there is no place for it.
    Queued,
    /// It is being started.
    Starting,
    /// It serves.
    Up,
    /// It is to stop: its sessions are closed, then its clients leave. Whoever needs it meanwhile stops that.
    Resting,
    /// It is being stopped.
    Stopping,
    /// It cannot be had for now.
    Failing(Arc<Trouble>),
}

impl Phase {
    /// The word for it in `/status`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Resting => "resting",
            Self::Stopping => "stopping",
            Self::Failing(_) => "failing",
        }
    }

    fn is_open(&self) -> bool {
        matches!(self, Self::Up | Self::Resting)
    }
}

/// Why an instance cannot be had, for its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In words, without secrets.
    pub message: String,
    /// It is tried again then; asked sooner, it is refused.
    pub until: Instant,
}

/// What a client is told that wants in.
#[derive(Debug)]
pub enum Entry {
    /// It is in.
    In(Occupancy),
    /// It hears by its bell when to ask again.
    Wait,
    /// It cannot be had for now.
    Refused(Arc<Trouble>),
}

/// One identity's own backend.
pub struct Instance {
    who: Identity,
    router: Router,
    state: Mutex<State>,
    open: AtomicBool,
    born: Instant,
    /// When a client last had something to do with it: milliseconds since it was made.
    used: AtomicU64,
    /// Clients of which something runs.
    busy: AtomicUsize,
    steward: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    occupants: usize,
    wanted: Option<Instant>,
}

impl Instance {
    /// The instance of `who` over a pool of its own, not started. `steward` is told when somebody wants or leaves it.
    pub fn new(who: Identity, router: Router, steward: Arc<Notify>, now: Instant) -> Arc<Self> {
        Arc::new(Self {
            who,
            router,
            state: Mutex::default(),
            open: AtomicBool::new(false),
            born: now,
            used: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            steward,
        })
    }

    /// Whose it is.
    pub fn who(&self) -> &Identity {
        &self.who
    }

    /// Its pool and its sessions.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.state.lock().phase.clone()
    }

    /// Whether it serves: one load.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Whether its clients are asked to leave.
    pub fn is_resting(&self) -> bool {
        self.state.lock().phase == Phase::Resting
    }

    /// Lets a client in, or notes that it is wanted.
    pub fn enter(self: &Arc<Self>, now: Instant) -> Entry {
        self.touch(now);
        let mut state = self.state.lock();
        match &state.phase {
            Phase::Up | Phase::Resting => {
                state.phase = Phase::Up;
                state.occupants += 1;
                state.wanted = None;
                return Entry::In(Occupancy { instance: self.clone(), busy: false });
            }
            Phase::Failing(trouble) if trouble.until > now => return Entry::Refused(trouble.clone()),
            _ => {}
        }
        state.wanted.get_or_insert(now);
        drop(state);
        self.steward.notify_one();
        Entry::Wait
    }

    /// Nobody waits for it any more who did.
    pub fn give_up(&self) {
        self.state.lock().wanted = None;
    }

    /// Since when somebody waits for it.
    pub fn wanted(&self) -> Option<Instant> {
        self.state.lock().wanted
    }

    /// Moves it on; its clients look around.
    pub fn advance(&self, phase: Phase) {
        {
            let mut state = self.state.lock();
            if state.phase == phase {
                return;
            }
            self.open.store(phase.is_open(), Ordering::Release);
            state.phase = phase;
        }
        self.router.registry().rouse_clients();
    }

    /// From resting to stopping, if nobody is in it. `false`: somebody is, or needed it meanwhile.
    pub fn close(&self) -> bool {
        let mut state = self.state.lock();
        let closes = state.phase == Phase::Resting && state.occupants == 0 && state.wanted.is_none();
        if closes {
            self.open.store(false, Ordering::Release);
            state.phase = Phase::Stopping;
        }
        closes
    }

    /// From up to resting, if nothing of it runs. `false`: something does.
    pub fn rest(&self) -> bool {
        if !self.is_idle() {
            return false;
        }
        {
            let mut state = self.state.lock();
            if state.phase != Phase::Up {
                return false;
            }
            state.phase = Phase::Resting;
        }
        self.router.registry().rouse_clients();
        true
    }

    /// Clients that are in it.
    pub fn occupants(&self) -> usize {
        self.state.lock().occupants
    }

    /// No client does anything with it, no turn runs, and each of its live sessions may be closed.
    pub fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Acquire) == 0
            && self.router.pool().members().iter().all(|member| member.turns.load(Ordering::Relaxed) <= 0)
            && self.router.registry().room().seated().iter().all(|live| live.may_make_way())
    }

    /// Somebody has something to do with it.
    #[inline]
    pub fn touch(&self, now: Instant) {
        self.used.fetch_max(self.stamp(now), Ordering::Relaxed);
    }

    /// How long nobody has had anything to do with it.
    pub fn unused_for(&self, now: Instant) -> Duration {
        Duration::from_millis(self.stamp(now).saturating_sub(self.used.load(Ordering::Relaxed)))
    }

    /// Whether somebody has had something to do with it since `then`.
    pub fn was_used_after(&self, then: Instant) -> bool {
        self.used.load(Ordering::Relaxed) > self.stamp(then)
    }

    /// Whether there is a process that may be dialled.
    #[inline]
    pub fn is_reachable(&self) -> bool {
        self.router.pool().members().iter().any(|member| member.address().is_some())
    }

    /// Grows with every process, and with every end of one.
    pub fn incarnation(&self) -> u64 {
        self.router.pool().members().first().map_or(0, |member| member.incarnation())
    }

    /// Whether its process is well by the word of its checks.
    pub fn is_healthy(&self) -> bool {
        self.router.pool().members().iter().any(|member| member.verdict() == Verdict::Up && member.address().is_some())
    }

    fn stamp(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("who", &self.who).field("state", &*self.state.lock()).finish_non_exhaustive()
    }
}

/// A client's presence in an instance, until it is dropped.
#[derive(Debug)]
pub struct Occupancy {
    instance: Arc<Instance>,
    busy: bool,
}

impl Occupancy {
    /// Whether something of the client runs at `now`, or it said something.
    #[inline]
    pub fn note(&mut self, runs: bool, active: bool, now: Instant) {
        if runs || active {
            self.instance.touch(now);
        }
        if runs != self.busy {
            self.busy = runs;
            if runs {
                self.instance.busy.fetch_add(1, Ordering::AcqRel);
            } else {
                self.instance.busy.fetch_sub(1, Ordering::AcqRel);
                self.instance.steward.notify_one();
            }
        }
    }
}

impl Drop for Occupancy {
    fn drop(&mut self) {
        if self.busy {
            self.instance.busy.fetch_sub(1, Ordering::AcqRel);
        }
        self.instance.state.lock().occupants -= 1;
        self.instance.steward.notify_one();
    }
}

/// Gives identities backends of their own.
pub trait Quarters: fmt::Debug + Send + Sync {
    /// The instance of `who`: the one that there is, or a new one that sleeps.
    fn of(&self, who: &Identity) -> Arc<Instance>;
    /// How long a client waits for a place or a start.
    fn patience(&self) -> Duration;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pool::{Pool, PoolSettings},
        session::Registry,
    };

    fn instance(now: Instant) -> Arc<Instance> {
        let pool = Arc::new(Pool::new("own", PoolSettings::default(), Vec::new()));
        let registry = Arc::new(Registry::new(Duration::from_secs(5)));
        Instance::new(Identity::of("alice"), Router::new(pool, registry), Arc::default(), now)
    }

    #[test]
    fn whoever_comes_first_wakes_it_and_is_let_in_when_it_serves() {
        let now = Instant::now();
        let own = instance(now);
        assert!(matches!(own.enter(now), Entry::Wait));
        assert_eq!(own.wanted(), Some(now));
        own.advance(Phase::Starting);
        assert!(!own.is_open());
        own.advance(Phase::Up);
        let Entry::In(inside) = own.enter(now) else { panic!("it serves") };
        assert_eq!((own.occupants(), own.wanted()), (1, None));
        drop(inside);
        assert_eq!(own.occupants(), 0);
    }

    #[test]
    fn it_stops_only_while_nobody_is_in_it_or_wants_it() {
        let now = Instant::now();
        let own = instance(now);
        own.advance(Phase::Up);
        let Entry::In(mut inside) = own.enter(now) else { panic!("it serves") };
        inside.note(true, true, now);
        assert!(!own.rest(), "something runs");
        inside.note(false, false, now);
        assert!(own.rest());
        assert!(!own.close(), "somebody is in it");
        let Entry::In(other) = own.enter(now) else { panic!("it serves still") };
        assert_eq!(own.phase(), Phase::Up, "whoever needs it stops the rest");
        drop((inside, other));
        assert!(!own.close());
        assert!(own.rest() && own.close());
        assert!(!own.is_open());
        assert!(matches!(own.enter(now), Entry::Wait));
    }

    #[test]
    fn trouble_is_told_until_it_is_tried_again() {
        let now = Instant::now();
        let own = instance(now);
        let trouble = Trouble { message: "it ended".into(), until: now + Duration::from_secs(2) };
        own.advance(Phase::Failing(Arc::new(trouble.clone())));
        let Entry::Refused(told) = own.enter(now) else { panic!("it cannot be had") };
        assert_eq!(*told, trouble);
        assert_eq!(own.wanted(), None);
        assert!(matches!(own.enter(now + Duration::from_secs(2)), Entry::Wait));
        assert!(own.wanted().is_some());
    }

    #[test]
    fn it_knows_since_when_nobody_used_it() {
        let now = Instant::now();
        let own = instance(now);
        own.advance(Phase::Up);
        let Entry::In(mut inside) = own.enter(now) else { panic!("it serves") };
        inside.note(true, true, now + Duration::from_secs(4));
        assert_eq!(own.unused_for(now + Duration::from_secs(9)), Duration::from_secs(5));
        assert!(own.was_used_after(now + Duration::from_secs(3)) && !own.was_used_after(now + Duration::from_secs(4)));
        drop(inside);
        assert!(own.is_idle());
    }
}
