//! Operations on members without processes. Time stands still until everybody waits, and then goes on by itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    super::fleet::{Fleet, Squadron},
    Failure, Kind, Operations, OperationsSettings, Outage, Refusal, Step,
    admission::Manner,
    drained, take_out_and_back,
};
use crate::{
    admin::{BackendName, Order, OrderRefusal},
    app::cleanup::Cleanup,
    pool::{Admission, Drain, DrainCause, Member, Pool, PoolSettings, Verdict},
    session::Registry,
    telemetry::Metrics,
};

const FAR: Duration = Duration::from_secs(3600);

fn member(pool: &str, name: &str) -> Arc<Member> {
    let member = Member::new(pool.into(), name.into(), 1, Some(([127, 0, 0, 1], 1).into()));
    member.set_verdict(Verdict::Up);
    Arc::new(member)
}

fn squadron_with(pool: &str, names: &[&str], settings: OperationsSettings) -> Arc<Squadron> {
    let members = names.iter().map(|name| member(pool, name)).collect();
    let metrics = Arc::new(Metrics::new(&[]).unwrap());
    let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
    Arc::new(Squadron {
        dialer: crate::backend::Dialer::default(),
        pool: Arc::new(Pool::new(pool, PoolSettings::default(), members)),
        registry: Arc::new(Registry::new(Duration::ZERO)),
        supervisor: None,
        sightings: None,
        instances: None,
        operations: Operations::new(pool.into(), settings, metrics, &tracker, &cancel),
        cleanup: Arc::new(Cleanup::none()),
    })
}

fn squadron(names: &[&str]) -> Arc<Squadron> {
    squadron_with("p", names, OperationsSettings { drain_timeout: FAR, sessions_stay: false })
}

fn by_operator(squadron: &Squadron, name: &str, force: bool) -> Result<(), Refusal> {
    let member = squadron.pool.member(name).unwrap();
    squadron.drain(&member, Drain::begin(DrainCause::Operator, "test", Some(FAR)), force)
}

fn outage() -> Outage {
    let (cause, reason) = (DrainCause::Restart, "test".into());
    Outage { cause, reason, work: Step::Restarting, back: FAR, force: false, undrain: false }
}

#[tokio::test]
async fn the_last_one_stays_unless_forced() {
    let squadron = squadron(&["a", "b", "c"]);
    squadron.pool.member("c").unwrap().set_verdict(Verdict::Down);
    by_operator(&squadron, "a", false).unwrap();
    by_operator(&squadron, "a", false).unwrap();
    let refused = by_operator(&squadron, "b", false).unwrap_err();
    assert_eq!(refused, Refusal::WouldEmpty { pool: "p".into(), backend: "b".into() });
    assert!(!squadron.pool.member("b").unwrap().is_draining());
    by_operator(&squadron, "b", true).unwrap();
    assert_eq!(squadron.pool.counts().draining, 2);
    assert_eq!(squadron.operations.metrics.drain.begun.get(), 2, "a second order of the same is no second drain");
}

#[tokio::test]
async fn a_later_order_changes_reason_and_deadline_but_not_the_begin() {
    let squadron = squadron(&["a", "b"]);
    by_operator(&squadron, "a", false).unwrap();
    let member = squadron.pool.member("a").unwrap();
    let first = member.drain().unwrap();
    squadron.drain(&member, Drain::begin(DrainCause::Operator, "later", None), false).unwrap();
    let second = member.drain().unwrap();
    assert_eq!((second.since, &*second.reason, second.deadline), (first.since, "later", None));
}

#[tokio::test(start_paused = true)]
async fn drained_waits_for_sessions_and_links() {
    let squadron = squadron(&["a", "b"]);
    let member = squadron.pool.member("a").unwrap();
    assert!(!drained(&member, Instant::now() + FAR).await, "nobody drains it");
    let (session, link) = (member.hold_session(), member.hold_link());
    by_operator(&squadron, "a", false).unwrap();
    assert!(!drained(&member, Instant::now()).await);
    let waiting = tokio::spawn({
        let member = member.clone();
        async move { drained(&member, Instant::now() + FAR).await }
    });
    drop(session);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(link);
    assert!(waiting.await.unwrap());
    let _link = member.hold_link();
    let waiting = tokio::spawn({
        let member = member.clone();
        async move { drained(&member, Instant::now() + FAR).await }
    });
    tokio::task::yield_now().await;
    squadron.operations.undrain(&member).unwrap();
    assert!(!waiting.await.unwrap(), "it is no longer drained");
}

