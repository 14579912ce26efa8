//! Redis is killed, stopped, slow, demoted: every call is answered in time, and what was lost is said to be lost.

use std::time::{Duration, Instant};

use pilotfish::store::{Claimed, LIMIT, Locked, Renewed, Store, StoreError, Told};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    key,
    proxy::{Proxy, settings},
    server::{Server, free_port},
    waiter, wish,
};
use crate::deadline::within;

/// Told to clients within this: 50 ms more than the store's own limit.
const TOLD: Duration = Duration::from_millis(250);

/// The issue's limit for the way back.
const BACK: Duration = Duration::from_secs(2);

async fn start() -> (Server, Proxy) {
    let server = Server::start().await;
    let mut settings = settings("one", &server.address());
    settings.ttl = Duration::from_secs(15);
    (server, Proxy::start(settings).await)
}

async fn claim(proxy: &Proxy, session: &str) -> Result<u64, StoreError> {
    match proxy.claim(&key(session), &wish("a")).await? {
        Claimed::Held { hold, .. } => Ok(hold.token),
        other => panic!("{other:?}"),
    }
}

async fn lock(proxy: &Proxy, session: &str) -> Result<u64, StoreError> {
    match proxy.lock(&key(session), &waiter(1)).await? {
        Locked::Held(hold) => Ok(hold.token),
        other => panic!("{other:?}"),
    }
}

/// The longest time for an answer among some calls, all of which fail.
async fn longest_refusal(proxy: &Proxy) -> Duration {
    let mut longest = Duration::ZERO;
    for number in 0..10 {
        let asked = Instant::now();
        let session = format!("new{number}");
        let (claimed, locked) = tokio::join!(claim(proxy, &session), lock(proxy, &session));
        assert_eq!((claimed, locked), (Err(StoreError::Unavailable), Err(StoreError::Unavailable)));
        longest = longest.max(asked.elapsed());
    }
    longest
}

#[tokio::test]
async fn a_server_that_is_killed_has_lost_everything() {
    let (mut server, mut proxy) = start().await;
    let pin = claim(&proxy, "s").await.expect("a hold");
    let held = lock(&proxy, "s").await.expect("a lock");
    server.kill().await;
    proxy.until(&Told::Down).await;
    assert!(!proxy.is_up());
    assert!(longest_refusal(&proxy).await < TOLD);
    assert_eq!((proxy.losses(), proxy.metric("pilotfish_store_up")), (0, 0.0), "nobody knows yet");
    server.revive().await;
    let back = Instant::now();
    proxy.until(&Told::Up { lost: true }).await;
    assert!(back.elapsed() < BACK, "{:?}", back.elapsed());
    assert_eq!((proxy.losses(), proxy.metric("pilotfish_store_up")), (1, 1.0));
    assert_eq!(proxy.metric(r#"pilotfish_leases_lost_total{reason="restart"}"#), 2.0);
    assert_eq!(proxy.renew(&[(key("s"), pin)]).await, Ok(vec![Renewed::Lost]));
    assert_eq!(proxy.unlock(&key("s"), held).await, Ok(false));
    // For a moment only who had something gets it again.
    assert_eq!(claim(&proxy, "other").await, Err(StoreError::Unavailable));
    assert_eq!(lock(&proxy, "s").await, Err(StoreError::Unavailable));
    assert!(claim(&proxy, "s").await.expect("again") > pin);
    let later = within(|| "a lock".to_owned(), async {
        loop {
            match lock(&proxy, "s").await {
                Ok(token) => return token,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    assert!(later.await > held, "tokens go on");
    assert!(back.elapsed() < BACK, "{:?}", back.elapsed());
    claim(&proxy, "other").await.expect("everybody may again");
}

#[tokio::test]
async fn a_server_that_hangs_has_lost_nothing() {
    let (server, mut proxy) = start().await;
    let pin = claim(&proxy, "s").await.expect("a hold");
    server.signal(Signal::STOP);
    let longest = longest_refusal(&proxy).await;
    assert!(longest < TOLD, "{longest:?}");
    proxy.until(&Told::Down).await;
    let longest = longest_refusal(&proxy).await;
    assert!(longest < TOLD / 5, "known to be down: {longest:?}");
    server.signal(Signal::CONT);
    let back = Instant::now();
    proxy.until(&Told::Up { lost: false }).await;
    assert!(back.elapsed() < BACK, "{:?}", back.elapsed());
    assert!(matches!(proxy.renew(&[(key("s"), pin)]).await.as_deref(), Ok([Renewed::Until { .. }])));
    assert_eq!(proxy.losses(), 0);
    lock(&proxy, "s").await.expect("at once");
}

#[tokio::test]
async fn a_server_that_is_demoted_has_lost_everything() {
    let (server, mut proxy) = start().await;
    let mut other = Server::start().await;
    let mut both = settings("two", &server.address());
    both.addresses.push(other.address().parse().expect("an address"));
    let mut second = Proxy::start(both).await;
    claim(&proxy, "s").await.expect("a hold");
    claim(&second, "s").await.expect("a hold");
    server.command(&["REPLICAOF", "127.0.0.1", &other.port.to_string()]).await;
    // The next write is refused, or the watcher sees it first.
    proxy.until(&Told::Down).await;
    second.until(&Told::Up { lost: true }).await;
    assert_eq!(second.metric(r#"pilotfish_leases_lost_total{reason="failover"}"#), 1.0);
    assert_eq!(claim(&proxy, "s").await, Err(StoreError::Unavailable));
    claim(&second, "s").await.expect("at the new master");
    other.kill().await;
    second.until(&Told::Down).await;
}

/// Hands bytes on, answers later.
async fn slow(server: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(backend) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (client.into_split(), backend.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                    tokio::time::sleep(delay).await;
                    if to_client.write_all(&bytes[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_server_that_takes_100_ms_is_in_time() {
    let server = Server::start().await;
    let port = slow(server.port, Duration::from_millis(100)).await;
    let mut proxy = Proxy::start(settings("one", &format!("127.0.0.1:{port}"))).await;
    for number in 0..5 {
        let asked = Instant::now();
        claim(&proxy, &format!("s{number}")).await.expect("slow, but in time");
        assert!(asked.elapsed() < LIMIT, "{:?}", asked.elapsed());
    }
    assert!(proxy.told.try_recv().is_err(), "it never seemed down");
}

#[tokio::test]
async fn a_server_that_takes_too_long_is_away() {
    let server = Server::start().await;
    let port = slow(server.port, Duration::from_millis(2000)).await;
    let proxy = Proxy::launch(settings("one", &format!("127.0.0.1:{port}")));
    assert!(longest_refusal(&proxy).await < TOLD);
    assert!(!proxy.is_up());
}

#[tokio::test]
async fn the_first_master_of_several_is_used() {
    let (dead, replica, master) = (free_port(), Server::start().await, Server::start().await);
    replica.command(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]).await;
    let mut all = settings("one", &format!("127.0.0.1:{dead}"));
    all.addresses.push(replica.address().parse().expect("an address"));
    all.addresses.push(master.address().parse().expect("an address"));
    let proxy = Proxy::start(all).await;
    claim(&proxy, "s").await.expect("a hold");
    assert_eq!(master.command(&["EXISTS", "test:{p/s}:pin"]).await, ":1\r\n");
}
