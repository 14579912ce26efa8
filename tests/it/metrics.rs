//! The admin listener as Prometheus sees it: `promtool check metrics` on our text, and a real server that scrapes us.

use std::{
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pilotfish::{
    admin::{
        self, AdminSource, BackendStatus, Begun, CleanupBegun, CleanupStatus, NotReady, Order, OrderRefusal,
        PoolStatus, Readiness, ShareAsk, ShareRefusal, ShareStatus, Status, UpgradeRefusal, UpgradeStatus,
    },
    telemetry::{
        BackendState, ClientEnd, Held, LinkOutcome, Metrics, MetricsError, Outcome, ProbeOutcome, Reason, TurnOutcome,
        Way,
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(30);

struct Proxy {
    metrics: Metrics,
    draining: AtomicBool,
    scrapes: watch::Sender<u32>,
}

impl AdminSource for Proxy {
    fn metrics(&self) -> Result<String, MetricsError> {
        self.scrapes.send_modify(|scrapes| *scrapes += 1);
        self.metrics.gather()
    }

    fn readiness(&self) -> Readiness {
        let reasons = if self.draining.load(Ordering::Relaxed) {
            vec![NotReady::Draining, NotReady::NoBackend { listener: "sdk".into(), pool: "copilot".into() }]
        } else {
            vec![]
        };
        Readiness { reasons }
    }

    fn status(&self) -> Status {
        let backend = BackendStatus { name: "cli-1".into(), state: "up".into(), weight: 1, ..Default::default() };
        let pool = PoolStatus { name: "copilot".into(), backends: vec![backend], ..Default::default() };
        Status { version: "1.2.3".into(), pools: vec![pool], ..Default::default() }
    }

    fn shares(&self) -> Vec<ShareStatus> {
        Vec::new()
    }

    fn share(&self, asked: &ShareAsk, reason: &str) -> Result<(), ShareRefusal> {
        assert!(!reason.is_empty());
        if asked.pool == "copilot" { Ok(()) } else { Err(ShareRefusal::NoWall) }
    }

    fn unshare(&self, _: &ShareAsk, _: &str) -> Result<(), ShareRefusal> {
        Err(ShareRefusal::NotGranted)
    }

    fn operate(&self, order: &Order, reason: &str) -> Result<Begun, OrderRefusal> {
        assert!(!reason.is_empty());
        Err(OrderRefusal::Conflict(format!("{order:?}")))
    }

    fn cleanups(&self) -> Vec<CleanupStatus> {
        vec![CleanupStatus { pool: "copilot".into(), ..CleanupStatus::default() }]
    }

    fn clean_up(&self, pool: &str, dry_run: Option<bool>, reason: &str) -> Result<CleanupBegun, OrderRefusal> {
        assert!(!reason.is_empty());
        Ok(CleanupBegun { pool: pool.into(), run: 1, dry_run: dry_run.unwrap_or_default() })
    }

    fn upgrade(&self) -> UpgradeStatus {
        UpgradeStatus { pid: 1, state: "none", step: None, error: None, since_seconds: 0 }
    }

    fn begin_upgrade(&self, _: &str) -> Result<(), UpgradeRefusal> {
        Err(UpgradeRefusal::HandedOver)
    }
}

struct Admin {
    addr: SocketAddr,
    proxy: Arc<Proxy>,
    cancel: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Admin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (scrapes, _) = watch::channel(0);
        let proxy = Arc::new(Proxy { metrics: busy_metrics(), draining: AtomicBool::new(false), scrapes });
        let cancel = CancellationToken::new();
        let serving = tokio::spawn(admin::serve(listener, proxy.clone(), cancel.clone()));
        Self { addr, proxy, cancel, serving }
    }

    async fn finish(self) {
        self.cancel.cancel();
        timeout(LIMIT, self.serving).await.unwrap().unwrap().unwrap();
        assert!(TcpStream::connect(self.addr).await.is_err(), "the port is closed");
    }

    /// The whole answer to a request, read until the server closes.
    async fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(LIMIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.addr)).await
    }
}

