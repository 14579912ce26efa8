//! What an operator does to backends, from the command line down to the processes.

use std::{path::PathBuf, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

use crate::{
    deadline::within,
    process::Pilotfish,
    session::{
        admin,
        rig::{Plan, Rig, create, id_at},
    },
};

/// What a command line printed and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `pilotfish WORDS --admin ADDR`.
async fn run(proxy: &Pilotfish, words: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pilotfish"));
    command.args(words.split(' ')).arg("--admin").arg(proxy.addr("admin").to_string());
    said(command).await
}

async fn said(mut command: Command) -> Said {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let line = format!("{command:?}");
    let output = within(|| line, command.output()).await.expect("the binary that cargo built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[track_caller]
fn assert_done(said: &Said, line: &str) {
    assert_eq!((said.code, said.out.trim_end()), (Some(0), line), "{said:?}");
}

#[track_caller]
fn assert_ended(said: &Said, code: i32, why: &str) {
    assert!(said.code == Some(code) && said.err.contains(why) && said.out.is_empty(), "{said:?}");
}

/// `/status` of the first pool.
async fn pool(proxy: &Pilotfish) -> Value {
    admin::status(proxy).await["pools"][0].take()
}

/// `/status` of backend number `at` of the first pool.
async fn backend(proxy: &Pilotfish, at: usize) -> Value {
    pool(proxy).await["backends"][at].take()
}

/// Status code and JSON of any request.
async fn ask(proxy: &Pilotfish, request: &str) -> (u16, Value) {
    let exchange = async {
        let mut stream = TcpStream::connect(proxy.addr("admin")).await.expect("the admin listener");
        let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
        let text = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(text.as_bytes()).await.expect("an open connection");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        answer
    };
    let answer = within(|| request.to_owned(), exchange).await;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    (code, serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON"))
}

#[tokio::test]
async fn a_drain_that_would_empty_the_pool_is_refused() {
    let rig = Rig::new(2).await;
    assert_done(&run(&rig.proxy, "drain cli-1").await, "cli-1 drains");
    let refused = run(&rig.proxy, "drain cli-2").await;
    assert_ended(&refused, 1, "pool `copilot` would be left without a backend that takes sessions");
    let (code, answer) = ask(&rig.proxy, "POST /backends/cli-2/drain\nX-Pilotfish-Reason: test\r\n").await;
    assert_eq!(code, 409, "{answer}");
    assert!(answer["error"].as_str().is_some_and(|why| why.contains("cli-2")), "{answer}");
    assert_eq!(backend(&rig.proxy, 1).await["state"], "up");
    assert_done(&run(&rig.proxy, "drain cli-2 --force").await, "cli-2 drains");
    let client = rig.client().await;
    client.call("session.create", json!({"sessionId": "s"})).await.expect_err("nobody takes sessions");
    for name in ["cli-1", "cli-2"] {
        assert_done(&run(&rig.proxy, &format!("undrain {name}")).await, &format!("{name} takes sessions"));
    }
    create(&client, "s").await;
}

#[tokio::test]
async fn two_drains_at_once_leave_the_third() {
    let rig = Rig::new(3).await;
    let (first, second) = tokio::join!(run(&rig.proxy, "drain cli-1"), run(&rig.proxy, "drain cli-3"));
    assert_done(&first, "cli-1 drains");
    assert_done(&second, "cli-3 drains");
    assert_ended(&run(&rig.proxy, "drain cli-2").await, 1, "no other than `cli-2`");
    let client = rig.client().await;
    for home in 0..3 {
        let session = id_at("two", 3, home);
        create(&client, &session).await;
        assert_eq!(rig.home(&session), 1);
    }
}

#[tokio::test]
async fn the_same_drain_twice_is_one() {
    let rig = Rig::new(2).await;
    assert_done(&run(&rig.proxy, "drain cli-1 --reason first").await, "cli-1 drains");
    assert_done(&run(&rig.proxy, "drain cli-1 --reason second --timeout 1h").await, "cli-1 drains");
    let drain = backend(&rig.proxy, 0).await["drain"].take();
    assert_eq!((&drain["reason"], &drain["cause"]), (&json!("second"), &json!("operator")), "{drain}");
    assert!(drain["deadline_seconds"].as_u64().is_some_and(|left| left > 3500), "{drain}");
    admin::until(&rig.proxy, "drains_total", &[], |count| count == 1.0).await;
    rig.proxy
        .wait_for_line("pilotfish::audit: drain pool=\"copilot\" backend=\"cli-1\" outcome=\"begun\" reason=\"second\"")
        .await;
    assert_done(&run(&rig.proxy, "undrain cli-1").await, "cli-1 takes sessions");
    assert_done(&run(&rig.proxy, "undrain cli-1").await, "cli-1 takes sessions");
    assert_eq!(backend(&rig.proxy, 0).await["drain"], Value::Null);
}

#[tokio::test]
async fn an_undrained_backend_takes_sessions_again() {
    let rig = Rig::with(Plan {
        backends: 2,
        backend: |at| if at == 0 { ", state = \"drain\"" } else { "" },
        ..Plan::default()
    })
    .await;
    let client = rig.client().await;
    let [before, after] = [id_at("before", 2, 0), id_at("after", 2, 0)];
    create(&client, &before).await;
    assert_eq!(rig.home(&before), 1);
    assert_eq!(backend(&rig.proxy, 0).await["drain"]["cause"], "config");
    assert_done(&run(&rig.proxy, "undrain cli-1 --pool copilot").await, "cli-1 takes sessions");
    create(&client, &after).await;
    assert_eq!(rig.home(&after), 0);
}

#[tokio::test]
async fn an_idle_backend_is_drained_at_once() {
    let rig = Rig::new(2).await;
    assert_done(&run(&rig.proxy, "drain cli-1 --wait").await, "cli-1 is drained");
    let status = backend(&rig.proxy, 0).await;
    assert_eq!((&status["state"], &status["drain"]["drained"]), (&json!("drained"), &json!(true)), "{status}");
    let state = ["backend=\"cli-1\"", "state=\"drained\""];
    admin::until(&rig.proxy, "backend_state", &state, |value| value == 1.0).await;
    rig.proxy.wait_for_line("backend is drained pool=copilot backend=cli-1").await;
}

#[tokio::test]
async fn waiting_ends_with_the_deadline_or_the_drain() {
    // Sessions on local disks cannot move: this one leaves when its client does.
    let rig = Rig::with(Plan { backends: 2, storage: "local", ..Plan::default() }).await;
    let client = rig.client_at(1).await;
    let session = id_at("stays", 2, 0);
    create(&client, &session).await;
    let late = run(&rig.proxy, "drain cli-1 --wait --timeout 100ms").await;
    assert_ended(&late, 3, "the deadline passed, cli-1 still has 1 session, 0 turns, 1 link");
    assert_eq!(backend(&rig.proxy, 0).await["state"], "draining");
    rig.proxy.wait_for_line("drain deadline passed pool=copilot backend=cli-1 sessions=1").await;
    let (waited, ()) = tokio::join!(run(&rig.proxy, "drain cli-1 --wait"), async {
        let told = "pilotfish::audit: drain pool=\"copilot\" backend=\"cli-1\" outcome=\"begun\"";
        rig.proxy.wait_for_line(told).await;
        drop(client);
    });
    assert_done(&waited, "cli-1 is drained");
}

#[tokio::test]
async fn an_undrain_ends_the_waiting() {
    let rig = Rig::with(Plan { backends: 2, storage: "local", ..Plan::default() }).await;
    let client = rig.client_at(1).await;
    create(&client, &id_at("stays", 2, 0)).await;
    let (waited, ()) = tokio::join!(run(&rig.proxy, "drain cli-1 --wait"), async {
        rig.proxy.wait_for_line("backend drains").await;
        // The drain was answered when this is; it is looked at every half second.
        assert_done(&run(&rig.proxy, "undrain cli-1").await, "cli-1 takes sessions");
    });
    assert_ended(&waited, 1, "cli-1 was undrained meanwhile");
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let more = "[pool.other]\nbackends = [{ name = \"cli-1\", address = \"127.0.0.1:9\" }]";
    let rig = Rig::with(Plan { backends: 2, more, ..Plan::default() }).await;
    for (words, code, why) in [
        ("drain cli-9", 1, "no backend is named `cli-9`"),
        ("undrain cli-9", 1, "no backend is named `cli-9`"),
        ("restart cli-9", 1, "no backend is named `cli-9`"),
        ("drain cli-2 --pool nowhere", 1, "no pool is named `nowhere`"),
        ("drain cli-1", 1, "several pools have a backend `cli-1`: copilot, other; say which pool"),
        ("rolling-restart nowhere", 1, "no pool is named `nowhere`"),
        ("restart cli-2", 1, "did not start the backends of pool `copilot`"),
        ("rolling-restart copilot", 1, "did not start the backends"),
        ("drain a/b", 2, "a name has letters"),
        ("drain cli-2 --timeout soon", 2, "30s or 5m"),
        ("drain", 2, "required"),
    ] {
        assert_ended(&run(&rig.proxy, words).await, code, why);
    }
    assert_done(&run(&rig.proxy, "drain cli-1 --pool copilot").await, "cli-1 drains");
}

#[tokio::test]
async fn the_admin_address_is_found_or_said_to_be_wrong() {
    let rig = Rig::new(2).await;
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("admin-{}.toml", rig.proxy.pid()));
    // A secret that is not here does not matter.
    let config = format!(
        "[admin]\nbind = \"{}\"\n[pool.x]\nconnection_token = {{ env = \"NOT_HERE\" }}",
        rig.proxy.addr("admin")
    );
    std::fs::write(&file, config).expect("a writable target folder");
    let drain = |option: &str, value: String| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pilotfish"));
        command.args(["drain", "cli-1", option]).arg(value);
        said(command)
    };
    assert_done(&drain("--config", file.display().to_string()).await, "cli-1 drains");
    std::fs::remove_file(&file).expect("our own file");
    assert_ended(&drain("--config", file.display().to_string()).await, 1, "No such file");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    assert_ended(&drain("--admin", free.to_string()).await, 1, "cannot reach pilotfish at 127.0.0.1");
    // Somebody else listens there.
    assert_ended(&drain("--admin", rig.cli[0].addr().to_string()).await, 1, "no answer from 127.0.0.1");
}

#[tokio::test]
async fn requests_that_are_not_right_change_nothing() {
    let rig = Rig::new(2).await;
    let why = "X-Pilotfish-Reason: test\r\n";
    for (request, code) in [
        ("POST /backends/cli-1/drain".to_owned(), 403),
        (format!("GET /backends/cli-1/drain\n{why}"), 405),
        (format!("POST /backends/cli-1/drain?timeout=soon\n{why}"), 400),
        (format!("POST /backends/cli-1/drain?force=maybe\n{why}"), 400),
        (format!("POST /backends/cli-1/drain?tmieout=1s\n{why}"), 400),
        (format!("POST /backends/cli-1/undrain?timeout=1s\n{why}"), 400),
        (format!("POST /pools/copilot/rolling-restart?pool=x\n{why}"), 400),
        (format!("POST /pools/copilot/rolling-restart?force=true\n{why}"), 400),
        (format!("POST /backends/cli-9/drain\n{why}"), 404),
        (format!("POST /backends/cli-1/restart\n{why}"), 409),
    ] {
        let (answered, body) = ask(&rig.proxy, &request).await;
        assert_eq!(answered, code, "{request}: {body}");
        assert!(body["error"].is_string(), "{request}: {body}");
    }
    assert_eq!(backend(&rig.proxy, 0).await["drain"], Value::Null);
    let (code, body) = ask(&rig.proxy, &format!("POST /backends/cli-1/drain?timeout=1m&pool=copilot\n{why}")).await;
    assert_eq!((code, body), (202, json!({"pool": "copilot", "backend": "cli-1", "deadline_seconds": 60})));
}

/// A CLI in small that a pilotfish can start; one for which there is a file `FOLDER/NAME` ends at once.
const SMALL_CLI: &str = r#"
import json, os, socket, sys, threading
if os.path.exists(sys.argv[2]):
    sys.exit(3)
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

/// A pilotfish with three backends of its own, and the folder whose files keep them from starting.
async fn supervised(ports: &str) -> (Pilotfish, PathBuf) {
    supervised_with(ports, "").await
}

/// The same with more tables.
pub async fn supervised_with(ports: &str, more: &str) -> (Pilotfish, PathBuf) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("small-{}-{ports}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a writable target folder");
    let config = format!(
        r#"
[admin]
bind = "127.0.0.1:0"
[[listener]]
name = "sdk"
bind = "127.0.0.1:0"
pool = "copilot"
[pool.copilot.health]
interval = "100ms"
timeout = "3s"
rise = 1
fall = 2
[pool.copilot.supervise]
count = 3
name_prefix = "cli"
command = ["python3", "-c", '''{SMALL_CLI}''', "{{port}}", "{}/{{name}}"]
port_range = "{ports}"
restart_backoff = {{ min = "1m", max = "1m" }}
{more}
"#,
        folder.display()
    );
    let proxy = Pilotfish::start(&config).await;
    for number in 1..=3 {
        proxy.wait_for_line(&format!("supervised backend is healthy pool=copilot backend=cli-{number}")).await;
    }
    (proxy, folder)
}

async fn restarts(proxy: &Pilotfish) -> Vec<u64> {
    let status = pool(proxy).await;
    let backends = status["backends"].as_array().expect("a list").iter();
    backends.map(|backend| backend["restarts"].as_u64().expect("supervised")).collect()
}

#[tokio::test]
async fn a_supervised_backend_is_restarted() {
    let (proxy, _) = supervised("21000-21019").await;
    assert_done(&run(&proxy, "restart cli-2 --wait --reason leak").await, "cli-2 is restarted");
    assert_eq!(restarts(&proxy).await, [0, 1, 0]);
    let status = pool(&proxy).await;
    assert_eq!(status["backends"][1]["state"], "up");
    let operation = &status["operation"];
    assert_eq!(
        (&operation["kind"], &operation["backend"], &operation["step"], &operation["backends_done"]),
        (&json!("restart"), &json!("cli-2"), &json!("done"), &json!(1)),
        "{operation}"
    );
    let done = ["kind=\"restart\"", "outcome=\"done\"", "pool=\"copilot\""];
    admin::until(&proxy, "operations_total", &done, |count| count == 1.0).await;
    let output = proxy.output();
    let since = output.split_once("pilotfish::audit: restart").expect("a line of the record").1;
    assert!(!since.contains("WARN"), "{output}");

    // Drained by hand before, it serves afterwards.
    assert_done(&run(&proxy, "drain cli-2 --wait").await, "cli-2 is drained");
    assert_done(&run(&proxy, "restart cli-2 --wait").await, "cli-2 is restarted");
    assert_eq!(backend(&proxy, 1).await["drain"], Value::Null);
    assert_eq!(restarts(&proxy).await, [0, 2, 0]);

    // Nobody else would take sessions.
    for name in ["cli-1", "cli-3"] {
        assert_eq!(run(&proxy, &format!("drain {name}")).await.code, Some(0));
    }
    assert_ended(&run(&proxy, "restart cli-2").await, 1, "would be left without a backend");
    assert_ended(&run(&proxy, "rolling-restart copilot --no-wait").await, 1, "would be left without a backend");
    assert_done(&run(&proxy, "restart cli-2 --force --wait").await, "cli-2 is restarted");
}

/// The steps of operations in the log, as `BACKEND STEP`.
fn steps(proxy: &Pilotfish) -> Vec<String> {
    let field = |line: &str, key: &str| {
        line.split(' ').find_map(|word| word.strip_prefix(key)).map(|value| value.trim_matches('"').to_owned())
    };
    let output = proxy.output();
    let lines = output.lines().filter(|line| line.contains("step="));
    lines.filter_map(|line| Some(format!("{} {}", field(line, "backend=")?, field(line, "step=")?))).collect()
}

#[tokio::test]
async fn a_rolling_restart_takes_one_after_the_other() {
    let (proxy, _) = supervised("21020-21039").await;
    let said = run(&proxy, "rolling-restart copilot").await;
    assert_done(&said, "all backends of copilot are restarted");
    assert_eq!(restarts(&proxy).await, [1, 1, 1]);
    let each = |name| ["draining", "restarting", "returning"].map(|step| format!("{name} {step}"));
    assert_eq!(steps(&proxy), ["cli-1", "cli-2", "cli-3"].map(each).concat());
    // Each is healthy before the next one drains.
    let output = proxy.output();
    let at = |line: &str, from: usize| {
        output[from..].find(line).map(|at| at + from).unwrap_or_else(|| panic!("{line}\n{output}"))
    };
    let mut from = at("operation=\"rolling_restart\"", 0);
    for number in 1..=3 {
        from = at(&format!("backend drains pool=copilot backend=cli-{number}"), from);
        from = at(&format!("backend is up pool=\"copilot\" backend=\"cli-{number}\""), from);
        from = at(&format!("backend no longer drains pool=copilot backend=cli-{number}"), from);
    }
    assert!(said.err.lines().any(|line| line.starts_with("cli-1: ")), "{said:?}");
}

#[tokio::test]
async fn one_operation_at_a_time() {
    let (mut proxy, _) = supervised("21040-21059").await;
    let why = "X-Pilotfish-Reason: test\r\n";
    let (code, body) = ask(&proxy, &format!("POST /pools/copilot/rolling-restart\n{why}")).await;
    assert_eq!((code, body), (202, json!({"pool": "copilot", "operation": 1})));
    let (code, body) = ask(&proxy, &format!("POST /backends/cli-3/restart\n{why}")).await;
    assert_eq!(code, 409, "{body}");
    assert_eq!(body["error"], "another operation is running in this pool: rolling_restart");
    let (code, body) = ask(&proxy, &format!("POST /pools/copilot/rolling-restart\n{why}")).await;
    assert_eq!(code, 409, "{body}");
    // The proxy stops in order in the middle of it.
    proxy.terminate();
    assert_eq!(proxy.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_rolling_restart_stops_at_the_first_failure() {
    let (proxy, folder) = supervised("21060-21079").await;
    std::fs::write(folder.join("cli-2"), "").expect("a writable target folder");
    let failed = run(&proxy, "rolling-restart copilot").await;
    assert_ended(&failed, 1, "stopped at cli-2: it was started again but not healthy: exit code 3");
    std::fs::remove_dir_all(&folder).expect("our own folder");
    assert_eq!(restarts(&proxy).await, [1, 1, 0]);
    let status = pool(&proxy).await;
    assert_eq!((&status["operation"]["step"], &status["backends"][2]["state"]), (&json!("failed"), &json!("up")));
    assert_eq!(status["backends"][1]["drain"], Value::Null, "it serves when it can");
    // It is in its pause of a minute; a restart ends that.
    assert_done(&run(&proxy, "restart cli-2 --wait").await, "cli-2 is restarted");
    assert_eq!(pool(&proxy).await["operations_before"][0]["step"], "failed");
}

#[tokio::test]
async fn what_an_operator_drained_is_restarted_and_stays_out() {
    let (proxy, _) = supervised("21080-21099").await;
    assert_done(&run(&proxy, "drain cli-2 --wait").await, "cli-2 is drained");
    assert_done(&run(&proxy, "rolling-restart copilot").await, "all backends of copilot are restarted");
    assert_eq!(restarts(&proxy).await, [1, 1, 1]);
    let state = |at: usize| {
        let proxy = &proxy;
        async move { backend(proxy, at).await["state"].take() }
    };
    assert_eq!((state(0).await, state(1).await, state(2).await), (json!("up"), json!("drained"), json!("up")));
}
