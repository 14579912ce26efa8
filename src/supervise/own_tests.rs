//! Real processes with a home, limits and a user of their own, and spares. The guard's program is this test binary, see `supervisor_tests`.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use tokio::time;

use super::{
    Credentials, EnvValue, Limits, Spare, SpareError, SuperviseSettings,
    process::Process,
    supervisor_tests::{LONG, own_words},
};
use crate::model::Secret;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("pilotfish-own-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        Self(path)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn settings(folder: &Folder, script: &str) -> SuperviseSettings {
    SuperviseSettings {
        command: ["sh", "-c", script].map(String::from).to_vec(),
        guard: own_words("guard_entry"),
        stop_timeout: Duration::from_millis(100),
        working_dir: Some(folder.0.clone()),
        ..SuperviseSettings::default()
    }
}

async fn run(settings: &SuperviseSettings) -> String {
    let (mut process, _out, _err) = Process::spawn(settings, "cli-1", 1).await.unwrap();
    time::timeout(LONG, process.ended()).await.unwrap().to_string()
}

#[tokio::test]
async fn limits_hold_in_the_command() {
    let folder = Folder::new();
    let limits = Limits { open_files: Some(77), file_size: Some(1 << 20), ..Limits::default() };
    let settings = SuperviseSettings { limits, ..settings(&folder, "ulimit -n > files; ulimit -f > size") };
    assert_eq!(run(&settings).await, "exit code 0");
    // `ulimit -f` counts blocks of 512 bytes.
    assert_eq!((folder.read("files"), folder.read("size")), ("77\n".into(), "2048\n".into()));
}

/// Needs root: elsewhere it sees that the command is not started.
#[tokio::test]
async fn a_command_runs_as_its_user_and_cannot_become_another() {
    let folder = Folder::new();
    let script = "id -u > who; id -g >> who; id -G >> who; grep NoNewPrivs /proc/self/status >> who; stat -c '%u %a' $TMPDIR >> who";
    let credentials = Some(Credentials { uid: 20_001, gid: 20_002 });
    let env = vec![("TMPDIR".into(), EnvValue::Plain(folder.0.join("tmp").display().to_string()))];
    let lock = Some(folder.0.clone());
    let settings = SuperviseSettings { credentials, sealed: true, env, lock, ..settings(&folder, script) };
    let end = run(&settings).await;
    if !rustix::process::geteuid().is_root() {
        assert_eq!(end, "exit code 126");
        return;
    }
    assert_eq!(end, "exit code 0");
    assert_eq!(folder.read("who"), "20001\n20002\n20002\nNoNewPrivs:\t1\n20001 700\n");
}

#[tokio::test]
async fn a_command_is_in_its_control_group() {
    let folder = Folder::new();
    let parent = folder.0.join("group");
    fs::create_dir(&parent).unwrap();
    let limits = Limits { pids: Some(50), cgroup: Some(parent.clone()), ..Limits::default() };
    let settings =
        SuperviseSettings { limits, ..settings(&folder, "cat group/*/pids.max group/*/cgroup.procs > seen") };
    assert_eq!(run(&settings).await, "exit code 0");
    assert_eq!(folder.read("seen"), "500", "its limit, and itself before it began");
}

#[tokio::test]
async fn two_never_share_a_home() {
    let folder = Folder::new();
    let lock = Some(folder.0.clone());
    let settings = SuperviseSettings { lock, ..settings(&folder, "echo on >> log; exec sleep 600") };
    let (mut first, _out, _err) = Process::spawn(&settings, "cli-1", 1).await.unwrap();
    let second = Process::spawn(&settings, "cli-2", 2).await.unwrap_err();
    assert!(second.to_string().ends_with("is in use: another pilotfish runs a CLI in it"), "{second}");
    first.stop(Duration::from_secs(5)).await;
    let (mut third, _out, _err) = Process::spawn(&settings, "cli-3", 3).await.unwrap();
    third.stop(Duration::from_secs(5)).await;
    assert!(folder.read("log").lines().count() <= 2);
}