/// Metrics of a proxy that has done a bit of everything, so that every family has a sample.
fn busy_metrics() -> Metrics {
    let metrics = Metrics::new(&["ping", "session.send"]).unwrap();
    metrics.set_config_hash("0123abcd");
    let listener = metrics.listener("sdk");
    listener.accepted.inc();
    listener.closed.get(ClientEnd::Client).inc();
    listener.bytes.get(Way::In).inc_by(1234);
    let pool = metrics.pool("copilot");
    pool.method(Some(0)).answered(Outcome::Ok, Duration::from_micros(300));
    pool.method(None).answered(Outcome::Refused(Reason::NoBackend), Duration::from_micros(3));
    pool.turn_duration.observe(1.5);
    pool.first_delta.observe(0.2);
    let backend = metrics.backend("copilot", "cli-1");
    backend.set_state(BackendState::Up, true);
    backend.probed(ProbeOutcome::Ok, Duration::from_millis(2));
    backend.opened.get(LinkOutcome::Ok).inc();
    backend.turns.get(TurnOutcome::Idle).inc();
    metrics.errors.get(Reason::NoBackend).inc();
    drop(Held::one(&listener.clients));
    metrics
}

fn start(command: &mut Command) -> Child {
    let name = command.get_program().to_string_lossy().into_owned();
    command.spawn().unwrap_or_else(|why| panic!("cannot start `{name}` ({why}): apt-get install prometheus"))
}

#[test]
fn promtool_finds_nothing_to_say_about_our_text() {
    let mut promtool = start(
        Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    let text = busy_metrics().gather().unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    assert!(said.status.success() && words.is_empty(), "{}", String::from_utf8_lossy(&words));
}

/// A Prometheus server that is ended with the test, and its files with it.
struct Prometheus {
    process: tokio::process::Child,
    addr: SocketAddr,
    folder: PathBuf,
}

impl Prometheus {
    /// Starts one that scrapes `target` every second.
    async fn start(target: SocketAddr) -> Self {
        let folder = std::env::temp_dir().join(format!("pilotfish-prometheus-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: pilotfish\n  static_configs: [ {{ targets: ['{target}'] }} ]\n"
        );
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let mut process = tokio::process::Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|why| panic!("cannot start `prometheus` ({why}): apt-get install prometheus"));
        let addr = Self::read_address(process.stderr.take().unwrap()).await;
        Self { process, addr, folder }
    }

    /// It says in its log which port it got.
    async fn read_address(log: tokio::process::ChildStderr) -> SocketAddr {
        let mut lines = BufReader::new(log).lines();
        let mut said = Vec::new();
        let reading = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let addr = line.contains("Listening on").then(|| line.rsplit("address=").next().unwrap().parse());
                if let Some(Ok(addr)) = addr {
                    return Some(addr);
                }
                said.push(line);
            }
            None
        };
        let addr = timeout(LIMIT, reading).await;
        // It goes on logging; somebody has to read it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        addr.ok().flatten().unwrap_or_else(|| panic!("prometheus did not say its address: {said:#?}"))
    }

    async fn value(&self, query: &str) -> Option<f64> {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let request = format!("GET /api/v1/query?query={query} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        body["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    async fn finish(mut self) {
        self.process.kill().await.unwrap();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

#[tokio::test]
async fn a_prometheus_server_scrapes_us() {
    let admin = Admin::start().await;
    let prometheus = Prometheus::start(admin.addr).await;
    let mut scrapes = admin.proxy.scrapes.subscribe();
    // Prometheus has stored one scrape before it begins the next.
    timeout(LIMIT, scrapes.wait_for(|scrapes| *scrapes >= 2)).await.expect("scraped in time").unwrap();
    let bytes = "pilotfish_client_bytes_total%7Blistener=%22sdk%22,direction=%22in%22%7D";
    assert_eq!(prometheus.value(bytes).await, Some(1234.0));
    assert_eq!(prometheus.value("up").await, Some(1.0));
    assert_eq!(prometheus.value("pilotfish_backend_up").await, Some(1.0));
    prometheus.finish().await;
    admin.finish().await;
}

#[tokio::test]
async fn metrics_have_the_content_type_of_the_text_format() {
    let admin = Admin::start().await;
    let answer = admin.get("/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4\r\n"));
    assert!(answer.contains("\npilotfish_build_info{version="));
    admin.finish().await;
}

#[tokio::test]
async fn readiness_follows_the_proxy_and_says_why() {
    let admin = Admin::start().await;
    assert!(admin.get("/readyz").await.starts_with("HTTP/1.1 200 "));
    admin.proxy.draining.store(true, Ordering::Relaxed);
    let answer = admin.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("draining\nno healthy backend in pool copilot of listener sdk\n"), "{answer}");
    let verbose = admin.get("/readyz?verbose").await;
    let body: serde_json::Value = serde_json::from_str(verbose.split_once("\r\n\r\n").unwrap().1).unwrap();
    let expected = serde_json::json!({ "ready": false, "reasons": [
        { "reason": "draining" },
        { "reason": "no_backend", "listener": "sdk", "pool": "copilot" },
    ]});
    assert_eq!(body, expected);
    assert!(admin.get("/livez").await.starts_with("HTTP/1.1 200 "), "a draining proxy lives");
    admin.finish().await;
}

#[tokio::test]
async fn status_is_json() {
    let admin = Admin::start().await;
    let answer = admin.get("/status").await;
    let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["version"], "1.2.3");
    assert_eq!(body["pools"][0]["backends"][0]["name"], "cli-1");
    assert_eq!(body["drain"]["draining"], false);
    admin.finish().await;
}

