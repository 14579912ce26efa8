//! Another process takes over: nobody is refused, what runs ends at the old one, and what it knew is known.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    fake_cli::Act,
    process,
    rpc_client::RpcClient,
    session::{
        admin,
        rig::{Plan, Rig, create, prompt, turn},
    },
    tenants::rig as tenants,
};

/// A new connection every so often: 200 a second.
const PACE: Duration = Duration::from_millis(5);

/// How long connections come; `make torture` says more.
fn seconds() -> u64 {
    std::env::var("PILOTFISH_UPGRADE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// Opens connections at a steady pace until `stop`; each says `connect` and `ping` and makes a session. Gives back how many
/// there were.
async fn arrivals(addr: SocketAddr, stop: Arc<AtomicBool>) -> usize {
    let (mut ticks, mut all) = (interval(PACE), JoinSet::new());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let session = format!("arrival-{}", all.len());
        all.spawn(async move {
            let client = RpcClient::connect(addr).await;
            client.call("connect", json!({})).await.expect("connected");
            client.call("ping", json!({})).await.expect("answered");
            // Whoever the old process let in last is still served by it.
            create(&client, &session).await;
        });
    }
    let count = all.len();
    while let Some(ended) = all.join_next().await {
        ended.expect("neither refused nor reset");
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_refused_or_reset_and_old_turns_finish() {
    let mut rig = Rig::with(Plan { backends: 2, shutdown: "drain_timeout = \"1m\"", ..Plan::default() }).await;
    let gate = rig.gate();
    let mut busy = Vec::new();
    for number in 0..10 {
        let (client, session) = (rig.client().await, format!("turn-{number}"));
        create(&client, &session).await;
        prompt(&client, &session).await.expect("sent");
        client.next_event(&session, "assistant.message_delta").await;
        busy.push((client, session));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let arriving = tokio::spawn(arrivals(rig.proxy.addr("sdk"), stop.clone()));
    // The admin address answers all the time too.
    let (asked, admin) = (Arc::new(AtomicUsize::new(0)), rig.proxy.addr("admin"));
    let watching = {
        let (asked, stop) = (asked.clone(), stop.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(admin::page_at(admin, "/livez").await.0, 200);
                assert_eq!(admin::page_at(admin, "/readyz").await.0, 200);
                asked.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let (begun, lasting) = (Instant::now(), Duration::from_secs(seconds()));
    let mut pid = rig.proxy.pid();
    let mut upgrades = 0;
    while upgrades < 2 || begun.elapsed() < lasting {
        process::signal(pid, Signal::QUIT);
        upgrades += 1;
        let next = rig.proxy.successor(upgrades).await;
        // The process that hands over without a turn of its own goes at once.
        if upgrades > 1 {
            process::gone(pid).await;
        }
        pid = next;
    }
    stop.store(true, Ordering::Relaxed);
    let count = arriving.await.expect("all arrived");
    watching.await.expect("always there");
    assert!(count > 200 && asked.load(Ordering::Relaxed) > 0, "{count} connections, {upgrades} upgrades");
    gate.open();
    for (client, session) in &busy {
        client.next_event(session, "assistant.message").await;
        client.next_event(session, "session.idle").await;
        assert!(!client.events(session).iter().any(|kind| kind == "session.error"));
        client.expect_closed().await;
    }
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
    assert_eq!(rig.proxy.family(), [pid]);
    process::signal(pid, Signal::TERM);
    process::gone(pid).await;
    assert!(rig.proxy.family().is_empty(), "nothing is left");
}

#[tokio::test]
async fn a_session_that_lives_behind_the_old_process_is_met_at_its_backend() {
    // With this policy nothing but the pin says where a session is.
    let mut rig = Rig::with(Plan { backends: 3, pool: "policy = \"round-robin\"", ..Plan::default() }).await;
    let gate = rig.gate();
    let mut old = Vec::new();
    for number in 0..9 {
        let (client, session) = (rig.client().await, format!("pinned-{number}"));
        create(&client, &session).await;
        prompt(&client, &session).await.expect("sent");
        client.next_event(&session, "assistant.message_delta").await;
        let home = rig.home(&session);
        old.push((client, session, home));
    }
    rig.proxy.signal(Signal::QUIT);
    let pid = rig.proxy.successor(1).await;
    let new = rig.client().await;
    for (_, session, home) in &old {
        new.call("session.resume", json!({"sessionId": session})).await.expect("resumed");
        assert_eq!(rig.home(session), *home, "one home");
    }
    gate.open();
    for (client, session, _) in &old {
        client.next_event(session, "session.idle").await;
        new.next_event(session, "session.idle").await;
        client.expect_closed().await;
    }
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
    rig.cli.iter().for_each(|cli| cli.turns(Vec::new()));
    turn(&new, "pinned-0").await;
    assert_eq!(rig.proxy.family(), [pid]);
}

#[tokio::test]
async fn what_was_recorded_and_granted_still_holds() {
    let rig = tenants::two(tenants::Ids::Registry, 1).await;
    let alice = tenants::login(&rig, tenants::ALICE).await;
    create(&alice, "board").await;
    create(&alice, "diary").await;
    turn(&alice, "board").await;
    turn(&alice, "diary").await;
    let (code, body) =
        tenants::operate(&rig.proxy, "POST", "/shares?pool=copilot&session=board&with=bob", Some("together")).await;
    assert_eq!(code, 200, "{body}");
    rig.proxy.signal(Signal::QUIT);
    rig.proxy.successor(1).await;
    let bob = tenants::login(&rig, tenants::BOB).await;
    bob.call("session.resume", json!({"sessionId": "board"})).await.expect("shared");
    let foreign = bob.call("session.resume", json!({"sessionId": "diary"})).await;
    tenants::assert_absent(foreign, "session.resume", "diary");
    assert!(bob.call("session.create", json!({"sessionId": "diary"})).await.is_err(), "it is alice's");
    let alice = tenants::login(&rig, tenants::ALICE).await;
    alice.call("session.resume", json!({"sessionId": "diary"})).await.expect("hers");
}

#[tokio::test]
async fn a_new_process_that_cannot_start_leaves_the_old_one_serving() {
    let plan = Plan { backends: 1, shutdown: "upgrade_timeout = \"2s\"", ..Plan::default() };
    let mut rig = Rig::with(plan).await;
    let client = rig.client().await;
    create(&client, "stays").await;
    let good = plan.config(&[rig.cli[0].addr()]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let clash = format!(
        "{good}\n[[listener]]\nname = \"more\"\nbind = \"{}\"\npool = \"copilot\"\n",
        taken.local_addr().expect("bound")
    );
    let nobody = good.replace(&rig.cli[0].addr().to_string(), "127.0.0.1:1");
    for (config, wanted) in [
        ("no config".to_owned(), "its config is not right"),
        (clash, "listener `more`: cannot listen on"),
        (nobody, "not ready within 2s"),
    ] {
        rig.proxy.rewrite(&config);
        let (code, body) = tenants::operate(&rig.proxy, "POST", "/upgrade", Some("a test")).await;
        assert_eq!(code, 202, "{body}");
        rig.proxy.wait_for_line(wanted).await;
        let (_, body) = admin::until_page(&rig.proxy, "/upgrade", |body| body.contains("failed")).await;
        assert!(body.contains(wanted), "{body}");
        turn(&client, "stays").await;
        create(&rig.client().await, "more").await;
        assert_eq!(rig.proxy.family(), [rig.proxy.pid()]);
    }
    rig.proxy.rewrite(&good);
    rig.proxy.signal(Signal::QUIT);
    let pid = rig.proxy.successor(1).await;
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
    assert_eq!(rig.proxy.family(), [pid]);
}

#[tokio::test]
async fn listeners_come_and_go_with_an_upgrade() {
    let two = "[[listener]]\nname = \"two\"\nbind = \"127.0.0.1:0\"\npool = \"copilot\"\n";
    let plan = Plan { more: two, ..Plan::default() };
    let mut rig = Rig::with(plan).await;
    let (sdk, gone) = (rig.proxy.addr("sdk"), rig.proxy.addr("two"));
    let config = Plan { more: &two.replace("two", "three"), ..plan }.config(&[rig.cli[0].addr()]);
    rig.proxy.rewrite(&config);
    rig.proxy.signal(Signal::QUIT);
    rig.proxy.successor(1).await;
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
    let line = rig.proxy.wait_for_line("listening name=three").await;
    let three: SocketAddr = line.split_once("addr=").expect("an address").1.parse().expect("an address");
    for addr in [sdk, three] {
        RpcClient::connect(addr).await.call("connect", json!({})).await.expect("served");
    }
    assert!(tokio::net::TcpStream::connect(gone).await.is_err(), "closed with the old process");
}

#[tokio::test]
async fn a_second_signal_waits_for_the_first_and_the_end_takes_both_with_it() {
    let rig = Rig::new(1).await;
    // The new process finds its backend silent, so it is not ready for as long as we like.
    rig.cli[0].on("ping", Act::Ignore);
    rig.cli[0].on("connect", Act::Ignore);
    rig.proxy.signal(Signal::QUIT);
    rig.proxy.wait_for_line("the new process is there").await;
    rig.proxy.signal(Signal::QUIT);
    rig.proxy.wait_for_line("an upgrade is running already").await;
    assert_eq!(rig.proxy.family().len(), 2);
    let mut rig = rig;
    rig.proxy.terminate();
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
    for pid in rig.proxy.family() {
        process::gone(pid).await;
    }
    assert!(rig.proxy.family().is_empty());
}

#[tokio::test]
async fn signals_after_the_hand_over() {
    let mut rig = Rig::with(Plan { shutdown: "drain_timeout = \"1h\"", ..Plan::default() }).await;
    let _gate = rig.gate();
    let client = rig.client().await;
    create(&client, "turn").await;
    prompt(&client, "turn").await.expect("sent");
    client.next_event("turn", "assistant.message_delta").await;
    rig.proxy.signal(Signal::QUIT);
    let pid = rig.proxy.successor(1).await;
    rig.proxy.signal(Signal::QUIT);
    rig.proxy.wait_for_line("no upgrade now").await;
    rig.proxy.terminate();
    client.next_event("turn", "session.error").await;
    client.next_event("turn", "session.idle").await;
    client.expect_closed().await;
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
    assert_eq!(rig.proxy.family(), [pid], "only the old one was asked to hurry");
}

/// What a service manager hears: ready once, then who the main process is.
#[tokio::test]
async fn a_service_manager_is_told() {
    let path = std::env::temp_dir().join(format!("pilotfish-it-notify-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let manager = tokio::net::UnixDatagram::bind(&path).expect("a socket");
    let text = path.to_str().expect("UTF-8").to_owned();
    let env = [("NOTIFY_SOCKET", text.as_str())];
    let rig = Rig::with(Plan { env: &env, ..Plan::default() }).await;
    rig.proxy.signal(Signal::QUIT);
    let pid = rig.proxy.successor(1).await;
    let hear = async |wanted: &str| {
        let mut heard = [0; 64];
        let count = crate::deadline::within(|| wanted.to_owned(), manager.recv(&mut heard)).await.expect("a socket");
        assert_eq!(&heard[..count], wanted.as_bytes());
    };
    hear("READY=1").await;
    // The old process says this one, the new one the last.
    hear(&format!("MAINPID={pid}")).await;
    process::signal(pid, Signal::TERM);
    hear("STOPPING=1").await;
    std::fs::remove_file(&path).expect("there");
}

#[tokio::test]
async fn the_subcommand_says_how_it_went() {
    let mut rig = Rig::new(1).await;
    let admin = rig.proxy.addr("admin").to_string();
    let ask = |admin: String| async move {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pilotfish"));
        let output = command.args(["upgrade", "--admin", &admin, "--reason", "new version"]).output();
        let output = crate::deadline::within(|| "pilotfish upgrade".into(), output).await.expect("started");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    rig.proxy.rewrite("no config");
    let (code, said) = ask(admin.clone()).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the new process refused: its config is not right"), "{said}");
    rig.proxy.rewrite(&Plan::default().config(&[rig.cli[0].addr()]));
    let (code, said) = ask(admin).await;
    let pid = rig.proxy.successor(1).await;
    assert_eq!((code, said), (Some(0), format!("process {pid} has taken over\n")));
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    assert_eq!(ask(closed.to_string()).await.0, Some(1));
}

#[tokio::test]
async fn the_new_process_ends_with_an_old_one_that_is_killed_before_the_hand_over() {
    let mut rig = Rig::new(1).await;
    rig.cli[0].on("connect", Act::Ignore);
    rig.proxy.signal(Signal::QUIT);
    rig.proxy.wait_for_line("the new process is there").await;
    rig.proxy.signal(Signal::KILL);
    rig.proxy.exit().await;
    for pid in rig.proxy.family() {
        process::gone(pid).await;
    }
    assert!(rig.proxy.family().is_empty());
}

/// A CLI in small.
const CLI: &str = r#"
import json, socket, sys, threading
def serve(c):
    f = c.makefile("rwb")
    while line := f.readline():
        f.readline()
        m = json.loads(f.read(int(line.split(b":")[1])))
        r = json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": {"ok": True, "protocolVersion": 3}}).encode()
        f.write(b"Content-Length: %d\r\n\r\n" % len(r) + r)
        f.flush()
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"#;

fn supervised(ports: std::ops::RangeInclusive<u16>) -> String {
    let program = serde_json::to_string(CLI).expect("text");
    format!(
        r#"
[admin]
bind = "127.0.0.1:0"
[shutdown]
upgrade_timeout = "5s"
[[listener]]
name = "sdk"
bind = "127.0.0.1:0"
pool = "copilot"
[pool.copilot.supervise]
count = 1
command = ["python3", "-c", {program}, "{{port}}"]
port_range = "{}-{}"
[pool.copilot.health]
interval = "100ms"
rise = 1
"#,
        ports.start(),
        ports.end()
    )
}

/// The new process has CLIs of its own, on other ports, and the old one's end with the old one.
#[tokio::test]
async fn supervised_clis_are_started_anew() {
    let first = two_free_ports();
    let mut proxy = process::Pilotfish::start(&supervised(first..=first + 1)).await;
    let backend = |page: String| {
        let status: serde_json::Value = serde_json::from_str(&page).expect("JSON");
        let backend = &status["pools"][0]["backends"][0];
        (backend["state"] == "up").then(|| backend["address"].as_str().expect("an address").to_owned())
    };
    let up = |page: &str| backend(page.to_owned()).is_some();
    let old = backend(admin::until_page(&proxy, "/status", up).await.1).expect("up");
    proxy.signal(Signal::QUIT);
    let pid = proxy.successor(1).await;
    assert_eq!(proxy.exit().await.code(), Some(0), "{}", proxy.output());
    let new = backend(admin::until_page(&proxy, "/status", up).await.1).expect("up");
    assert_ne!(old, new);
    assert!(tokio::net::TcpStream::connect(&old).await.is_err(), "the old one's CLI ended with it");
    RpcClient::connect(proxy.addr("sdk")).await.call("connect", json!({})).await.expect("served");
    // Now without a second port: the upgrade fails, and the CLI of this process stays.
    let port = new.parse::<SocketAddr>().expect("an address").port();
    proxy.rewrite(&supervised(port..=port).replace("upgrade_timeout = \"5s\"", "upgrade_timeout = \"1s\""));
    process::signal(pid, Signal::QUIT);
    proxy.wait_for_line("the upgrade failed").await;
    RpcClient::connect(proxy.addr("sdk")).await.call("connect", json!({})).await.expect("served");
    process::signal(pid, Signal::TERM);
    process::gone(pid).await;
    assert!(tokio::net::TcpStream::connect(&new).await.is_err(), "nothing is left");
}

/// The first of two ports in a row that nobody has.
fn two_free_ports() -> u16 {
    let free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    (20_000..30_000).step_by(2).find(|port| free(*port) && free(*port + 1)).expect("two of ten thousand")
}
