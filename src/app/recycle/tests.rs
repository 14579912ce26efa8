//! Who is due, among members without processes.

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{
    app::cleanup::Cleanup,
    app::operations::{Operations, OperationsSettings},
    pool::{Admission, Pool, PoolSettings},
    session::Registry,
};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn recycler(limits: WearLimits, names: &[&str]) -> Recycler {
    let member = |name: &&str| {
        let member = Member::new("p".into(), (*name).into(), 1, Some(([127, 0, 0, 1], 1).into()));
        member.set_verdict(Verdict::Up);
        Arc::new(member)
    };
    let metrics = Arc::new(Metrics::new(&[]).unwrap());
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    let settings = OperationsSettings { drain_timeout: SECOND, sessions_stay: false };
    let squadron = Squadron {
        dialer: crate::backend::Dialer::default(),
        pool: Arc::new(Pool::new("p", PoolSettings::default(), names.iter().map(member).collect())),
        registry: Arc::new(Registry::new(Duration::ZERO)),
        supervisor: None,
        sightings: None,
        instances: None,
        operations: Operations::new("p".into(), settings, metrics.clone(), &tracker, &cancel),
        cleanup: Arc::new(Cleanup::none()),
    };
    let settings = RecycleSettings { limits, check_interval: SECOND, hook: None };
    Recycler::new(Arc::new(squadron), settings, metrics)
}

fn named(found: Option<(Arc<Member>, Due)>) -> Option<(String, Due)> {
    found.map(|(member, due)| (member.name.to_string(), due))
}

fn by_age() -> WearLimits {
    WearLimits { age: Some(SECOND * 10), ..WearLimits::default() }
}

#[test]
fn the_oldest_that_serves_is_taken_first() {
    let (mut recycler, start) = (recycler(by_age(), &["a", "b", "c"]), Instant::now());
    let members = recycler.squadron.pool.members().to_vec();
    for (member, at) in members.iter().zip([2, 0, 1]) {
        member.life.checked(0, MS, start + SECOND * at);
    }
    let (none, later) = (AHashMap::new(), start + SECOND * 20);
    assert_eq!(named(recycler.look(&none, start + SECOND * 8)), None);
    assert_eq!(named(recycler.look(&none, later)), Some(("b".into(), Due::Age)));
    members[1].set_admission(Admission::Drain);
    assert_eq!(named(recycler.look(&none, later)), Some(("c".into(), Due::Age)));
    members[2].set_verdict(Verdict::Down);
    assert_eq!(named(recycler.look(&none, later)), Some(("a".into(), Due::Age)));
    members[0].life.end();
    assert_eq!(named(recycler.look(&none, later)), None);
}

#[test]
fn usage_counts_for_its_own_backend() {
    let limits = WearLimits { memory: Some(100), descriptors: Some(10), ..WearLimits::default() };
    let (mut recycler, now) = (recycler(limits, &["a", "b"]), Instant::now());
    recycler.squadron.pool.members().iter().for_each(|member| member.life.checked(0, MS, now));
    let usage = |memory, descriptors| AHashMap::from_iter([("b".into(), Usage { memory, descriptors })]);
    assert_eq!(named(recycler.look(&usage(99, 9), now)), None);
    assert_eq!(named(recycler.look(&usage(100, 9), now)), Some(("b".into(), Due::Memory)));
    assert_eq!(named(recycler.look(&usage(99, 10), now)), Some(("b".into(), Due::Descriptors)));
}

#[tokio::test]
async fn the_last_one_waits_and_a_failure_is_left_alone() {
    let (mut recycler, start) = (recycler(by_age(), &["a", "b"]), Instant::now().checked_sub(SECOND * 60).unwrap());
    let members = recycler.squadron.pool.members().to_vec();
    members.iter().for_each(|member| member.life.checked(0, MS, start));
    members[1].set_verdict(Verdict::Down);
    let (first, due) = recycler.look(&AHashMap::new(), Instant::now()).unwrap();
    recycler.recycle(&first, due).await;
    assert!(
        recycler.squadron.operations.journal().is_empty() && !first.is_draining(),
        "nobody else takes its sessions"
    );
    members[1].set_verdict(Verdict::Up);
    recycler.recycle(&first, due).await;
    let journal = recycler.squadron.operations.journal();
    assert_eq!((journal[0].step, journal[0].error.as_deref()), (Step::Failed, Some("there is no on_recycle")));
    assert!(!first.is_draining());
    let next = recycler.look(&AHashMap::new(), Instant::now()).unwrap().0;
    assert_ne!(next.name, first.name);
}
