//! One backend as the rest of the proxy sees it: a name, an address, counters, a verdict.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{Drain, Life, Load};
use crate::{
    balance::{self, Candidate},
    health::Verdict,
    model::{Endpoint, Secret},
};

/// So many earlier addresses are remembered.
const FORMER: usize = 4;

/// What the operator says of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Admission {
    /// Takes placements if it is healthy.
    Ready = 0,
    /// Takes no new placements; sessions that live here go on.
    Drain = 1,
}

/// What a backend said of itself when it was last greeted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The CLI's version, as it spells it; `None` from servers that do not tell.
    pub version: Option<String>,
    /// The protocol's version.
    pub protocol_version: u32,
}

/// The last check, for `/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastCheck {
    /// When it ended.
    pub at: Instant,
    /// `ok`, or why not; a closed set, see `backend::probe`.
    pub reason: &'static str,
    /// How long it took.
    pub took: std::time::Duration,
}

/// One backend of a pool. Shared by every client task; reading it takes no lock.
#[derive(Debug)]
pub struct Member {
    /// The backend's name in the config: what the rendezvous hash is over.
    pub name: Arc<str>,
    /// The pool's name.
    pub pool: Arc<str>,
    /// Sessions that live here, as far as this proxy knows.
    pub sessions: AtomicI64,
    /// Links (one for each client) open to it.
    pub links: AtomicI64,
    /// Turns running on it.
    pub turns: AtomicI64,
    /// Times that the supervisor started its process again.
    pub restarts: AtomicU64,
    /// Wakes the probe at once: a link was refused, reset or closed.
    pub suspect: Notify,
    /// What it said of itself; `None` until the first greeting.
    pub identity: ArcSwapOption<Identity>,
    /// The last check; `None` until the first.
    pub last_check: ArcSwapOption<LastCheck>,
    /// The life of the process that serves now.
    pub life: Life,
    token: Option<Secret>,
    seed: u64,
    weight: AtomicU32,
    server_name: OnceLock<Box<str>>,
    address: ArcSwapOption<Endpoint>,
    incarnation: AtomicU64,
    /// Earlier addresses, the last one first.
    former: Mutex<Vec<(u64, Endpoint)>>,
    verdict: AtomicU8,
    verdicts: watch::Sender<Verdict>,
    recovered: ArcSwapOption<Instant>,
    since: ArcSwapOption<Instant>,
    admission: AtomicU8,
    drain: ArcSwapOption<Drain>,
}

impl Member {
    /// A member that nobody has probed yet.
    pub fn new(pool: Arc<str>, name: Arc<str>, weight: u32, address: Option<Endpoint>) -> Self {
        Self {
            token: None,
            seed: balance::name_seed(&name),
            name,
            pool,
            weight: AtomicU32::new(weight.max(1)),
            sessions: AtomicI64::new(0),
            links: AtomicI64::new(0),
            turns: AtomicI64::new(0),
            restarts: AtomicU64::new(0),
            suspect: Notify::new(),
            identity: ArcSwapOption::empty(),
            last_check: ArcSwapOption::empty(),
            life: Life::default(),
            server_name: OnceLock::new(),
            address: ArcSwapOption::new(address.map(Arc::new)),
            incarnation: AtomicU64::new(0),
            former: Mutex::default(),
            verdict: AtomicU8::new(Verdict::Unknown as u8),
            verdicts: watch::Sender::new(Verdict::Unknown),
            recovered: ArcSwapOption::empty(),
            since: ArcSwapOption::empty(),
            admission: AtomicU8::new(Admission::Ready as u8),
            drain: ArcSwapOption::empty(),
        }
    }

    /// The same, with a token of its own that it wants in `connect`, whatever the pool's is.
    #[must_use]
    pub fn with_token(self, token: Secret) -> Self {
        Self { token: Some(token), ..self }
    }

    /// What it wants in `connect`: its own token, or else its pool's.
    pub fn token<'a>(&'a self, pools: Option<&'a Secret>) -> Option<&'a Secret> {
        self.token.as_ref().or(pools)
    }

