//! A pool: who gets a session, and where to look for one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Load, Member, Pacer, Policy, PoolSettings, Verdict};
use crate::{
    balance::{self, Candidate, RoundRobin},
    health,
};

/// Interchangeable backends under one policy.
#[derive(Debug)]
pub struct Pool {
    name: Arc<str>,
    settings: PoolSettings,
    members: ArcSwap<Vec<Arc<Member>>>,
    robin: Mutex<RoundRobin>,
    rotation: AtomicU64,
    pacer: Pacer,
    drains: Notify,
}

/// How many members are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// All members.
    pub total: usize,
    /// Healthy ones, drained or not.
    pub up: usize,
    /// Sick ones, drained or not.
    pub down: usize,
    /// Those not probed yet.
    pub unknown: usize,
    /// Those that the operator drains.
    pub draining: usize,
    /// Those that get new sessions now.
    pub eligible: usize,
}

impl Pool {
    /// A pool of `members`, whose names are distinct.
    pub fn new(name: impl Into<Arc<str>>, settings: PoolSettings, members: Vec<Arc<Member>>) -> Self {
        Self {
            name: name.into(),
            pacer: Pacer::new(settings.move_rate),
            drains: Notify::new(),
            settings,
            members: ArcSwap::from_pointee(members),
            robin: Mutex::default(),
            rotation: AtomicU64::new(0),
        }
    }

    /// Its name in the config.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What was set.
    pub fn settings(&self) -> &PoolSettings {
        &self.settings
    }

    /// To be notified when a drain of a member begins: its sessions have to go.
    pub fn drains(&self) -> &Notify {
        &self.drains
    }

    /// Whether a member carries more than the bound on load allows, with one session more.
    pub fn is_crowded(&self, member: &Member) -> bool {
        let members = self.members.load();
        let all: i64 = members.iter().map(|member| member.sessions.load(Ordering::Relaxed)).sum();
        let weights: u32 = members.iter().map(|member| member.weight()).sum();
        let bound = self.settings.bound();
        let share = all as f64 * f64::from(member.weight()) / f64::from(weights.max(1));
        let most = (share * bound.factor).max(bound.floor as f64);
        bound.factor > 0.0 && member.sessions.load(Ordering::Relaxed) as f64 + 1.0 > most
    }

    /// Spreads sessions that change their home over time.
    pub fn pacer(&self) -> &Pacer {
        &self.pacer
    }

    /// The members now. Cheap; a snapshot that stays as it is when the set changes.
    pub fn members(&self) -> Arc<Vec<Arc<Member>>> {
        self.members.load_full()
    }

    /// Replaces the set. Sessions and links on members that left go on until whoever holds them lets go.
    pub fn set_members(&self, members: Vec<Arc<Member>>) {
        let seeds: Vec<u64> = members.iter().map(|member| member.seed()).collect();
        self.members.store(Arc::new(members));
        self.robin.lock().retain(&seeds);
    }

    /// The member with this name.
    pub fn member(&self, name: &str) -> Option<Arc<Member>> {
        self.members.load().iter().find(|member| &*member.name == name).cloned()
    }

    /// Who gets a new session (or connection) with this key (see [`balance::hash_key`]); `None` if nobody takes one.
    /// `exclude` are names that were tried already. Whoever places has to count it (`hold_session`, `hold_link`) at once, for
    /// the next placement goes by the counts.
    pub fn place(&self, key: u64, exclude: &[&str], load: Load, now: Instant) -> Option<Arc<Member>> {
        let members = self.members.load();
        let panicking = self.panics_over(&members);
        let taken = |member: &Member| u64::try_from(member.sessions.load(Ordering::Relaxed)).unwrap_or(0);
        let full = |member: &Member| {
            load == Load::Sessions && self.settings.most_sessions.is_some_and(|most| taken(member) >= most)
        };
        let free = |member: &Member| takes_placements(member, panicking) && !exclude.contains(&&*member.name);
        // One that is full is passed over while another one has room: otherwise somebody would have to make way there.
        let all_full = members.iter().all(|member| !free(member) || full(member));
        let candidates = members
            .iter()
            .filter(|member| free(member) && (all_full || !full(member)))
            .map(|member| (self.candidate(member, load, now), member));
        let chosen = match self.settings.policy {
            Policy::ConsistentHash => balance::bounded(key, self.settings.bound(), candidates),
            Policy::RoundRobin => self.robin.lock().pick(candidates),
            Policy::LeastSessions => balance::least(self.rotation.fetch_add(1, Ordering::Relaxed), candidates),
        };
        chosen.cloned()
    }

