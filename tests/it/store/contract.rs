//! What the trait promises, kept by both stores; and what only a shared one can promise.

use pilotfish::store::{
    Alone, Claimed, Hold, Key, Locked, Memory, Recorded, Renewed, Store, StoreError, Told, Waiter, Who, Wish,
};
use tokio::time::{Instant, sleep_until};

use super::{
    key,
    proxy::{Proxy, settings},
    server::Server,
    waiter, wish,
};
use crate::deadline::within;

/// Claims and expects to get it: home, hold, shared.
async fn held(store: &dyn Store, key: &Key, wish: &Wish) -> (String, Hold, bool) {
    match store.claim(key, wish).await {
        Ok(Claimed::Held { home, hold, shared, .. }) => (home.into(), hold, shared),
        other => panic!("{other:?}"),
    }
}

async fn locked(store: &dyn Store, key: &Key, waiter: &Waiter) -> Hold {
    match store.lock(key, waiter).await {
        Ok(Locked::Held(hold)) => hold,
        other => panic!("{other:?}"),
    }
}

/// Waits for the end of a hold as its holder sees it.
async fn end_of(hold: Hold) {
    sleep_until(Instant::from_std(hold.until)).await;
}

async fn two() -> (Server, Proxy, Proxy) {
    let server = Server::start().await;
    let first = Proxy::start(settings("one", &server.address())).await;
    let second = Proxy::start(settings("two", &server.address())).await;
    (server, first, second)
}

#[tokio::test]
async fn locks_of_a_proxy_on_its_own() {
    locks_in_line(&Memory::new()).await;
}

#[tokio::test]
async fn locks_on_redis() {
    let (_server, store, _) = two().await;
    locks_in_line(&*store).await;
}

async fn locks_in_line(store: &dyn Store) {
    let (key, other) = (key("s"), key("other"));
    let mut told = store.listen();
    let first = locked(store, &key, &waiter(1)).await;
    locked(store, &other, &waiter(2)).await;
    assert!(
        matches!(store.lock(&key, &waiter(2)).await, Ok(Locked::Busy { ahead: 0, holder: Some(who), .. }) if &*who == "client 1")
    );
    assert!(matches!(store.lock(&key, &waiter(3)).await, Ok(Locked::Busy { ahead: 1, .. })));
    assert!(matches!(store.lock(&key, &waiter(2)).await, Ok(Locked::Busy { ahead: 0, .. })), "its place is kept");
    let passer = Waiter { lines_up: false, ..waiter(4) };
    assert!(matches!(store.lock(&key, &passer).await, Ok(Locked::Busy { ahead: 0, holder: Some(_), .. })));
    assert_eq!(locked(store, &key, &waiter(1)).await.token, first.token, "who has it gets it again");
    assert_eq!(store.unlock(&key, first.token + 1).await, Ok(false));
    assert_eq!(store.unlock(&key, first.token).await, Ok(true));
    let free = async { while told.recv().await != Ok(Told::Free(key.clone())) {} };
    within(|| "the news of a free lock".to_owned(), free).await;
    assert_eq!(store.unlock(&key, first.token).await, Ok(false));
    assert!(matches!(store.lock(&key, &passer).await, Ok(Locked::Busy { holder: None, .. })), "nobody jumps the line");
    assert!(matches!(store.lock(&key, &waiter(3)).await, Ok(Locked::Busy { ahead: 1, holder: None, .. })));
    let second = locked(store, &key, &waiter(2)).await;
    assert!(second.token > first.token);
    let renewed =
        store.renew_locks(&[(key.clone(), first.token), (key.clone(), second.token)]).await.expect("an answer");
    assert!(matches!(renewed[..], [Renewed::Lost, Renewed::Until { until, .. }] if until >= second.until));
    assert_eq!(store.leave_line(&key, 3).await, Ok(()));
    assert_eq!(store.leave_line(&key, 2).await, Ok(()), "gives back what it did not hear of");
    let third = locked(store, &key, &passer).await;
    assert!(third.token > second.token);
}