#[tokio::test]
async fn what_is_not_served_is_refused_in_json() {
    let admin = Admin::start().await;
    for (request, status) in [
        ("GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(), "404"),
        (
            "POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            "405",
        ),
        ("GET /status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_owned(), "421"),
        ("GET http://evil.example/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(), "421"),
        (
            "GET /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello".to_owned(),
            "413",
        ),
    ] {
        let answer = admin.ask(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{answer}");
        let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert!(body["error"].is_string(), "{answer}");
    }
    let endless = format!("GET /status HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    let mut stream = TcpStream::connect(admin.addr).await.unwrap();
    let _ = stream.write_all(endless.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("closed");
    assert!(!String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 200"));
    admin.finish().await;
}

#[tokio::test]
async fn what_changes_something_says_why() {
    let admin = Admin::start().await;
    let ask = |method: &str, query: &str, header: &str| {
        format!("{method} /shares?{query} HTTP/1.1\r\nHost: localhost\r\n{header}Connection: close\r\n\r\n")
    };
    let (good, reason) = ("pool=copilot&session=alice--x&with=bob", "X-Pilotfish-Reason: pairing\r\n");
    for (request, status) in [
        (ask("POST", good, reason), "200"),
        (ask("POST", good, ""), "403"),
        (ask("POST", good, "X-Pilotfish-Reason:  \r\n"), "403"),
        (ask("POST", "pool=other&session=alice--x&with=bob", reason), "404"),
        (ask("POST", "pool=copilot&session=alice--x", reason), "400"),
        (ask("POST", "pool=copilot&session=alice--x&with=bob&more=1", reason), "400"),
        (ask("DELETE", good, reason), "404"),
        (ask("GET", "", ""), "200"),
        (ask("PUT", good, reason), "405"),
    ] {
        let answer = admin.ask(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{answer}");
    }
    admin.finish().await;
}

#[tokio::test]
async fn a_connection_without_a_request_does_not_hold_up_the_end() {
    let admin = Admin::start().await;
    let mut silent = TcpStream::connect(admin.addr).await.unwrap();
    silent.write_all(b"GET /livez HT").await.unwrap();
    assert!(admin.get("/livez").await.contains("ok"), "it is being served");
    admin.finish().await;
    drop(silent);
}
