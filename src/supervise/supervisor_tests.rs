//! Real processes under real guards. The guard's program is this test binary: [`guard_entry`] is its `main`.

use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{ChildState, ChildStatus, EnvValue, RestartError, SuperviseError, SuperviseSettings, Supervisor, guard};
use crate::{
    backend::{ProbeObserver, ProbeOutcome, ProbeSettings, probe},
    model::Secret,
    pool::{Member, Verdict},
};

/// Longer than anything here takes on the slowest machine: only a failure waits for it.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// A CLI in small: two children (one in a session of its own), then the protocol.
const FAKE_CLI: &str = r#"
import json, os, signal, socket, subprocess, sys, threading
port, pids, manner = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if manner == "once" and os.path.exists(pids):
    sys.exit(3)
if manner == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
children = [subprocess.Popen(["sleep", "600"]), subprocess.Popen(["sleep", "600"], start_new_session=True)]
with open(pids + ".new", "w") as f:
    f.write(" ".join(str(p) for p in [os.getpid()] + [c.pid for c in children]))
os.rename(pids + ".new", pids)
print("token", os.environ.get("COPILOT_CONNECTION_TOKEN"), "key", os.environ.get("KEY"), "home", os.environ.get("COPILOT_HOME"), flush=True)
print("withheld", os.environ.get("HOME"), file=sys.stderr, flush=True)
def serve(c):
    f = c.makefile("rwb")
    while line := f.readline():
        f.readline()
        m = json.loads(f.read(int(line.split(b":")[1])))
        r = json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": {"ok": True, "protocolVersion": 3}}).encode()
        f.write(b"Content-Length: %d\r\n\r\n" % len(r) + r)
        f.flush()
server = socket.create_server(("127.0.0.1", port))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"#;

/// The words with which this binary comes to the test `name` with more words.
pub(super) fn own_words(name: &str) -> Vec<OsString> {
    let exe = std::env::current_exe().unwrap().into_os_string();
    let name = format!("supervise::supervisor_tests::{name}");
    [exe, "--exact".into(), name.into(), "--nocapture".into(), "--".into()].into()
}

fn words_after_dashes() -> Vec<OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(1).collect()
}

/// Not a test but the guard's `main`, when this binary is run as a guard; in a test run it has nothing to do.
#[test]
fn guard_entry() {
    let words = words_after_dashes();
    if !words.is_empty() {
        std::process::exit(guard::exit_code(words).into());
    }
}

/// Not a test but the `main` of a proxy that is to be killed; in a test run it has nothing to do.
#[tokio::test]
async fn supervisor_entry() {
    if let [pids] = words_after_dashes().as_slice() {
        let fleet = Fleet::start(1, settings(pids.to_str().unwrap(), "plain"));
        fleet.supervisor.all_healthy().await;
        println!("healthy");
        std::future::pending::<()>().await;
    }
}

struct Quiet;

