use std::{
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use super::*;

fn owner(tenant: &str) -> Owner {
    Owner { tenant: tenant.into(), user: None }
}

#[test]
fn the_first_owner_stays() {
    let owners = Owners::new();
    assert!(owners.is_empty());
    assert_eq!(owners.find("x"), None);
    assert_eq!(owners.record("x", owner("a")), Recorded::New);
    assert_eq!(owners.record("x", owner("a")), Recorded::Same);
    assert_eq!(owners.record("x", owner("b")), Recorded::Taken);
    let user = Owner { user: Some("u".into()), ..owner("a") };
    assert_eq!(owners.record("x", user), Recorded::Taken);
    assert_eq!(owners.record("X", owner("b")), Recorded::New);
    assert_eq!(owners.find("x"), Some(owner("a")));
    assert_eq!(owners.len(), 2);
    owners.forget("x");
    owners.forget("x");
    assert_eq!((owners.find("x"), owners.len()), (None, 1));
    assert_eq!(owners.record("x", owner("b")), Recorded::New);
}

#[test]
fn there_is_room_for_so_many_and_half_of_it_for_one() {
    let owners = Owners::with_room(10);
    for number in 0..5 {
        assert_eq!(owners.record(&format!("a{number}"), owner("a")), Recorded::New);
    }
    assert_eq!(owners.record("a5", owner("a")), Recorded::Full);
    assert_eq!(owners.record("a0", owner("a")), Recorded::Same);
    for number in 0..4 {
        assert_eq!(owners.record(&format!("b{number}"), owner("b")), Recorded::New);
    }
    assert_eq!(owners.record("c0", owner("c")), Recorded::New);
    assert_eq!(owners.record("c1", owner("c")), Recorded::Full);
    assert_eq!(owners.len(), 10);
    owners.forget("a0");
    assert_eq!(owners.record("c1", owner("c")), Recorded::New);
    assert_eq!(owners.record("a0", owner("a")), Recorded::Full);
    owners.forget("c0");
    owners.forget("c1");
    assert_eq!(owners.room.lock().by_tenant.len(), 2);
}

#[test]
fn of_two_at_once_one_wins() {
    const IDS: usize = 2_000;
    let owners = Owners::new();
    let (start, wins) = (Barrier::new(4), AtomicUsize::new(0));
    thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let (owners, start, wins) = (&owners, &start, &wins);
            scope.spawn(move || {
                start.wait();
                for number in 0..IDS {
                    let id = format!("id{number}");
                    match owners.record(&id, owner(name)) {
                        Recorded::New => {
                            wins.fetch_add(1, SeqCst);
                            assert_eq!(owners.find(&id), Some(owner(name)));
                        }
                        outcome => assert_eq!(outcome, Recorded::Taken),
                    }
                }
            });
        }
    });
    assert_eq!(wins.load(SeqCst), IDS);
    assert_eq!(owners.len(), IDS);
}

#[test]
fn room_is_never_overdrawn() {
    let owners = Owners::with_room(100);
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let (owners, start) = (&owners, &start);
            scope.spawn(move || {
                start.wait();
                for number in 0..1_000 {
                    let _ = owners.record(&format!("{name}{number}"), owner(name));
                    assert!(owners.len() <= 100);
                    if number % 3 == 0 {
                        owners.forget(&format!("{name}{number}"));
                    }
                }
            });
        }
    });
    for name in ["a", "b", "c", "d"] {
        (0..1_000).for_each(|number| owners.forget(&format!("{name}{number}")));
    }
    assert!(owners.is_empty() && owners.room.lock().by_tenant.is_empty());
}

#[test]
fn shards_share_the_load() {
    let owners = Owners::new();
    for number in 0..6_400 {
        owners.record(&format!("id{number}"), owner("a"));
    }
    let fullest = owners.shards.iter().map(|shard| shard.lock().len()).max();
    assert!(fullest.is_some_and(|most| most < 200), "{fullest:?}");
}

#[test]
fn all_are_told() {
    let owners = Owners::new();
    for id in ["one", "two"] {
        owners.record(id, owner("a"));
    }
    let mut all = owners.all();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(all, [("one".into(), owner("a")), ("two".into(), owner("a"))]);
}