    /// Where to look for a session: those that take placements in hash order, then the others in hash order (a
    /// drained one still has its sessions, and one that looks down may be back). Look at each one's verdict before dialling.
    pub fn order(&self, key: u64) -> Vec<Arc<Member>> {
        let members = self.members.load();
        let panicking = self.panics_over(&members);
        let ranked = balance::order(key, members.iter().map(|member| (hashed(member), member)));
        let (mut first, rest): (Vec<_>, Vec<_>) =
            ranked.into_iter().cloned().partition(|member| takes_placements(member, panicking));
        first.extend(rest);
        first
    }

    /// The member for requests without a session: the key's winner among those that take placements; when all
    /// are drained, among the healthy, for their clients still ask things. It places nothing, so load does not matter.
    pub fn any(&self, key: u64) -> Option<Arc<Member>> {
        let members = self.members.load();
        let panicking = self.panics_over(&members);
        let of = |wanted: &dyn Fn(&Member) -> bool| {
            let chosen = members.iter().filter(|member| wanted(member)).map(|member| (hashed(member), member));
            balance::rank(key, chosen).cloned()
        };
        of(&|member| takes_placements(member, panicking))
            .or_else(|| of(&|member| member.verdict() == Verdict::Up && member.address().is_some()))
    }

    /// How many members are up, drained or not.
    pub fn healthy_count(&self) -> usize {
        self.counts().up
    }

    /// How many members are in which state.
    pub fn counts(&self) -> PoolCounts {
        let members = self.members.load();
        let panicking = self.panics_over(&members);
        let mut counts = PoolCounts { total: members.len(), ..PoolCounts::default() };
        for member in members.iter() {
            match member.verdict() {
                Verdict::Up => counts.up += 1,
                Verdict::Down => counts.down += 1,
                Verdict::Unknown => counts.unknown += 1,
            }
            counts.draining += usize::from(member.is_draining());
            counts.eligible += usize::from(takes_placements(member, panicking));
        }
        counts
    }

    /// Whether so few are up that the verdicts are not believed.
    pub fn is_panicking(&self) -> bool {
        self.panics_over(&self.members.load())
    }

    /// One that cannot be dialled could not be placed on in a panic either, so it does not count.
    fn panics_over(&self, members: &[Arc<Member>]) -> bool {
        let dialled = members.iter().filter(|member| member.address().is_some());
        let states = dialled.map(|member| (member.verdict(), member.is_draining()));
        health::panicking(states, self.settings.panic_threshold)
    }

    fn candidate(&self, member: &Member, load: Load, now: Instant) -> Candidate {
        let slow_start = self.settings.slow_start;
        let ramp = if slow_start.is_zero() { 1.0 } else { health::ramp(member.recovered_at(), now, slow_start) };
        member.candidate(load, ramp)
    }
}

/// One without an address cannot be dialled, whatever the verdicts say.
fn takes_placements(member: &Member, panicking: bool) -> bool {
    health::eligible(member.verdict(), member.is_draining(), panicking) && member.address().is_some()
}

