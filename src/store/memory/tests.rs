use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use super::*;

/// What the future gives at its first poll.
fn at_once<T>(future: impl Future<Output = Result<T, StoreError>>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(given) => given.unwrap(),
        Poll::Pending => panic!("not ready at the first poll"),
    }
}

fn key() -> Key {
    Key { pool: "p".into(), session: "s".into() }
}

fn waiter(number: u64, lines_up: bool) -> Waiter {
    Waiter { number, label: format!("client {number}").into(), lines_up }
}

#[test]
fn a_claim_gets_what_it_wished() {
    let store = Memory::new();
    let wish = Wish { home: "b1".into(), lost: None, owner: None, ephemeral: true };
    let Claimed::Held { home, hold, shared, ephemeral } = at_once(store.claim(&key(), &wish)) else { panic!() };
    assert_eq!((&*home, shared, ephemeral), ("b1", false, true));
    assert!(hold.until > Instant::now() + FAR / 2);
    assert_eq!(at_once(store.isolate(&key(), hold.token)), Alone::Yes);
    assert!(matches!(at_once(store.renew(&[(key(), hold.token)]))[..], [Renewed::Until { shared: false, .. }]));
    let Claimed::Held { hold: later, .. } = at_once(store.claim(&key(), &wish)) else { panic!() };
    assert!(later.token > hold.token);
}

#[test]
fn locks_go_round_in_the_order_of_asking() {
    let store = Memory::new();
    let mut told = store.listen();
    let Locked::Held(first) = at_once(store.lock(&key(), &waiter(1, true))) else { panic!() };
    let Locked::Busy { ahead: 0, holder: Some(holder), .. } = at_once(store.lock(&key(), &waiter(2, true))) else {
        panic!()
    };
    assert_eq!(&*holder, "client 1");
    assert!(matches!(at_once(store.lock(&key(), &waiter(3, true))), Locked::Busy { ahead: 1, .. }));
    assert!(!at_once(store.unlock(&key(), first.token + 99)), "a foreign token gives nothing back");
    assert!(at_once(store.unlock(&key(), first.token)));
    assert_eq!(told.try_recv(), Ok(Told::Free(key())));
    assert!(!at_once(store.unlock(&key(), first.token)), "only once");
    assert!(matches!(at_once(store.lock(&key(), &waiter(4, false))), Locked::Busy { ahead: 0, holder: None, .. }));
    assert!(matches!(at_once(store.lock(&key(), &waiter(3, true))), Locked::Busy { ahead: 1, holder: None, .. }));
    at_once(store.leave_line(&key(), 2));
    assert_eq!(told.try_recv(), Ok(Told::Free(key())), "the next one hears that it is its turn");
    let Locked::Held(second) = at_once(store.lock(&key(), &waiter(3, true))) else { panic!() };
    assert!(second.token > first.token);
    let again = at_once(store.lock(&key(), &waiter(3, true)));
    assert!(matches!(again, Locked::Held(hold) if hold.token == second.token), "asking again changes nothing");
    assert!(matches!(
        at_once(store.renew_locks(&[(key(), first.token), (key(), second.token)]))[..],
        [Renewed::Lost, Renewed::Until { .. }]
    ));
    assert!(at_once(store.unlock(&key(), second.token)));
    assert!(store.lines.lock().is_empty(), "nothing is kept of a lock that nobody wants");
}

#[test]
fn who_does_not_ask_any_more_has_left_the_line() {
    let (start, mut line) = (Instant::now(), Line::default());
    let far = start + FAR;
    assert!(matches!(line.ask(&waiter(1, true), 1, start, far), Locked::Held(_)));
    assert!(matches!(line.ask(&waiter(2, true), 2, start, far), Locked::Busy { ahead: 0, .. }));
    assert!(matches!(line.ask(&waiter(3, true), 3, start, far), Locked::Busy { ahead: 1, .. }));
    assert!(line.give_back(1));
    let late = start + crate::store::ABSENCE;
    assert!(matches!(line.ask(&waiter(3, true), 4, late, far), Locked::Held(hold) if hold.token == 4));
}
