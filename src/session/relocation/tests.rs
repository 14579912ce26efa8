use super::*;

fn member(name: &str) -> Arc<Member> {
    Arc::new(Member::new("p".into(), name.into(), 1, Some(([127, 0, 0, 1], 1).into())))
}

fn course(clients: u32) -> Relocation {
    let mut course = Relocation::new(member("a"));
    (1..=clients).for_each(|client| course.join(&Arc::new(Bell::new(client))));
    course
}

fn step(course: &mut Relocation, client: u32) -> String {
    match course.step(client) {
        Step::Close(_) => "close".into(),
        Step::Open(homeless) => format!("open {}", if homeless.everyone_cut { "anywhere" } else { "at home" }),
        Step::Follow(home) => format!("follow {}", home.name),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// A move at the point where client 1 closes it at home.
fn closing(clients: u32, now: Instant) -> Relocation {
    let mut course = course(clients);
    course.begin(Cause::Drain, None, now);
    (1..=clients).for_each(|client| course.quiet(client));
    assert_eq!(step(&mut course, 1), "close");
    course
}

#[test]
fn two_clients_move_together() {
    let (mut course, now) = (course(2), Instant::now());
    assert!(course.begin(Cause::Drain, None, now));
    assert!(!course.begin(Cause::Drain, None, now));
    assert_eq!(step(&mut course, 1), "hold");
    course.quiet(1);
    assert_eq!(step(&mut course, 1), "wait");
    course.quiet(2);
    assert_eq!((step(&mut course, 2), step(&mut course, 1)), ("close".into(), "wait".into()));
    assert!(!course.refuse(), "too late");
    course.closed(2);
    assert_eq!(step(&mut course, 1), "open anywhere");
    let b = member("b");
    assert!(course.opening(1, &b));
    assert!(!course.opening(2, &b), "one opens it");
    assert_eq!(step(&mut course, 2), "wait");
    assert!(!course.opened(2, now));
    assert!(course.opened(1, now));
    assert_eq!((step(&mut course, 1), step(&mut course, 2)), ("wait".into(), "follow b".into()));
    assert!(course.is_under_way());
    course.followed(2);
    assert!(!course.is_under_way());
    assert_eq!((&*course.home().name, course.moved()), ("b", Some(now)));
}

#[test]
fn a_busy_client_stops_the_move() {
    let (mut course, now) = (course(2), Instant::now());
    course.begin(Cause::Drain, None, now);
    course.quiet(1);
    assert!(course.refuse());
    assert_eq!((step(&mut course, 1), step(&mut course, 2)), ("served".into(), "served".into()));
    assert!(course.begin(Cause::Drain, None, now));
    assert_eq!(step(&mut course, 1), "hold", "it holds nothing any more");
}

#[test]
fn whoever_leaves_in_the_middle_is_replaced() {
    let (mut course, now) = (course(2), Instant::now());
    course.begin(Cause::Drain, None, now);
    course.quiet(1);
    course.quiet(2);
    assert_eq!(step(&mut course, 1), "close");
    course.leave(1);
    assert_eq!(step(&mut course, 2), "close", "nobody knows whether it was closed");
    course.closed(2);
    course.opening(2, &member("b"));
    course.join(&Arc::new(Bell::new(3)));
    course.leave(2);
    let Step::Open(homeless) = course.step(3) else { panic!() };
    assert_eq!(&*homeless.wish.unwrap().name, "b", "it may be live there");
    course.opening(3, &member("b"));
    course.leave(3);
    assert!(!course.is_under_way());
    assert_eq!(&*course.home().name, "b", "the pin stays where it may live");
}

#[test]
fn a_lost_home_is_left_only_when_nobody_is_there() {
    let (mut course, now) = (course(2), Instant::now());
    course.lost(1, now);
    assert_eq!((step(&mut course, 1), step(&mut course, 2)), ("open at home".into(), "wait".into()));
    course.opening(1, &member("a"));
    course.not_opened(1);
    course.lost(2, now);
    assert_eq!(step(&mut course, 2), "open anywhere");
    let Step::Open(homeless) = course.step(1) else { panic!() };
    assert_eq!(homeless.tried, [Arc::<str>::from("a")]);
}

#[test]
fn a_home_that_is_lost_in_the_middle_of_a_move_was_lost() {
    let (mut course, now) = (course(1), Instant::now());
    course.begin(Cause::Drain, Some(member("c")), now);
    course.quiet(1);
    assert_eq!(step(&mut course, 1), "close");
    course.lost(1, now);
    let Step::Open(homeless) = course.step(1) else { panic!() };
    assert_eq!((homeless.cause, homeless.wish.is_none()), (Cause::Lost, true));
    course.give_up();
    assert_eq!(step(&mut course, 1), "lost");
}

#[test]
fn the_new_home_may_be_lost_too() {
    let (mut course, now) = (course(2), Instant::now());
    course.lost(1, now);
    course.lost(2, now);
    course.opening(1, &member("b"));
    course.opened(1, now);
    course.lost(1, now);
    let Step::Open(homeless) = course.step(2) else { panic!() };
    assert_eq!(&*homeless.from.name, "b");
}

#[test]
fn those_who_are_left_at_home_stay() {
    let (mut course, now) = (course(2), Instant::now());
    course.lost(1, now);
    course.leave(1);
    assert_eq!(step(&mut course, 2), "served");
}

#[test]
fn those_who_were_quiet_when_the_leader_lost_its_link_attach_again() {
    let now = Instant::now();
    let mut course = closing(3, now);
    course.lost(1, now);
    assert_eq!((step(&mut course, 1), step(&mut course, 2)), ("open at home".into(), "wait".into()));
    course.opening(1, &member("a"));
    assert!(course.opened(1, now));
    for client in [2, 3] {
        assert_eq!(step(&mut course, client), "follow a");
        course.followed(client);
    }
    assert!(!course.is_under_way());
}

#[test]
fn those_who_are_left_quiet_open_it_at_home() {
    let now = Instant::now();
    let mut course = closing(3, now);
    course.lost(1, now);
    course.leave(1);
    assert_eq!(step(&mut course, 2), "open at home", "its link may hold it there");
    assert!(!course.park(), "nobody knows whether it was closed");
    (2..=3).for_each(|client| course.lost(client, now));
    assert_eq!(step(&mut course, 2), "open anywhere");
}

#[test]
fn a_home_that_would_not_close_it_is_reached_again_by_whoever_lost_the_way() {
    let now = Instant::now();
    let mut course = closing(2, now);
    course.lost(2, now);
    course.not_closed(1);
    assert_eq!((step(&mut course, 1), step(&mut course, 2)), ("wait".into(), "open at home".into()));
    course.opening(2, &member("a"));
    assert!(course.opened(2, now) && !course.is_under_way());
}

#[test]
fn one_that_loses_the_new_home_while_another_is_there_comes_again() {
    let (mut course, now) = (course(2), Instant::now());
    (1..=2).for_each(|client| course.lost(client, now));
    course.opening(1, &member("b"));
    assert!(course.opened(1, now));
    course.lost(2, now);
    assert_eq!((step(&mut course, 1), step(&mut course, 2)), ("wait".into(), "follow b".into()));
    course.lost(1, now);
    assert_eq!(step(&mut course, 2), "open anywhere");
}

#[test]
fn one_that_had_set_out_before_the_loss_and_arrives_keeps_it_there() {
    let (mut course, now) = (course(2), Instant::now());
    (1..=2).for_each(|client| course.lost(client, now));
    course.opening(1, &member("b"));
    course.opened(1, now);
    assert_eq!(step(&mut course, 2), "follow b");
    course.lost(1, now);
    course.followed(2);
    assert_eq!((step(&mut course, 1), step(&mut course, 2)), ("open at home".into(), "wait".into()));
    course.leave(1);
    assert!(!course.is_under_way(), "client 2 is there");
}

#[test]
fn a_session_that_makes_way_lives_nowhere_until_somebody_needs_it() {
    let (mut course, now) = (course(2), Instant::now());
    assert!(course.begin(Cause::Evict, None, now));
    course.quiet(1);
    course.quiet(2);
    assert_eq!(step(&mut course, 2), "close");
    course.closed(2);
    assert!(course.is_parked() && course.is_under_way());
    assert_eq!((step(&mut course, 1), step(&mut course, 2)), ("parked".into(), "parked".into()));
    course.join(&Arc::new(Bell::new(3)));
    assert_eq!(step(&mut course, 3), "parked");
    assert!(course.wake(now) && !course.wake(now));
    assert_eq!(course.cause(), Some(Cause::Wake));
    assert_eq!(step(&mut course, 3), "open anywhere");
    let b = member("b");
    assert!(course.opening(3, &b) && course.opened(3, now));
    assert_eq!(step(&mut course, 1), "follow b");
    course.followed(1);
    course.followed(2);
    assert!(!course.is_under_way());
}

#[test]
fn who_cannot_be_opened_now_may_be_parked_but_only_if_nobody_has_it() {
    let now = Instant::now();
    let mut moving = closing(2, now);
    moving.closed(1);
    assert!(moving.park() && moving.is_parked());
    let mut lost = course(2);
    lost.lost(1, now);
    assert!(!lost.park(), "the other client may have it still");
    lost.lost(2, now);
    assert!(lost.park());
    assert!(!course(1).park() && !course(1).wake(now));
}

#[test]
fn a_home_that_is_lost_while_it_closes_is_asked_first() {
    let (mut course, now) = (course(1), Instant::now());
    course.begin(Cause::Idle, None, now);
    course.quiet(1);
    assert_eq!(step(&mut course, 1), "close");
    course.lost(1, now);
    assert!(!course.is_parked());
    assert_eq!((step(&mut course, 1), course.cause()), ("open anywhere".into(), Some(Cause::Lost)));
}

#[test]
fn what_is_somebody_elses_is_lost_to_every_client() {
    let mut course = course(2);
    course.dispossess(Instant::now());
    assert!(course.is_lost());
    assert_eq!((step(&mut course, 1), step(&mut course, 2)), ("lost".into(), "lost".into()));
}
