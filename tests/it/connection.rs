//! Connection mode between plain sockets: bytes, half-close, failures, drain.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use pilotfish::{
    backend::Dialer,
    pool::Member,
    serve::{
        accept::Listening,
        connection::{Choose, ConnectionMode, ConnectionSettings, Patience, ProxyProtocol, proxy_header, run},
    },
    telemetry::{ClientEnd, LinkEnd, LinkOutcome, ListenerMetrics, Metrics, Towards, Way},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Longer than any of these steps takes; a test that gets here fails.
const LIMIT: Duration = Duration::from_secs(20);

/// A proxy in connection mode on a free port.
struct Proxy {
    addr: SocketAddr,
    metrics: Arc<Metrics>,
    listener: Arc<ListenerMetrics>,
    tracker: TaskTracker,
    drain: CancellationToken,
    kill: CancellationToken,
    accepting: JoinHandle<std::io::Result<()>>,
}

impl Proxy {
    async fn start(settings: ConnectionSettings, members: Vec<Arc<Member>>) -> Self {
        let choose: Choose =
            Arc::new(move |_, tried| members.iter().find(|m| !tried.iter().any(|t| Arc::ptr_eq(t, m))).cloned());
        let socket = Listening::bind(&([127, 0, 0, 1], 0).into(), 0).unwrap();
        let addr = socket.endpoint().unwrap().tcp().unwrap();
        let metrics = Arc::new(Metrics::new(&[]).unwrap());
        let (tracker, drain, kill) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let listener = metrics.listener("l4");
        let mode = ConnectionMode {
            settings,
            choose,
            dialer: Dialer::default(),
            metrics: metrics.clone(),
            listener: listener.clone(),
            tracker: tracker.clone(),
            kill: kill.clone(),
        };
        let accepting = tokio::spawn(run("l4", socket, mode, drain.clone()));
        Self { addr, metrics, listener, tracker, drain, kill, accepting }
    }