#[tokio::test]
async fn a_lock_that_runs_out_is_the_next_ones() {
    let (_server, one, two) = two().await;
    let key = key("s");
    let old = locked(&*one, &key, &waiter(1)).await;
    assert!(matches!(two.lock(&key, &waiter(1)).await, Ok(Locked::Busy { .. })), "the same number in another proxy");
    end_of(old).await;
    let fresh = within(|| "the lock".to_owned(), async {
        loop {
            if let Ok(Locked::Held(hold)) = two.lock(&key, &waiter(1)).await {
                return hold;
            }
        }
    })
    .await;
    assert!(fresh.token > old.token);
    assert_eq!(one.unlock(&key, old.token).await, Ok(false), "nothing foreign is released");
    assert_eq!(one.renew_locks(&[(key.clone(), old.token)]).await, Ok(vec![Renewed::Lost]));
    assert_eq!(one.metric(r#"pilotfish_leases_lost_total{reason="expired"}"#), 1.0);
    assert!(matches!(two.renew_locks(&[(key.clone(), fresh.token)]).await.as_deref(), Ok([Renewed::Until { .. }])));
}

#[tokio::test]
async fn one_home_for_all_who_hold_a_session() {
    let (_server, one, two) = two().await;
    let key = key("s");
    assert_eq!(one.is_held(&key).await, Ok(false));
    let (home, first, shared) = held(&*one, &key, &wish("a")).await;
    assert_eq!((&*home, shared), ("a", false));
    let (home, second, shared) = held(&*two, &key, &wish("b")).await;
    assert_eq!((&*home, shared), ("a", true), "where it lives already");
    assert!(second.token > first.token);
    assert_eq!(one.is_held(&key).await, Ok(true));
    let renewed = one.renew(&[(key.clone(), first.token), (super::key("none"), 7)]).await.expect("an answer");
    assert!(matches!(renewed[..], [Renewed::Until { shared: true, .. }, Renewed::Lost]));
    assert_eq!(one.isolate(&key, first.token).await, Ok(Alone::No));
    assert_eq!(two.leave(&key, second.token, false).await, Ok(()));
    assert_eq!(one.isolate(&key, first.token).await, Ok(Alone::Yes));
    assert_eq!(two.claim(&key, &wish("b")).await, Ok(Claimed::Moving));
    assert!(matches!(
        one.renew(&[(key.clone(), first.token)]).await.as_deref(),
        Ok([Renewed::Until { shared: false, .. }])
    ));
    assert_eq!(two.claim(&key, &wish("b")).await, Ok(Claimed::Moving), "a renewal ends nothing");
    let lost = Wish { lost: Some("a".into()), ..wish("c") };
    let (home, third, _) = held(&*one, &key, &lost).await;
    assert_eq!(&*home, "c", "its home was lost");
    assert_eq!(one.isolate(&key, first.token).await, Ok(Alone::Lost));
    let (home, ..) = held(&*two, &key, &lost).await;
    assert_eq!(&*home, "c", "the same for everybody");
    assert_eq!(one.leave(&key, first.token, true).await, Ok(()));
    assert!(
        matches!(one.renew(&[(key.clone(), third.token)]).await.as_deref(), Ok([Renewed::Until { .. }])),
        "an old token ends nothing"
    );
}

#[tokio::test]
async fn a_home_is_remembered_unless_it_was_closed() {
    let (server, one, two) = two().await;
    let key = key("s");
    let (_, first, _) = held(&*one, &key, &Wish { ephemeral: true, ..wish("a") }).await;
    assert_eq!(one.leave(&key, first.token, false).await, Ok(()));
    assert_eq!(two.is_held(&key).await, Ok(false));
    let Ok(Claimed::Held { home, hold, shared: false, ephemeral: true }) = two.claim(&key, &wish("b")).await else {
        panic!()
    };
    assert_eq!(&*home, "a");
    assert_eq!(two.leave(&key, hold.token, true).await, Ok(()));
    let (home, second, _) = held(&*one, &key, &wish("b")).await;
    assert_eq!(&*home, "b", "it lived nowhere");
    assert!(second.token > hold.token);
    end_of(second).await;
    let (home, third, _) = held(&*two, &key, &wish("c")).await;
    assert_eq!(&*home, "b", "of a proxy that died");
    assert!(third.token > second.token);
    let left = server.command(&["PTTL", "test:{p/s}:pin"]).await;
    let left: i64 = left.trim_start_matches(':').trim().parse().expect("a time");
    assert!((60_000..=60_400).contains(&left), "{left}");
}

#[tokio::test]
async fn an_owner_is_known_to_all() {
    let (_server, one, mut two) = two().await;
    let (key, mine) = (key("s"), Who { tenant: "alice".into(), user: Some("u".into()) });
    let other = Who { tenant: "bob".into(), user: None };
    assert_eq!(one.record(&key, &mine).await, Ok(Recorded::Ours));
    assert_eq!(one.record(&key, &mine).await, Ok(Recorded::Ours));
    two.until(&Told::Owned { key: key.clone(), who: mine.clone() }).await;
    assert_eq!(two.record(&key, &other).await, Ok(Recorded::Taken));
    assert_eq!(two.claim(&key, &Wish { owner: Some(other.clone()), ..wish("a") }).await, Ok(Claimed::Foreign));
    held(&*two, &key, &Wish { owner: Some(mine.clone()), ..wish("a") }).await;
    assert_eq!(two.owners("p", 0).await, Ok((0, vec![("s".into(), mine)])));
    assert_eq!(two.owners("q", 0).await, Ok((0, Vec::new())));
    assert_eq!(one.disown(&key, None).await, Ok(()));
    two.until(&Told::Disowned(key.clone())).await;
    assert_eq!(two.record(&key, &other).await, Ok(Recorded::Ours));
}

#[tokio::test]
async fn many_owners_are_listed_some_at_a_time() {
    let (server, one, _) = two().await;
    for number in 0..3000 {
        server.command(&["HSET", "test:{p}:owners", &format!("s{number}"), "alice"]).await;
    }
    let (mut cursor, mut all, mut rounds) = (0, std::collections::BTreeSet::new(), 0);
    loop {
        let (next, some) = one.owners("p", cursor).await.expect("some");
        all.extend(some.into_iter().map(|(session, _)| session));
        rounds += 1;
        if next == 0 {
            break;
        }
        cursor = next;
    }
    assert_eq!(all.len(), 3000);
    assert!(rounds > 2, "{rounds}");
}

#[tokio::test]
async fn ten_thousand_holds_are_renewed() {
    let server = Server::start().await;
    let long = std::time::Duration::from_secs(15);
    let one = Proxy::start(pilotfish::store::RedisSettings { ttl: long, ..settings("one", &server.address()) }).await;
    let mut holds = Vec::new();
    for number in 0..10_000 {
        let key = key(&format!("s{number}"));
        let (_, hold, _) = held(&*one, &key, &wish("a")).await;
        holds.push((key, hold.token));
    }
    let started = std::time::Instant::now();
    let renewed = one.renew(&holds).await.expect("answers");
    println!("10,000 renewals: {:?}", started.elapsed());
    assert!(renewed.iter().all(|one| matches!(one, Renewed::Until { shared: false, .. })) && renewed.len() == 10_000);
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_sent_again() {
    let (server, one, _) = two().await;
    let (_, hold, _) = held(&*one, &key("s"), &wish("a")).await;
    server.command(&["SCRIPT", "FLUSH"]).await;
    let renewed = one.renew(&[(key("s"), hold.token), (key("t"), 1)]).await;
    assert!(matches!(renewed.as_deref(), Ok([Renewed::Until { .. }, Renewed::Lost])), "{renewed:?}");
    server.command(&["SCRIPT", "FLUSH"]).await;
    locked(&*one, &key("s"), &waiter(1)).await;
}

#[tokio::test]
async fn nothing_is_up_before_somebody_answers() {
    let proxy = Proxy::launch(settings("one", "127.0.0.1:1"));
    assert!(proxy.is_shared() && !proxy.is_up());
    let asked = std::time::Instant::now();
    assert_eq!(proxy.claim(&key("s"), &wish("a")).await, Err(StoreError::Unavailable));
    assert!(asked.elapsed() < std::time::Duration::from_millis(50), "{:?}", asked.elapsed());
    assert_eq!(proxy.metric(r#"pilotfish_store_requests_total{op="claim",outcome="unavailable"}"#), 1.0);
    assert_eq!(proxy.metric("pilotfish_store_up"), 0.0);
}