/// For uses where only name and weight count.
fn hashed(member: &Member) -> Candidate {
    member.candidate(Load::Sessions, 1.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{balance::hash_key, pool::Admission};

    fn pool(policy: Policy, names: &[&str]) -> Pool {
        let members = names.iter().map(|name| {
            let member = Member::new("p".into(), (*name).into(), 1, Some(([127, 0, 0, 1], 1).into()));
            member.set_verdict(Verdict::Up);
            Arc::new(member)
        });
        Pool::new("p", PoolSettings { policy, ..PoolSettings::default() }, members.collect())
    }

    fn names(members: &[Arc<Member>]) -> Vec<&str> {
        members.iter().map(|member| &*member.name).collect()
    }

    fn place(pool: &Pool, key: u64) -> Option<Arc<Member>> {
        pool.place(key, &[], Load::Sessions, Instant::now())
    }

    #[test]
    fn the_hash_places_and_its_order_is_the_search() {
        let pool = pool(Policy::ConsistentHash, &["a", "b", "c"]);
        for key in 0..100 {
            let order = pool.order(key);
            assert!(Arc::ptr_eq(&place(&pool, key).unwrap(), &order[0]));
            assert!(Arc::ptr_eq(&pool.any(key).unwrap(), &order[0]));
            let tried = [&*order[0].name];
            assert!(Arc::ptr_eq(&pool.place(key, &tried, Load::Sessions, Instant::now()).unwrap(), &order[1]));
        }
        assert!(pool.place(1, &["a", "b", "c"], Load::Sessions, Instant::now()).is_none());
    }

    #[test]
    fn a_hundred_sessions_stay_within_the_bound() {
        let pool = pool(Policy::ConsistentHash, &["a", "b", "c"]);
        let slots: Vec<_> =
            (0..100u32).map(|i| place(&pool, hash_key(&i.to_le_bytes())).unwrap().hold_session()).collect();
        assert_eq!(slots.len(), 100);
        assert!(pool.members().iter().all(|member| member.sessions.load(Ordering::Relaxed) <= 42));
    }

    #[test]
    fn the_sick_and_the_drained_get_nothing_new_but_are_searched() {
        let pool = pool(Policy::ConsistentHash, &["a", "b", "c"]);
        pool.member("a").unwrap().set_verdict(Verdict::Down);
        pool.member("b").unwrap().set_admission(Admission::Drain);
        for key in 0..50 {
            assert_eq!(&*place(&pool, key).unwrap().name, "c");
            let order = pool.order(key);
            assert_eq!(&*order[0].name, "c");
            assert_eq!(order.len(), 3);
        }
        assert_eq!(pool.counts(), PoolCounts { total: 3, up: 2, down: 1, unknown: 0, draining: 1, eligible: 1 });
        assert_eq!(pool.healthy_count(), 2);
    }

    #[test]
    fn requests_without_a_session_go_on_while_all_are_drained() {
        let pool = pool(Policy::ConsistentHash, &["a", "b"]);
        pool.members().iter().for_each(|member| member.set_admission(Admission::Drain));
        assert!(place(&pool, 1).is_none());
        assert!(pool.any(1).is_some());
    }

    #[test]
    fn all_looking_bad_is_not_believed() {
        let pool = pool(Policy::ConsistentHash, &["a", "b"]);
        pool.members().iter().for_each(|member| {
            member.set_verdict(Verdict::Down);
        });
        assert!(pool.is_panicking());
        assert!(place(&pool, 1).is_some());
        pool.members().iter().for_each(|member| member.set_address(None));
        assert!(place(&pool, 1).is_none());
        let believing =
            Pool::new("p", PoolSettings { panic_threshold: 0, ..PoolSettings::default() }, pool.members().to_vec());
        assert!(!believing.is_panicking());
        assert!(place(&believing, 1).is_none());
    }

    #[test]
    fn round_robin_goes_round() {
        let pool = pool(Policy::RoundRobin, &["a", "b", "c"]);
        let got: String = (0..6).map(|_| place(&pool, 7).unwrap().name.to_string()).collect();
        assert_eq!(got, "abcabc");
    }

    #[test]
    fn least_goes_by_the_load_that_is_asked_for() {
        let pool = pool(Policy::LeastSessions, &["a", "b"]);
        let _session = pool.member("a").unwrap().hold_session();
        let _link = pool.member("b").unwrap().hold_link();
        let by = |load| pool.place(0, &[], load, Instant::now()).unwrap().name.to_string();
        assert_eq!((by(Load::Sessions), by(Load::Links)), ("b".into(), "a".into()));
    }

    #[test]
    fn one_that_recovered_starts_slowly() {
        let pool = pool(Policy::RoundRobin, &["a", "b"]);
        let (start, member) = (Instant::now(), pool.member("b").unwrap());
        member.set_verdict(Verdict::Down);
        member.set_verdict_at(Verdict::Up, start);
        let share = |now| {
            let got = (0..110).filter(|_| pool.place(0, &[], Load::Sessions, now).unwrap().name == member.name);
            got.count()
        };
        assert_eq!(share(start), 10);
        assert_eq!(share(start + Duration::from_secs(30)), 55);
    }

    #[test]
    fn members_come_and_go() {
        let pool = pool(Policy::RoundRobin, &["a", "b"]);
        let before = pool.members();
        pool.set_members(vec![before[1].clone()]);
        assert_eq!(names(&before), ["a", "b"]);
        assert_eq!(names(&pool.members()), ["b"]);
        assert!(pool.member("a").is_none());
    }
}