    /// Relative share of placements, at least 1.
    pub fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Sets the share for later placements.
    pub fn set_weight(&self, weight: u32) {
        self.weight.store(weight.max(1), Ordering::Relaxed);
    }

    /// Where to dial it now; `None` while its name has not been resolved or, for a supervised one, while it is not started.
    pub fn address(&self) -> Option<Endpoint> {
        self.address.load().as_deref().cloned()
    }

    /// Sets the address that later links dial. Links that are open stay where they are, and so do the sessions on them.
    pub fn set_address(&self, address: Option<Endpoint>) {
        let mut former = self.former.lock();
        match (self.address.swap(address.clone().map(Arc::new)), address) {
            // Somebody else may be there by now.
            (_, None) => former.clear(),
            (Some(before), Some(now)) if *before != now => {
                former.insert(0, (self.incarnation(), Arc::unwrap_or_clone(before)));
                former.truncate(FORMER);
            }
            _ => {}
        }
        self.incarnation.fetch_add(1, Ordering::AcqRel);
    }

    /// Where that incarnation was dialled, if it had another address than now and its sessions may live there yet.
    pub fn former_address(&self, incarnation: u64) -> Option<Endpoint> {
        let former = self.former.lock();
        former.iter().find(|(of, _)| *of == incarnation).map(|(_, address)| address.clone())
    }

    /// The host that its address was given by: what its certificate has to be for, where it speaks TLS.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.get().map(|name| &**name)
    }

    /// Sets that, once.
    pub fn set_server_name(&self, name: &str) {
        let _ = self.server_name.set(name.into());
    }

    /// Grows with every [`Member::set_address`]: what was learned of an earlier one says nothing of this one, even if a
    /// new process happens to have the old port.
    pub fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    /// What health says now.
    pub fn verdict(&self) -> Verdict {
        verdict_of(self.verdict.load(Ordering::Acquire))
    }

    /// Records what health says; gives back what it said before. Starts no slow start: see [`Member::set_verdict_at`].
    pub fn set_verdict(&self, verdict: Verdict) -> Verdict {
        let before = verdict_of(self.verdict.swap(verdict as u8, Ordering::AcqRel));
        if before != verdict {
            self.verdicts.send_replace(verdict);
        }
        before
    }

    /// As [`Member::set_verdict`]; a change from down to up at `now` begins a slow start. One from unknown does not: a
    /// fleet that starts together has nobody to be spared by.
    pub fn set_verdict_at(&self, verdict: Verdict, now: Instant) -> Verdict {
        if verdict == Verdict::Up && self.verdict() == Verdict::Down {
            self.recovered.store(Some(Arc::new(now)));
        }
        self.since.store(Some(Arc::new(now)));
        self.set_verdict(verdict)
    }

    /// Since when the verdict is what it is; `None` before the first one.
    pub fn verdict_since(&self) -> Option<Instant> {
        self.since.load().as_deref().copied()
    }

    /// Hears every later change of the verdict.
    pub fn verdicts(&self) -> watch::Receiver<Verdict> {
        self.verdicts.subscribe()
    }

    /// It is another process since `now`, whether or not a check saw the gap: its slow start begins.
    pub fn start_slowly(&self, now: Instant) {
        self.recovered.store(Some(Arc::new(now)));
    }

    /// When it last came back from down to up.
    pub fn recovered_at(&self) -> Option<Instant> {
        self.recovered.load().as_deref().copied()
    }

    /// What the operator says now.
    pub fn admission(&self) -> Admission {
        if self.admission.load(Ordering::Acquire) == 1 { Admission::Drain } else { Admission::Ready }
    }

    /// Records what the operator says. Of a drain that begins this way nothing more is known: see [`Member::begin_drain`].
    pub fn set_admission(&self, admission: Admission) {
        self.admission.store(admission as u8, Ordering::Release);
        if admission == Admission::Ready {
            self.drain.store(None);
        }
    }

    /// Drains it as `drain` says. Whoever begins one also wakes the mover (`Pool::drains`).
    pub fn begin_drain(&self, drain: Drain) {
        self.drain.store(Some(Arc::new(drain)));
        self.set_admission(Admission::Drain);
    }

    /// What is known of the drain; `None` also for one that nobody said more of.
    pub fn drain(&self) -> Option<Arc<Drain>> {
        self.drain.load_full()
    }

    /// Whether the operator keeps new placements away from it.
    pub fn is_draining(&self) -> bool {
        self.admission() == Admission::Drain
    }

    /// Whether it is drained to the end: no session lives here and no link is open.
    pub fn is_drained(&self) -> bool {
        self.is_draining() && self.sessions.load(Ordering::Acquire) <= 0 && self.links.load(Ordering::Acquire) <= 0
    }

    /// How the placement policies see it.
    pub(super) fn candidate(&self, load: Load, ramp: f64) -> Candidate {
        let count = match load {
            Load::Sessions => &self.sessions,
            Load::Links => &self.links,
        };
        let load = u64::try_from(count.load(Ordering::Relaxed)).unwrap_or(0);
        Candidate { seed: self.seed, weight: self.weight(), load, ramp }
    }

    /// [`balance::name_seed`] of its name.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }
}