impl ProbeObserver for Quiet {
    fn probed(&self, _: &Member, _: &ProbeOutcome) {}
    fn changed(&self, _: &Member, _: Verdict, _: Verdict, _: &'static str) {}
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("pilotfish-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Where the processes write their ids; `{name}` is filled in.
    fn pids(&self) -> String {
        self.0.join("{name}").to_str().unwrap().into()
    }

    fn pids_of(&self, name: &str) -> Vec<Pid> {
        let text = std::fs::read_to_string(self.0.join(name)).unwrap();
        text.split(' ').map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn settings(pids: &str, manner: &str) -> SuperviseSettings {
    SuperviseSettings {
        command: ["python3", "-c", FAKE_CLI, "{port}", pids, manner].map(String::from).to_vec(),
        backoff_first: Duration::from_millis(1),
        guard: own_words("guard_entry"),
        ..SuperviseSettings::default()
    }
}

struct Fleet {
    members: Vec<Arc<Member>>,
    supervisor: Supervisor,
    tracker: TaskTracker,
    stop: DropGuard,
}

impl Fleet {
    fn start(count: usize, settings: SuperviseSettings) -> Self {
        let members: Vec<_> = (1..=count).map(|i| format!("cli-{i}")).collect();
        let members: Vec<_> =
            members.iter().map(|name| Arc::new(Member::new("p".into(), name.as_str().into(), 1, None))).collect();
        let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
        let probing = ProbeSettings {
            interval: Duration::from_millis(50),
            timeout: Duration::from_millis(500),
            suspect_gap: Duration::from_millis(10),
            ..ProbeSettings::default()
        };
        let observer: Arc<dyn ProbeObserver> = Arc::new(Quiet);
        probe::spawn(members.clone(), &Arc::new(probing), &observer, &tracker, &cancel);
        let supervisor = Supervisor::start(settings, members.clone(), &tracker, &cancel).unwrap();
        Self { members, supervisor, tracker, stop: cancel.drop_guard() }
    }

    async fn healthy(&self) {
        time::timeout(LONG, self.supervisor.all_healthy()).await.unwrap();
    }

    async fn turns(&self, verdict: Verdict) {
        let mut verdicts = self.members[0].verdicts();
        time::timeout(LONG, verdicts.wait_for(|now| *now == verdict)).await.unwrap().unwrap();
    }

    async fn restarted(&self, times: u64) {
        let enough = async {
            while self.members[0].restarts.load(Ordering::Relaxed) < times {
                tokio::task::yield_now().await;
            }
        };
        time::timeout(LONG, enough).await.unwrap();
    }

    fn first(&self) -> ChildStatus {
        self.supervisor.status().remove(0)
    }

    /// Everything ends, also every task.
    async fn stop(self) {
        time::timeout(LONG, self.supervisor.stop_all()).await.unwrap();
        assert!(self.supervisor.status().iter().all(|status| status.state == ChildState::Stopped));
        drop(self.stop);
        self.tracker.close();
        time::timeout(LONG, self.tracker.wait()).await.unwrap();
    }
}

/// Waits until all of them have ended.
async fn all_gone(pids: &[Pid]) {
    let fds: Vec<_> = pids.iter().filter_map(|pid| pidfd_open(*pid, PidfdFlags::empty()).ok()).collect();
    let ended = tokio::task::spawn_blocking(move || {
        let long = Timespec::try_from(LONG).unwrap();
        fds.iter().all(|fd| poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&long)) == Ok(1))
    });
    assert!(ended.await.unwrap(), "a process outlived");
}

#[tokio::test]
async fn starts_a_fleet_and_leaves_nothing() {
    let folder = Folder::new();
    let fleet = Fleet::start(3, settings(&folder.pids(), "plain"));
    fleet.healthy().await;
    let status = fleet.supervisor.status();
    let mut ports: Vec<_> = status.iter().map(|status| status.port.unwrap()).collect();
    ports.dedup();
    assert_eq!(ports.len(), 3);
    let mut pids = Vec::new();
    for (member, status) in fleet.members.iter().zip(&status) {
        let these = folder.pids_of(&member.name);
        assert_eq!(status.pid, Some(these[0].as_raw_pid().cast_unsigned()));
        assert_eq!(member.address().and_then(|address| address.tcp()).map(|address| address.port()), status.port);
        pids.extend(these);
    }
    assert_eq!(pids.len(), 9);
    let members = fleet.members.clone();
    fleet.stop().await;
    for pid in pids {
        assert!(pidfd_open(pid, PidfdFlags::empty()).is_err(), "{pid:?} is still there after the stop");
    }
    assert!(members.iter().all(|member| member.address().is_none()));
}

#[tokio::test]
async fn one_that_dies_is_started_again() {
    let folder = Folder::new();
    let fleet = Fleet::start(1, settings(&folder.pids(), "plain"));
    fleet.healthy().await;
    let (before, pids) = (fleet.first(), folder.pids_of("cli-1"));
    kill_process(pids[0], Signal::KILL).unwrap();
    fleet.turns(Verdict::Down).await;
    fleet.healthy().await;
    all_gone(&pids).await;
    let after = fleet.first();
    assert_eq!((after.restarts, after.last_end.as_deref()), (1, Some("signal 9")));
    assert_ne!(after.pid, before.pid);
    assert!(fleet.members[0].recovered_at().is_some());
    fleet.stop().await;
}

#[tokio::test]
async fn one_that_ignores_term_is_killed() {
    let folder = Folder::new();
    let stop_timeout = Duration::from_millis(200);
    let fleet = Fleet::start(1, SuperviseSettings { stop_timeout, ..settings(&folder.pids(), "stubborn") });
    fleet.healthy().await;
    let pids = folder.pids_of("cli-1");
    let start = time::Instant::now();
    fleet.stop().await;
    assert!(start.elapsed() >= stop_timeout);
    assert!(pids.iter().all(|pid| pidfd_open(*pid, PidfdFlags::empty()).is_err()));
}

#[tokio::test]
async fn one_is_restarted_on_order() {
    let (folder, captured) = (Folder::new(), Captured::default());
    let _logging = captured.set_default();
    // With a pause before the start it would not be back in time.
    let backoff_first = LONG * 60;
    let fleet = Fleet::start(2, SuperviseSettings { backoff_first, ..settings(&folder.pids(), "plain") });
    fleet.healthy().await;
    let (before, pids) = (fleet.first(), folder.pids_of("cli-1"));
    time::timeout(LONG, fleet.supervisor.restart("cli-1")).await.unwrap().unwrap();
    all_gone(&pids).await;
    let after = fleet.first();
    assert_eq!((after.state, after.restarts, after.last_end.as_deref()), (ChildState::Running, 1, Some("restarted")));
    assert_ne!(after.pid, before.pid);
    assert_eq!(fleet.members[0].verdict(), Verdict::Up);
    assert!(fleet.members[0].recovered_at().is_some(), "a slow start");
    assert_eq!((fleet.members[1].restarts.load(Ordering::Relaxed), fleet.members[1].recovered_at()), (0, None));
    let log = captured.text();
    assert!(log.contains("stopped to be started again") && !log.contains("WARN"), "{log}");

    // One that is in its pause after a death does not wait for the end of it.
    kill_process(folder.pids_of("cli-1")[0], Signal::KILL).unwrap();
    fleet.turns(Verdict::Down).await;
    time::timeout(LONG, fleet.supervisor.restart("cli-1")).await.unwrap().unwrap();
    assert_eq!(fleet.first().restarts, 2);
    assert_eq!(fleet.supervisor.restart("cli-9").await, Err(RestartError::Unknown("cli-9".into())));
    fleet.stop().await;
}

#[tokio::test]
async fn a_restart_that_fails_says_so() {
    let folder = Folder::new();
    let fleet = Fleet::start(1, settings(&folder.pids(), "once"));
    fleet.healthy().await;
    let restarted = time::timeout(LONG, fleet.supervisor.restart("cli-1")).await.unwrap();
    assert_eq!(restarted, Err(RestartError::Ended("exit code 3".into())));
    let (restarted, ()) = tokio::join!(fleet.supervisor.restart("cli-1"), fleet.supervisor.stop_all());
    assert!(restarted.is_err());
    fleet.stop().await;
}

#[tokio::test]
async fn one_that_hangs_is_started_again() {
    let folder = Folder::new();
    let unresponsive_timeout = Duration::from_millis(100);
    let fleet = Fleet::start(1, SuperviseSettings { unresponsive_timeout, ..settings(&folder.pids(), "plain") });
    fleet.healthy().await;
    let pids = folder.pids_of("cli-1");
    kill_process(pids[0], Signal::STOP).unwrap();
    fleet.turns(Verdict::Down).await;
    fleet.healthy().await;
    all_gone(&pids).await;
    assert_eq!(fleet.first().last_end.as_deref(), Some("unresponsive"));
    fleet.stop().await;
}

#[tokio::test]
async fn a_killed_guard_takes_the_command_and_its_group_along() {
    let folder = Folder::new();
    let fleet = Fleet::start(1, settings(&folder.pids(), "plain"));
    fleet.healthy().await;
    let pids = folder.pids_of("cli-1");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pids[0].as_raw_pid())).unwrap();
    let guard = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    kill_process(Pid::from_raw(guard).unwrap(), Signal::KILL).unwrap();
    all_gone(&pids[..2]).await;
    fleet.turns(Verdict::Down).await;
    fleet.healthy().await;
    assert_eq!(fleet.first().last_end.as_deref(), Some("guard killed by signal 9"));
    // The one in a session of its own is out of reach without its guard.
    kill_process(pids[2], Signal::KILL).unwrap();
    fleet.stop().await;
}