/// Waits as `spare.js` does.
const WAITING: &str = r#"
import json, os, socket, sys
ear = socket.socket(fileno=int(os.environ["PILOTFISH_SPARE_FD"]))
ear.sendall(b"ready\n")
order = json.loads(ear.makefile().readline())
print(json.dumps({"argv": sys.argv[1:], "before": os.environ["COPILOT_HOME"], "order": order}), file=open("told", "w"))
ear.sendall(b"adopted\n")
ear.recv(1)
"#;

async fn spare(folder: &Folder, words: &[&str]) -> Result<Spare, SpareError> {
    let settings = SuperviseSettings {
        command: words.iter().copied().map(String::from).collect(),
        start_timeout: Duration::from_secs(30),
        withhold_env: vec!["WITHHELD".into()],
        connection_token: Some(Secret::new("the pool's")),
        ..settings(folder, "")
    };
    Spare::start(settings, "own-1".into(), &folder.0.join("spare")).await
}

#[tokio::test]
async fn a_spare_becomes_somebody() {
    let folder = Folder::new();
    let waiting = ["python3", "-c", WAITING, "{port}", "{name}"];
    let mut spare = spare(&folder, &waiting).await.unwrap();
    assert!(spare.is_alive() && &**spare.name() == "own-1");
    let home = folder.0.join("home");
    fs::create_dir(&home).unwrap();
    let settings = SuperviseSettings {
        copilot_home: Some(home.display().to_string()),
        connection_token: Some(Secret::new("opensesame")),
        env: vec![("COPILOT_GITHUB_TOKEN".into(), EnvValue::Secret(Secret::new("gho_ann")))],
        working_dir: Some(home.clone()),
        lock: Some(home.clone()),
        withhold_env: vec!["WITHHELD".into()],
        ..settings(&folder, "")
    };
    let (mut process, _out, _err, lease) = spare.adopt(&settings).await.unwrap();
    let told: serde_json::Value = serde_json::from_str(&folder.read("spare/blank/told")).unwrap();
    assert_eq!(told["argv"], serde_json::json!([lease.port.to_string(), "own-1"]));
    assert!(told["before"].as_str().unwrap().ends_with("/spare/blank"));
    let order = &told["order"];
    assert_eq!(order["set"]["COPILOT_HOME"], home.display().to_string());
    assert_eq!(order["set"]["COPILOT_CONNECTION_TOKEN"], "opensesame");
    assert_eq!(order["set"]["COPILOT_GITHUB_TOKEN"], "gho_ann");
    assert!(order["uid"].is_null() && order["folder"] == home.display().to_string());
    let unset: Vec<_> = order["unset"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    assert_eq!(unset, ["COPILOT_CLI_DIST_DIR", "PILOTFISH_SPARE_FD", "WITHHELD"]);
    // Its home is locked from now on.
    assert!(Process::spawn(&settings, "cli-2", 2).await.is_err());
    process.stop(Duration::from_secs(5)).await;
    let command = fs::read_to_string(folder.0.join("spare/index.js")).unwrap();
    assert!(command.contains("becomeSomebody"));
}

#[tokio::test]
async fn a_program_that_cannot_wait_is_no_spare() {
    let folder = Folder::new();
    let error = spare(&folder, &["sh", "-c", "echo pilotfish: it has no gate >&2; exit 3"]).await.unwrap_err();
    let text = "a spare ended before it was ready (exit code 3: pilotfish: it has no gate): this program may not be able to wait";
    assert_eq!(error.to_string(), text);
    let error = spare(&folder, &["sh", "-c", "echo nonsense >&$PILOTFISH_SPARE_FD; exec sleep 600"]).await.unwrap_err();
    assert!(matches!(error, SpareError::NotReady(_)), "{error}");
}

#[tokio::test]
async fn a_spare_that_dies_is_not_used() {
    let folder = Folder::new();
    let dies = "import os, socket\nsocket.socket(fileno=int(os.environ['PILOTFISH_SPARE_FD'])).sendall(b'ready\\n')";
    let spare = spare(&folder, &["python3", "-c", dies]).await.unwrap();
    let error = spare.adopt(&settings(&folder, "")).await.unwrap_err();
    assert!(!error.to_string().is_empty());
}