    async fn client(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// Stops accepting and waits for the connections that run.
    async fn finish(self) {
        self.drain.cancel();
        timeout(LIMIT, self.accepting).await.unwrap().unwrap().unwrap();
        self.tracker.close();
        timeout(LIMIT, self.tracker.wait()).await.expect("connections ended");
        assert_eq!(self.listener.clients.get(), 0);
        assert_eq!(self.listener.connections.get(), 0);
        for towards in [Towards::Client, Towards::Backend] {
            assert_eq!(self.metrics.backpressure.buffered.get(towards).get(), 0);
        }
    }
}

fn member(name: &str, address: SocketAddr) -> Arc<Member> {
    Arc::new(Member::new("pool".into(), name.into(), 1, Some(address.into())))
}

async fn free_listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// An address that refuses: it was bound a moment ago and nobody listens.
async fn refusing() -> SocketAddr {
    free_listener().await.1
}

/// A backend that sends back what it gets and ends when its client does.
async fn echo() -> SocketAddr {
    let (listener, addr) = free_listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    addr
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

async fn round_trip(splice: bool) {
    let settings = ConnectionSettings { splice, ..Default::default() };
    let proxy = Proxy::start(settings, vec![member("a", echo().await)]).await;
    let sent = pattern(24 << 20);
    let (mut read, mut write) = proxy.client().await.into_split();
    let to_send = sent.clone();
    let sending = tokio::spawn(async move {
        write.write_all(&to_send).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    timeout(LIMIT, read.read_to_end(&mut got)).await.unwrap().unwrap();
    sending.await.unwrap();
    assert!(got == sent, "{} of {} bytes came back, or others", got.len(), sent.len());
    drop(read);
    let (listener, metrics) = (proxy.listener.clone(), proxy.metrics.clone());
    proxy.finish().await;
    let backend = metrics.backend("pool", "a");
    let all = sent.len() as u64;
    assert_eq!((listener.bytes.get(Way::In).get(), listener.bytes.get(Way::Out).get()), (all, all));
    assert_eq!((backend.bytes.get(Way::In).get(), backend.bytes.get(Way::Out).get()), (all, all));
    assert_eq!(listener.closed.get(ClientEnd::Client).get(), 1);
    assert_eq!(listener.spliced.get() > 0, splice, "bulk goes through the kernel if it may");
}

#[tokio::test]
async fn bulk_comes_back_byte_for_byte_copied() {
    round_trip(false).await;
}

#[tokio::test]
async fn bulk_comes_back_byte_for_byte_spliced() {
    round_trip(true).await;
}

#[tokio::test]
async fn a_half_close_is_passed_on_and_the_other_way_stays_open() {
    let (backend, addr) = free_listener().await;
    let proxy = Proxy::start(ConnectionSettings::default(), vec![member("a", addr)]).await;
    let mut client = proxy.client().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let (mut served, _) = timeout(LIMIT, backend.accept()).await.unwrap().unwrap();
    let mut question = String::new();
    timeout(LIMIT, served.read_to_string(&mut question)).await.unwrap().unwrap();
    assert_eq!(question, "question");
    served.write_all(b"answer after the end").await.unwrap();
    drop(served);
    let mut answer = String::new();
    timeout(LIMIT, client.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, "answer after the end");
    proxy.finish().await;
}

#[tokio::test]
async fn a_backend_that_refuses_is_reported_and_the_next_one_serves() {
    let (dead, live) = (member("dead", refusing().await), member("live", echo().await));
    let proxy = Proxy::start(ConnectionSettings::default(), vec![dead.clone(), live.clone()]).await;
    let mut client = proxy.client().await;
    client.write_all(b"hi").await.unwrap();
    let mut got = [0; 2];
    timeout(LIMIT, client.read_exact(&mut got)).await.unwrap().unwrap();
    timeout(LIMIT, dead.suspect.notified()).await.expect("the probe was woken");
    assert_eq!((dead.links.load(Ordering::Relaxed), live.links.load(Ordering::Relaxed)), (0, 1));
    let refused = proxy.metrics.backend("pool", "dead").opened.get(LinkOutcome::Refused).get();
    assert_eq!(refused, 1);
    drop(client);
    proxy.finish().await;
    assert_eq!(live.links.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn with_no_backend_at_all_the_client_is_closed() {
    let mut members = Vec::new();
    for name in ["a", "b", "c", "d"] {
        members.push(member(name, refusing().await));
    }
    let proxy = Proxy::start(ConnectionSettings::default(), members).await;
    let mut client = proxy.client().await;
    assert_eq!(timeout(LIMIT, client.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
    assert_eq!(proxy.listener.closed.get(ClientEnd::NoBackend).get(), 1);
    let tried: u64 = ["a", "b", "c", "d"]
        .iter()
        .map(|name| proxy.metrics.backend("pool", name).opened.get(LinkOutcome::Refused).get())
        .sum();
    assert_eq!(tried, 3, "three are tried, not more");
    proxy.finish().await;
}

#[tokio::test]
async fn a_backend_that_resets_is_suspect_and_ends_the_client() {
    let (backend, addr) = free_listener().await;
    let a = member("a", addr);
    let proxy = Proxy::start(ConnectionSettings::default(), vec![a.clone()]).await;
    let mut client = proxy.client().await;
    client.write_all(b"x").await.unwrap();
    let (mut served, _) = timeout(LIMIT, backend.accept()).await.unwrap().unwrap();
    timeout(LIMIT, served.read_exact(&mut [0; 1])).await.unwrap().unwrap();
    served.set_zero_linger().unwrap();
    drop(served);
    assert_eq!(timeout(LIMIT, client.read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
    timeout(LIMIT, a.suspect.notified()).await.expect("the probe was woken");
    let (listener, metrics) = (proxy.listener.clone(), proxy.metrics.clone());
    proxy.finish().await;
    assert_eq!(listener.closed.get(ClientEnd::BackendReset).get(), 1);
    assert_eq!(metrics.backend("pool", "a").closed.get(LinkEnd::Reset).get(), 1);
}

#[tokio::test]
async fn the_backend_learns_who_the_client_is_before_its_first_byte() {
    let (backend, addr) = free_listener().await;
    let settings = ConnectionSettings { proxy_protocol: ProxyProtocol::V2, ..Default::default() };
    let proxy = Proxy::start(settings, vec![member("a", addr)]).await;
    let mut client = proxy.client().await;
    client.write_all(b"first").await.unwrap();
    let expected = [proxy_header::proxied(client.local_addr().unwrap(), proxy.addr), b"first".to_vec()].concat();
    let (mut served, _) = timeout(LIMIT, backend.accept()).await.unwrap().unwrap();
    let mut got = vec![0; expected.len()];
    timeout(LIMIT, served.read_exact(&mut got)).await.unwrap().unwrap();
    assert_eq!(got, expected);
    drop((client, served));
    proxy.finish().await;
}

#[tokio::test]
async fn nothing_moving_for_too_long_ends_both() {
    let patience = Patience { idle: Some(Duration::from_millis(50)), half_closed: None };
    let proxy =
        Proxy::start(ConnectionSettings { patience, ..Default::default() }, vec![member("a", echo().await)]).await;
    let mut client = proxy.client().await;
    assert_eq!(timeout(LIMIT, client.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
    let listener = proxy.listener.clone();
    proxy.finish().await;
    assert_eq!(listener.closed.get(ClientEnd::Idle).get(), 1);
}

#[tokio::test]
async fn a_drain_lets_connections_run_and_the_deadline_cuts_them() {
    let proxy = Proxy::start(ConnectionSettings::default(), vec![member("a", echo().await)]).await;
    let mut client = proxy.client().await;
    let mut got = [0; 4];
    client.write_all(b"ping").await.unwrap();
    timeout(LIMIT, client.read_exact(&mut got)).await.unwrap().unwrap();

    proxy.drain.cancel();
    timeout(LIMIT, async { while TcpStream::connect(proxy.addr).await.is_ok() {} }).await.expect("the port is closed");
    client.write_all(b"pong").await.unwrap();
    timeout(LIMIT, client.read_exact(&mut got)).await.unwrap().unwrap();
    assert_eq!(&got, b"pong");

    proxy.kill.cancel();
    assert_eq!(timeout(LIMIT, client.read(&mut got)).await.unwrap().unwrap(), 0);
    let listener = proxy.listener.clone();
    proxy.finish().await;
    assert_eq!(listener.closed.get(ClientEnd::Deadline).get(), 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_its_backend() {
    let (backend, addr) = free_listener().await;
    let proxy = Proxy::start(ConnectionSettings::default(), vec![member("a", addr)]).await;
    let client = proxy.client().await;
    let (served, _) = timeout(LIMIT, backend.accept()).await.unwrap().unwrap();
    // Far more than socket buffers and one pipe hold.
    let sending = tokio::spawn(async move {
        let mut served = served;
        served.write_all(&pattern(64 << 20)).await
    });
    let stalls = proxy.metrics.backpressure.stalls.get(Towards::Client).clone();
    timeout(LIMIT, async {
        while stalls.get() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the backend was stopped");
    let waiting = proxy.metrics.backpressure.buffered.get(Towards::Client).get();
    assert!((1..=1 << 20).contains(&waiting), "{waiting} bytes wait");
    assert!(!sending.is_finished());
    drop(client);
    assert!(sending.await.unwrap().is_err(), "its link is cut");
    proxy.finish().await;
}

#[tokio::test]
async fn a_side_that_never_ends_after_the_other_one_did_is_closed() {
    let (backend, addr) = free_listener().await;
    let patience = Patience { idle: None, half_closed: Some(Duration::from_millis(50)) };
    let proxy = Proxy::start(ConnectionSettings { patience, ..Default::default() }, vec![member("a", addr)]).await;
    let mut client = proxy.client().await;
    client.shutdown().await.unwrap();
    let (mut served, _) = timeout(LIMIT, backend.accept()).await.unwrap().unwrap();
    assert_eq!(timeout(LIMIT, served.read(&mut [0; 1])).await.unwrap().unwrap(), 0, "it heard of the end");
    assert_eq!(timeout(LIMIT, client.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
    let listener = proxy.listener.clone();
    proxy.finish().await;
    assert_eq!(listener.closed.get(ClientEnd::Idle).get(), 1);
}

/// The Node SDK's way of writing: header and body apart, Nagle's algorithm on. Linux delays the header's
/// acknowledgement by 40 ms at least, and the body waits for it, unless we ask for it to be sent at once.
#[tokio::test]
async fn a_header_alone_is_acknowledged_at_once() {
    const HEADER: &[u8] = b"Content-Length: 40\r\n\r\n";
    let (backend, addr) = free_listener().await;
    tokio::spawn(async move {
        let (mut stream, _) = backend.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut frame = [0; HEADER.len() + 40];
        while stream.read_exact(&mut frame).await.is_ok() && stream.write_all(&frame).await.is_ok() {}
    });
    let proxy = Proxy::start(ConnectionSettings::default(), vec![member("a", addr)]).await;
    let mut client = proxy.client().await;
    client.set_nodelay(false).unwrap();
    let mut took = Vec::new();
    for _ in 0..41 {
        let began = std::time::Instant::now();
        client.write_all(HEADER).await.unwrap();
        client.write_all(&[b' '; 40]).await.unwrap();
        client.read_exact(&mut [0; HEADER.len() + 40]).await.unwrap();
        took.push(began.elapsed());
    }
    took.sort();
    assert!(took[20] < Duration::from_millis(20), "median {:?}", took[20]);
    drop(client);
    proxy.finish().await;
}
