use super::*;
use crate::{
    pool::Verdict,
    session::{Attachment, Bell, Leases, Registry},
};

fn member(name: &str) -> Arc<Member> {
    let member = Member::new("p".into(), name.into(), 1, Some(([127, 0, 0, 1], 1).into()));
    member.set_verdict(Verdict::Up);
    Arc::new(member)
}

struct Rig {
    registry: Arc<Registry>,
    now: Instant,
    numbers: u32,
}

impl Rig {
    fn new(backend: usize, pool: Option<usize>, evict: Evict) -> Self {
        let room = Room::new(RoomSettings { backend: Some(backend), pool, evict });
        let registry = Arc::new(Registry::with_room(Duration::from_secs(5), room, Leases::alone()));
        Self { registry, now: Instant::now(), numbers: 0 }
    }

    /// A session of `tenant`, with at most `limit` live ones, wants to live at `at`.
    fn open(&mut self, id: &str, at: &Arc<Member>, tenant: Option<(&str, usize)>) -> (Attachment, Option<Full>) {
        self.numbers += 1;
        let bell = Arc::new(Bell::new(self.numbers));
        if let Some((tenant, limit)) = tenant {
            bell.bear(Bearer { tenant: tenant.into(), limit: Some(limit) });
        }
        let claim = self.registry.claim(id, &bell, self.now, || Some(at.clone())).unwrap();
        // Later than the one before.
        self.now += Duration::from_millis(10);
        (claim.attachment, claim.full)
    }

    fn seat(&self, of: &Attachment) -> Result<(), Full> {
        self.registry.seat(of.live(), self.now)
    }
}

fn victim(full: &Full) -> Option<&str> {
    full.victim.as_ref().map(|live| live.id())
}

/// It makes way: closed at its backend, kept by us.
fn park(of: &Attachment, now: Instant) {
    let client = of.client_number();
    of.live().relocate(|course| course.quiet(client));
    of.live().step(client);
    of.live().closed(client);
    assert!(of.live().is_parked() && !of.live().is_seated(), "{now:?}");
}

#[test]
fn the_idle_one_that_was_not_used_for_longest_makes_way() {
    let (mut rig, a) = (Rig::new(2, None, Evict::OldestIdle), member("a"));
    let (one, _) = rig.open("one", &a, None);
    let (two, _) = rig.open("two", &a, None);
    one.live().touch(rig.now);
    rig.now += Duration::from_millis(10);
    let (three, full) = rig.open("three", &a, None);
    let full = full.unwrap();
    assert_eq!((full.limit, full.ahead, victim(&full)), (Limit::Backend(2), 0, Some("two")));
    assert!(two.live().begin_move(Cause::Evict, None, rig.now));
    assert_eq!(victim(&rig.seat(&three).unwrap_err()), None, "one is on its way out already");
    park(&two, rig.now);
    assert!(rig.seat(&three).is_ok() && three.live().is_seated_at(&a));
    assert_eq!(rig.registry.room().waiting(), 0);
    assert_eq!(a.sessions.load(Ordering::Relaxed), 2);
}

#[test]
fn a_busy_one_stays_and_one_that_refused_is_left_alone_for_a_moment() {
    let (mut rig, a) = (Rig::new(2, None, Evict::OldestIdle), member("a"));
    let (one, _) = rig.open("one", &a, None);
    let (two, _) = rig.open("two", &a, None);
    one.live().begin_turn(rig.now);
    two.live().refuses(rig.now);
    let (three, full) = rig.open("three", &a, None);
    assert_eq!(victim(&full.unwrap()), None);
    rig.now += Duration::from_secs(1);
    assert_eq!(victim(&rig.seat(&three).unwrap_err()), Some("two"));
}

#[test]
fn who_stands_in_line_longer_sits_first() {
    let (mut rig, a, b) = (Rig::new(1, None, Evict::Queue), member("a"), member("b"));
    let (one, _) = rig.open("one", &a, None);
    let (two, first) = rig.open("two", &a, None);
    let (three, second) = rig.open("three", &a, None);
    assert_eq!((first.unwrap().ahead, second.as_ref().unwrap().ahead), (0, 1));
    assert_eq!(victim(&second.unwrap()), None, "nobody makes way");
    let (_other, full) = rig.open("other", &b, None);
    assert!(full.is_none(), "there is room at another backend");
    one.detach();
    assert_eq!(rig.seat(&three).unwrap_err().ahead, 1, "it is the turn of the one before");
    assert!(rig.seat(&two).is_ok());
    two.detach();
    assert!(rig.seat(&three).is_ok());
}

#[test]
fn who_is_gone_leaves_the_line() {
    let (mut rig, a) = (Rig::new(1, None, Evict::Queue), member("a"));
    let (one, _) = rig.open("one", &a, None);
    let (two, _) = rig.open("two", &a, None);
    let (three, _) = rig.open("three", &a, None);
    drop(two);
    assert_eq!(rig.registry.room().waiting(), 1);
    one.detach();
    assert!(rig.seat(&three).is_ok());
}

#[test]
fn a_lost_clients_session_counts_for_a_moment_longer() {
    let (mut rig, a) = (Rig::new(1, None, Evict::Reject), member("a"));
    let (one, _) = rig.open("one", &a, None);
    drop(one);
    let (two, full) = rig.open("two", &a, None);
    assert!(full.is_some(), "its backend may not have noticed");
    rig.now = Instant::now() + FADES;
    assert!(rig.seat(&two).is_ok());
}

#[test]
fn a_tenants_own_limit_touches_nobody_else() {
    let (mut rig, a, b) = (Rig::new(3, None, Evict::OldestIdle), member("a"), member("b"));
    let (_theirs, _) = rig.open("theirs", &a, Some(("bob", 9)));
    let (_mine, _) = rig.open("mine", &b, Some(("alice", 1)));
    let (_more, full) = rig.open("more", &a, Some(("alice", 1)));
    let full = full.unwrap();
    assert_eq!((full.limit, victim(&full)), (Limit::Tenant(1), Some("mine")), "wherever it lives");
    let (_next, full) = rig.open("next", &a, Some(("bob", 9)));
    assert!(full.is_none(), "who waits for its own tenant's room keeps nobody else waiting");
    let (_third, full) = rig.open("third", &a, Some(("bob", 9)));
    assert!(full.is_none());
    let (_carol, full) = rig.open("carol", &a, Some(("carol", 9)));
    assert_eq!(victim(&full.unwrap()), None, "never another tenant's");
}

#[test]
fn the_pool_has_a_limit_of_its_own() {
    let (mut rig, a, b) = (Rig::new(2, Some(3), Evict::OldestIdle), member("a"), member("b"));
    let _all = [rig.open("1", &a, None), rig.open("2", &a, None), rig.open("3", &b, None)];
    let (_four, full) = rig.open("4", &b, None);
    let full = full.unwrap();
    assert_eq!((full.limit, victim(&full)), (Limit::Pool(3), Some("1")));
}

#[test]
fn what_a_backend_made_by_itself_is_let_in_and_another_one_makes_way() {
    let (mut rig, a) = (Rig::new(1, None, Evict::OldestIdle), member("a"));
    let (one, _) = rig.open("one", &a, None);
    let (fork, full) = rig.open("fork", &a, None);
    assert!(full.is_some());
    let room = rig.registry.room();
    room.take_anyway(fork.live(), &a);
    assert!(fork.live().is_seated_at(&a));
    one.live().touch(rig.now - Duration::from_secs(1));
    assert_eq!(room.surplus(&a, fork.live(), rig.now).unwrap().id(), "one");
    assert_eq!(room.waiting(), 0);
}
