//! The probe against scripted backends on loopback.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::probe::{self, ProbeObserver, ProbeOutcome, ProbeSettings};
use crate::{
    health::{Thresholds, Verdict},
    model::Secret,
    pool::{Identity, Member},
};

/// How the scripted backend behaves, for every connection and from the next request on.
#[derive(Clone, Debug, PartialEq)]
enum Manner {
    Healthy,
    /// From before `connect`.
    Old,
    /// Accepts and never answers.
    Silent,
    /// Answers with what is no frame.
    Garbage,
    Speaks(u32),
    Wants(&'static str),
}

struct Scripted {
    address: SocketAddr,
    manner: watch::Sender<Manner>,
    accepted: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Scripted {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let manner = watch::Sender::new(manner);
        let accepted = Arc::new(AtomicUsize::new(0));
        let (heard, count) = (manner.subscribe(), accepted.clone());
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                connections.spawn(converse(stream, heard.clone()));
            }
        });
        Self { address, manner, accepted, task }
    }
}

async fn converse(stream: TcpStream, manner: watch::Receiver<Manner>) {
    let mut stream = BufReader::new(stream);
    loop {
        let Some(body) = read_body(&mut stream).await else { return };
        let request: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let manner = manner.borrow().clone();
        let Some(answer) = answer(&manner, &request) else { continue };
        // An event first, as a real backend tells everybody of every session.
        let event = r#"{"jsonrpc":"2.0","method":"session.lifecycle","params":{"sessionId":"x"}}"#;
        for body in [event, &answer] {
            let frame = format!("Content-Length: {}\r\n\r\n{body}", body.len());
            let frame = if manner == Manner::Garbage { "HTTP/1.1 400\r\n\r\n".into() } else { frame };
            if stream.write_all(frame.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn read_body(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let length = line.strip_prefix("Content-Length: ")?.trim().parse().ok()?;
    stream.read_line(&mut line).await.ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

fn answer(manner: &Manner, request: &serde_json::Value) -> Option<String> {
    let connect = request["method"] == "connect";
    let error =
        |code: i64| serde_json::json!({"jsonrpc":"2.0","id":request["id"],"error":{"code":code,"message":"no"}});
    let result = |result: serde_json::Value| serde_json::json!({"jsonrpc":"2.0","id":request["id"],"result":result});
    let greeting = |version: u32| result(serde_json::json!({"ok":true,"protocolVersion":version,"version":"1.0.102"}));
    let answer = match manner {
        Manner::Silent => return None,
        Manner::Old if connect => error(-32601),
        Manner::Old => result(serde_json::json!({"message":"pong","timestamp":1,"protocolVersion":3})),
        Manner::Wants(token) if connect && request["params"]["token"] != *token => error(-32002),
        Manner::Speaks(version) if connect => greeting(*version),
        _ if connect => greeting(3),
        _ => result(serde_json::json!({"message":"pong","timestamp":1})),
    };
    Some(answer.to_string())
}

#[derive(Debug, PartialEq)]
enum Seen {
    Probed(bool, &'static str),
    Changed(Verdict, Verdict, &'static str),
}

struct Observer(mpsc::Sender<Seen>);

impl ProbeObserver for Observer {
    fn probed(&self, _: &Member, outcome: &ProbeOutcome) {
        drop(self.0.try_send(Seen::Probed(outcome.ok, outcome.reason)));
    }

    fn changed(&self, _: &Member, from: Verdict, to: Verdict, reason: &'static str) {
        drop(self.0.try_send(Seen::Changed(from, to, reason)));
    }
}

struct Watched {
    member: Arc<Member>,
    seen: mpsc::Receiver<Seen>,
    _stop: DropGuard,
}

impl Watched {
    fn start(address: Option<SocketAddr>, settings: ProbeSettings) -> Self {
        let member = Arc::new(Member::new("p".into(), "m".into(), 1, address.map(Into::into)));
        let (sender, seen) = mpsc::channel(1024);
        let cancel = CancellationToken::new();
        let observer: Arc<dyn ProbeObserver> = Arc::new(Observer(sender));
        probe::spawn([member.clone()], &Arc::new(settings), &observer, &TaskTracker::new(), &cancel);
        Self { member, seen, _stop: cancel.drop_guard() }
    }

    /// The next change of the verdict.
    async fn change(&mut self) -> (Verdict, Verdict, &'static str) {
        loop {
            if let Seen::Changed(from, to, reason) = self.seen.recv().await.unwrap() {
                return (from, to, reason);
            }
        }
    }

    /// The next check.
    async fn check(&mut self) -> (bool, &'static str) {
        loop {
            if let Seen::Probed(ok, reason) = self.seen.recv().await.unwrap() {
                return (ok, reason);
            }
        }
    }
}

/// Never due within a test: what happens, happens because of a suspicion.
fn rare() -> ProbeSettings {
    ProbeSettings { interval: Duration::from_secs(3600), suspect_gap: Duration::ZERO, ..ProbeSettings::default() }
}

/// Due all the time.
fn often() -> ProbeSettings {
    ProbeSettings {
        interval: Duration::from_millis(20),
        // Long enough for a healthy one on a machine that is busy with other tests.
        timeout: Duration::from_secs(1),
        suspect_gap: Duration::ZERO,
        thresholds: Thresholds { rise: 2, fall: 3 },
        ..ProbeSettings::default()
    }
}

use Verdict::{Down, Unknown, Up};

#[tokio::test]
async fn the_first_good_check_puts_it_up_and_one_connection_is_kept() {
    let backend = Scripted::start(Manner::Healthy).await;
    let mut watched = Watched::start(Some(backend.address), often());
    assert_eq!(watched.change().await, (Unknown, Up, "ok"));
    let identity = Identity { version: Some("1.0.102".into()), protocol_version: 3 };
    assert_eq!(watched.member.identity.load().as_deref(), Some(&identity));
    for _ in 0..5 {
        assert_eq!(watched.check().await, (true, "ok"));
    }
    assert_eq!(backend.accepted.load(Ordering::Relaxed), 1);
    assert_eq!(watched.member.last_check.load().as_ref().unwrap().reason, "ok");
}

#[tokio::test]
async fn an_old_server_tells_its_version_in_ping() {
    let backend = Scripted::start(Manner::Old).await;
    let mut watched = Watched::start(Some(backend.address), rare());
    assert_eq!(watched.change().await, (Unknown, Up, "ok"));
    let identity = Identity { version: None, protocol_version: 3 };
    assert_eq!(watched.member.identity.load().as_deref(), Some(&identity));
}

#[tokio::test]
async fn the_token_decides() {
    let backend = Scripted::start(Manner::Wants("right")).await;
    for (token, expected) in [
        (Some("right"), (Unknown, Up, "ok")),
        (Some("wrong"), (Unknown, Down, "auth_failed")),
        (None, (Unknown, Down, "auth_failed")),
    ] {
        let settings = ProbeSettings { token: token.map(Secret::new), ..rare() };
        assert_eq!(Watched::start(Some(backend.address), settings).change().await, expected);
    }
}

#[tokio::test]
async fn bad_ones_are_down_each_with_its_reason() {
    for (manner, reason) in
        [(Manner::Silent, "timeout"), (Manner::Speaks(9), "protocol"), (Manner::Garbage, "malformed")]
    {
        let backend = Scripted::start(manner).await;
        let mut watched = Watched::start(Some(backend.address), often());
        assert_eq!(watched.change().await, (Unknown, Down, reason));
    }
}

#[tokio::test]
async fn one_that_has_no_address_yet_is_not_judged() {
    let backend = Scripted::start(Manner::Healthy).await;
    let mut watched = Watched::start(None, often());
    assert_eq!(watched.check().await, (false, "no_address"));
    assert_eq!(watched.member.verdict(), Unknown);
    watched.member.set_address(Some(backend.address.into()));
    assert_eq!(watched.change().await, (Unknown, Up, "ok"));
    assert_eq!(watched.member.recovered_at(), None);
}

#[tokio::test]
async fn a_hang_takes_fall_checks_and_a_recovery_rise() {
    let backend = Scripted::start(Manner::Healthy).await;
    let mut watched = Watched::start(Some(backend.address), often());
    assert_eq!(watched.change().await, (Unknown, Up, "ok"));
    backend.manner.send_replace(Manner::Silent);
    while watched.check().await.0 {}
    assert_eq!(watched.check().await, (false, "timeout"));
    assert_eq!(watched.check().await, (false, "timeout"));
    assert_eq!(watched.change().await, (Up, Down, "timeout"));
    backend.manner.send_replace(Manner::Healthy);
    while !watched.check().await.0 {}
    assert_eq!(watched.check().await, (true, "ok"));
    assert_eq!(watched.change().await, (Down, Up, "ok"));
    assert!(watched.member.recovered_at().is_some());
}

#[tokio::test]
async fn a_death_is_seen_at_once_without_waiting_for_the_interval() {
    let backend = Scripted::start(Manner::Healthy).await;
    let mut watched = Watched::start(Some(backend.address), rare());
    assert_eq!(watched.change().await, (Unknown, Up, "ok"));
    backend.task.abort();
    assert_eq!(watched.change().await, (Up, Down, "refused"));
}

#[tokio::test]
async fn a_suspicion_checks_on_a_new_connection() {
    let backend = Scripted::start(Manner::Healthy).await;
    let mut watched = Watched::start(Some(backend.address), rare());
    assert_eq!(watched.check().await, (true, "ok"));
    watched.member.suspect.notify_one();
    assert_eq!(watched.check().await, (true, "ok"));
    assert_eq!(backend.accepted.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_replaced_backend_needs_one_good_check_only() {
    let (first, second) = (Scripted::start(Manner::Healthy).await, Scripted::start(Manner::Healthy).await);
    let mut watched = Watched::start(Some(first.address), rare());
    assert_eq!(watched.change().await, (Unknown, Up, "ok"));
    watched.member.set_address(None);
    watched.member.suspect.notify_one();
    assert_eq!(watched.change().await, (Up, Down, "no_address"));
    watched.member.set_address(Some(second.address.into()));
    watched.member.suspect.notify_one();
    assert_eq!(watched.change().await, (Down, Up, "ok"));
}

#[tokio::test(start_paused = true)]
async fn suspicions_are_rationed() {
    let settings = ProbeSettings { suspect_gap: Duration::from_secs(1), ..rare() };
    let mut watched = Watched::start(None, settings);
    assert_eq!(watched.check().await, (false, "no_address"));
    let start = tokio::time::Instant::now();
    for _ in 0..3 {
        for _ in 0..100 {
            watched.member.suspect.notify_one();
        }
        assert_eq!(watched.check().await, (false, "no_address"));
    }
    assert!(start.elapsed() >= Duration::from_secs(3));
}