fn verdict_of(stored: u8) -> Verdict {
    match stored {
        1 => Verdict::Up,
        2 => Verdict::Down,
        _ => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pool::DrainCause;

    fn member() -> Member {
        Member::new("p".into(), "m".into(), 0, None)
    }

    #[test]
    fn only_a_recovery_starts_slowly() {
        let (member, start) = (member(), Instant::now());
        assert_eq!(member.set_verdict_at(Verdict::Up, start), Verdict::Unknown);
        assert_eq!(member.recovered_at(), None);
        member.set_verdict_at(Verdict::Down, start);
        let later = start + Duration::from_secs(1);
        assert_eq!(member.set_verdict_at(Verdict::Up, later), Verdict::Down);
        assert_eq!(member.recovered_at(), Some(later));
        member.set_verdict_at(Verdict::Up, later + Duration::from_secs(1));
        assert_eq!(member.recovered_at(), Some(later));
    }

    #[test]
    fn watchers_hear_changes_only() {
        let member = member();
        let mut verdicts = member.verdicts();
        member.set_verdict(Verdict::Unknown);
        assert!(!verdicts.has_changed().unwrap());
        member.set_verdict(Verdict::Up);
        assert!(verdicts.has_changed().unwrap());
        assert_eq!(*verdicts.borrow_and_update(), Verdict::Up);
    }

    #[test]
    fn it_is_drained_when_nothing_is_left_on_it() {
        let member = Arc::new(member());
        assert!(!member.is_drained());
        let (session, link) = (member.hold_session(), member.hold_link());
        member.begin_drain(Drain::begin(DrainCause::Operator, "new disk", None));
        assert!(member.is_draining() && !member.is_drained());
        assert_eq!(member.drain().map(|drain| drain.reason.to_string()).as_deref(), Some("new disk"));
        drop(session);
        assert!(!member.is_drained());
        drop(link);
        assert!(member.is_drained());
        member.set_admission(Admission::Ready);
        assert!(!member.is_drained() && member.drain().is_none());
    }

    #[test]
    fn earlier_addresses_are_known_until_there_is_none() {
        let member = member();
        let at = |last: u8| Endpoint::from(([127, 0, 0, last], 1));
        member.set_address(Some(at(1)));
        let first = member.incarnation();
        member.set_address(Some(at(1)));
        assert_eq!(member.former_address(first), None);
        let second = member.incarnation();
        (2..5).for_each(|last| member.set_address(Some(at(last))));
        assert_eq!((member.former_address(second), member.address()), (Some(at(1)), Some(at(4))));
        (5..9).for_each(|last| member.set_address(Some(at(last))));
        assert_eq!(member.former_address(second), None);
        member.set_address(None);
        assert_eq!(member.former_address(member.incarnation() - 2), None);
    }

    #[test]
    fn a_weight_of_nothing_is_one_and_a_negative_count_is_none() {
        let member = member();
        assert_eq!(member.weight(), 1);
        member.sessions.store(-1, Ordering::Relaxed);
        assert_eq!(member.candidate(Load::Sessions, 1.0).load, 0);
    }
}
