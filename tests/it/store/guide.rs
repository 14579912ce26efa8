//! The lock of the guide, which looks first and deletes then, beside ours: the same steps in the same order.

use pilotfish::store::{Locked, Store};

use super::{
    key,
    proxy::{Proxy, settings},
    server::Server,
    waiter,
};
use crate::deadline::within;

/// `SET key me NX PX 150`: whether it was taken.
async fn set(server: &Server, me: &str) -> bool {
    server.command(&["SET", "session-lock:s", me, "NX", "PX", "150"]).await == "+OK\r\n"
}

/// Tries until it is taken: the hold of the one before has to run out.
async fn set_at_last(server: &Server, me: &str) {
    within(|| format!("the lock for {me}"), async { while !set(server, me).await {} }).await;
}

#[tokio::test]
async fn get_then_del_lets_two_in() {
    let server = Server::start().await;
    assert!(set(&server, "a").await);
    // A gives it back: it looks whether the lock is its own, and it is. Then A is held up.
    assert_eq!(server.command(&["GET", "session-lock:s"]).await, "$1\r\na\r\n");
    // Its time runs out; B takes the lock.
    set_at_last(&server, "b").await;
    // A goes on: it deletes what it looked at, which is B's by now.
    assert_eq!(server.command(&["DEL", "session-lock:s"]).await, ":1\r\n");
    assert!(set(&server, "c").await, "B and C hold the lock at the same time: this is what the guide's code does");
}

#[tokio::test]
async fn a_script_that_compares_and_deletes_does_not() {
    let server = Server::start().await;
    let [a, b, c] = [
        Proxy::start(settings("a", &server.address())).await,
        Proxy::start(settings("b", &server.address())).await,
        Proxy::start(settings("c", &server.address())).await,
    ];
    let Ok(Locked::Held(first)) = a.lock(&key("s"), &waiter(1)).await else { panic!("the first one") };
    // A wants to give it back and is held up; its time runs out; B takes the lock.
    let second = within(|| "the lock for b".to_owned(), async {
        loop {
            if let Ok(Locked::Held(hold)) = b.lock(&key("s"), &waiter(1)).await {
                return hold;
            }
        }
    })
    .await;
    assert!(second.token > first.token);
    // A goes on.
    assert_eq!(a.unlock(&key("s"), first.token).await, Ok(false));
    assert!(matches!(c.lock(&key("s"), &waiter(1)).await, Ok(Locked::Busy { .. })), "it is B's");
    assert_eq!(b.unlock(&key("s"), second.token).await, Ok(true));
}