#[tokio::test]
async fn nothing_outlives_a_killed_proxy() {
    let folder = Folder::new();
    let mut words = own_words("supervisor_entry").into_iter();
    let mut proxy = tokio::process::Command::new(words.next().unwrap())
        .args(words)
        .arg(folder.pids())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(proxy.stdout.take().unwrap()).lines();
    while time::timeout(LONG, lines.next_line()).await.unwrap().unwrap().unwrap() != "healthy" {}
    let pids = folder.pids_of("cli-1");
    assert_eq!(pids.len(), 3);
    proxy.kill().await.unwrap();
    all_gone(&pids).await;
}

#[tokio::test]
async fn what_cannot_be_started_says_so_and_is_tried_again() {
    let command = vec!["/no/such/program".into()];
    let fleet = Fleet::start(1, SuperviseSettings { command, ..settings("", "") });
    fleet.restarted(3).await;
    assert_eq!(fleet.first().last_end.as_deref(), Some("exit code 127"));
    fleet.stop().await;

    let guard = vec!["/no/such/guard".into()];
    let fleet = Fleet::start(1, SuperviseSettings { guard, ..settings("", "") });
    fleet.restarted(3).await;
    assert!(fleet.first().last_end.unwrap().starts_with("not started: "));
    fleet.stop().await;
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let start = |settings| {
        let member = || Arc::new(Member::new("p".into(), "m".into(), 1, None));
        Supervisor::start(settings, [member(), member()], &TaskTracker::new(), &CancellationToken::new()).unwrap_err()
    };
    let plain = SuperviseSettings::default;
    assert_eq!(start(SuperviseSettings { command: vec![], ..plain() }), SuperviseError::NoCommand);
    assert_eq!(start(SuperviseSettings { guard: vec![], ..plain() }), SuperviseError::NoGuard);
    let few = SuperviseError::FewPorts { first: 9, last: 9, needed: 2 };
    assert_eq!(start(SuperviseSettings { ports: 9..=9, ..plain() }), few);
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Takes the log of this thread, on which the whole test runs.
    fn set_default(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn output_comes_into_the_log_without_secrets() {
    let (folder, captured) = (Folder::new(), Captured::default());
    let _logging = captured.set_default();
    let fleet = Fleet::start(
        1,
        SuperviseSettings {
            connection_token: Some(Secret::new("opensesame")),
            env: vec![("KEY".into(), EnvValue::Secret(Secret::new("hunter22")))],
            copilot_home: Some("/homes/{name}".into()),
            withhold_env: vec!["HOME".into()],
            ..settings(&folder.pids(), "plain")
        },
    );
    fleet.healthy().await;
    fleet.stop().await;
    let log = captured.text();
    assert!(log.contains("token *** key *** home /homes/cli-1"), "{log}");
    assert!(log.contains("withheld None"), "{log}");
    assert!(log.contains("pilotfish::supervise::output") && log.contains("backend=cli-1"), "{log}");
    assert!(!log.contains("opensesame") && !log.contains("hunter22"), "{log}");
}