#[tokio::test(start_paused = true)]
async fn one_is_taken_out_worked_on_and_back() {
    let squadron = squadron(&["a", "b"]);
    let member = squadron.pool.member("a").unwrap();
    let session = member.hold_session();
    let running = squadron.operations.begin(Kind::Restart).unwrap();
    let (begun, work_begins) = oneshot::channel();
    let task = tokio::spawn({
        let (squadron, member) = (squadron.clone(), member.clone());
        async move {
            let work = async {
                assert!(member.is_drained());
                member.set_verdict(Verdict::Down);
                begun.send(()).unwrap();
                Ok(())
            };
            let result = take_out_and_back(&squadron, &running, &member, outage(), work).await;
            running.end(&result.clone().map(drop));
            result
        }
    });
    tokio::task::yield_now().await;
    assert_eq!(squadron.operations.journal()[0].step, Step::Draining);
    assert_eq!(squadron.operations.begin(Kind::Recycle).err(), Some(Refusal::Busy(Kind::Restart)));
    assert_eq!(squadron.operations.undrain(&member), Err(Refusal::Busy(Kind::Restart)));
    drop(session);
    work_begins.await.unwrap();
    tokio::task::yield_now().await;
    assert!(!task.is_finished(), "it is not healthy yet");
    assert_eq!(squadron.operations.journal()[0].step, Step::Returning);
    member.set_verdict(Verdict::Up);
    assert_eq!(task.await.unwrap(), Ok(false));
    assert!(!member.is_draining());
    let ended = squadron.operations.journal();
    assert_eq!((ended.len(), ended[0].step, ended[0].done, ended[0].late), (1, Step::Done, 1, false));
    assert!(squadron.operations.begin(Kind::Recycle).is_ok());
}

#[tokio::test(start_paused = true)]
async fn after_the_deadline_it_goes_on_and_says_so() {
    let settings = OperationsSettings { drain_timeout: Duration::ZERO, sessions_stay: false };
    let squadron = squadron_with("p", &["a", "b"], settings);
    let member = squadron.pool.member("a").unwrap();
    let _session = member.hold_session();
    let running = squadron.operations.begin(Kind::Restart).unwrap();
    assert_eq!(take_out_and_back(&squadron, &running, &member, outage(), async { Ok(()) }).await, Ok(true));
    running.end(&Ok(()));
    assert!(squadron.operations.journal()[0].late);
    let text = squadron.operations.metrics.gather().unwrap();
    assert!(text.contains(r#"pilotfish_operations_total{kind="restart",outcome="late",pool="p"} 1"#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn where_sessions_stay_only_turns_are_waited_for() {
    let settings = OperationsSettings { drain_timeout: FAR, sessions_stay: true };
    let local = squadron_with("p", &["a", "b"], settings);
    let alone = squadron(&["a"]);
    for (squadron, force) in [(local, false), (alone, true)] {
        let member = squadron.pool.member("a").unwrap();
        let (_session, turn) = (member.hold_session(), member.hold_turn());
        let running = squadron.operations.begin(Kind::Restart).unwrap();
        let task = tokio::spawn({
            let (squadron, member) = (squadron.clone(), member.clone());
            let outage = Outage { force, ..outage() };
            async move { take_out_and_back(&squadron, &running, &member, outage, async { Ok(()) }).await }
        });
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        drop(turn);
        assert_eq!(task.await.unwrap(), Ok(false));
    }
}

#[tokio::test]
async fn a_failure_lets_the_backend_serve_when_it_can() {
    let squadron = squadron(&["a", "b"]);
    let member = squadron.pool.member("a").unwrap();
    let running = squadron.operations.begin(Kind::RollingRestart).unwrap();
    let failed = async { Err(Failure::Work("no such program".into())) };
    let result = take_out_and_back(&squadron, &running, &member, outage(), failed).await;
    running.end(&result.map(drop));
    assert!(!member.is_draining());
    let ended = squadron.operations.journal().remove(0);
    assert_eq!((ended.step, ended.error.as_deref()), (Step::Failed, Some("no such program")));
}

#[tokio::test]
async fn what_an_operator_drained_stays_so_unless_the_outage_is_his_own() {
    let squadron = squadron(&["a", "b"]);
    let member = squadron.pool.member("a").unwrap();
    by_operator(&squadron, "a", false).unwrap();
    let running = squadron.operations.begin(Kind::RollingRestart).unwrap();
    take_out_and_back(&squadron, &running, &member, outage(), async { Ok(()) }).await.unwrap();
    assert!(member.is_draining());
    let own = Outage { undrain: true, ..outage() };
    take_out_and_back(&squadron, &running, &member, own.clone(), async { Ok(()) }).await.unwrap();
    assert!(!member.is_draining());
    // An order that comes while the work goes on outlives it.
    let order = async {
        by_operator(&squadron, "a", false).unwrap();
        Ok(())
    };
    take_out_and_back(&squadron, &running, &member, own, order).await.unwrap();
    assert_eq!(member.drain().unwrap().cause, DrainCause::Operator);
}

#[tokio::test]
async fn an_end_of_the_drain_ends_the_outage() {
    let squadron = squadron(&["a", "b"]);
    let member = squadron.pool.member("a").unwrap();
    let _session = member.hold_session();
    let running = squadron.operations.begin(Kind::Recycle).unwrap();
    let undrained = async {
        tokio::task::yield_now().await;
        member.set_admission(Admission::Ready);
    };
    let outage = take_out_and_back(&squadron, &running, &member, outage(), async { Ok(()) });
    let (result, ()) = tokio::join!(outage, undrained);
    assert_eq!(result, Err(Failure::Undrained));
}

#[tokio::test]
async fn a_halt_ends_what_runs_and_nothing_begins() {
    let squadron = squadron(&["a", "b"]);
    let member = squadron.pool.member("a").unwrap();
    let _session = member.hold_session();
    let running = squadron.operations.begin(Kind::Restart).unwrap();
    let (gone, ended) = oneshot::channel::<()>();
    squadron.operations.spawn({
        let (squadron, member) = (squadron.clone(), member.clone());
        async move {
            let _gone = gone;
            take_out_and_back(&squadron, &running, &member, outage(), async { Ok(()) }).await.unwrap();
        }
    });
    tokio::task::yield_now().await;
    squadron.operations.halt();
    ended.await.unwrap_err();
    assert_eq!(squadron.operations.journal()[0].step, Step::Stopped);
    assert_eq!(squadron.operations.begin(Kind::Restart).err(), Some(Refusal::Stopping));
}

#[tokio::test]
async fn orders_find_their_backend_or_say_why_not() {
    let other = squadron_with("q", &["b", "c"], OperationsSettings { drain_timeout: FAR, sessions_stay: false });
    let first = squadron(&["a", "b"]);
    let pools = [("p".to_owned(), first), ("q".to_owned(), other)].into();
    let fleet = Fleet { pools, asking: TaskTracker::new() };
    let drain = |name: &str, pool: Option<&str>| {
        let backend = BackendName { name: name.into(), pool: pool.map(Into::into) };
        fleet.operate(&Order::Drain { backend, timeout: None, force: false }, "test")
    };
    assert!(matches!(drain("x", None), Err(OrderRefusal::Unknown(why)) if why.contains("`x`")));
    assert!(matches!(drain("a", Some("z")), Err(OrderRefusal::Unknown(why)) if why.contains("pool is named `z`")));
    assert!(matches!(drain("a", Some("q")), Err(OrderRefusal::Unknown(_))));
    assert!(matches!(drain("b", None), Err(OrderRefusal::Unclear(why)) if why.contains("p, q")));
    let begun = drain("b", Some("q")).unwrap();
    assert_eq!((&*begun.pool, begun.backend.as_deref(), begun.deadline_seconds), ("q", Some("b"), Some(3600)));
    assert!(matches!(drain("c", None), Err(OrderRefusal::Conflict(_))));
    let backend = BackendName { name: "a".into(), pool: None };
    let restart = fleet.operate(&Order::Restart { backend, force: false }, "test");
    assert!(matches!(restart, Err(OrderRefusal::Conflict(why)) if why.contains("did not start")));
    let rolling = |pool: &str| fleet.operate(&Order::RollingRestart { pool: pool.into() }, "test");
    assert!(matches!(rolling("z"), Err(OrderRefusal::Unknown(_))));
    assert!(matches!(rolling("p"), Err(OrderRefusal::Conflict(_))));
}

#[test]
fn the_two_last_are_not_taken_out_at_once() {
    let squadron = squadron(&["a", "b"]);
    let manner = Manner { force: false, takes_over: true };
    std::thread::scope(|scope| {
        let take = |name| {
            let member = squadron.pool.member(name).unwrap();
            let drain = Drain::begin(DrainCause::Operator, "test", None);
            squadron.operations.take_out(&squadron.pool, &member, drain, manner).is_ok()
        };
        let other = scope.spawn(move || take("b"));
        assert!(take("a") != other.join().unwrap());
    });
}
