//! The pilotfish binary as an operator runs it: started with a config, found by the lines it prints, stopped by signals.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::deadline::{DEADLINE, within};

/// A running pilotfish. Dropping it kills it and removes its folder.
pub struct Pilotfish {
    child: Child,
    output: Arc<Output>,
    listening: BTreeMap<String, String>,
    folder: PathBuf,
}

/// Everything that it printed, both streams.
#[derive(Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    more: watch::Sender<()>,
}

impl Pilotfish {
    /// Starts it with `config` and waits until everything that the config names (each listener, the admin address) listens.
    pub async fn start(config: &str) -> Self {
        Self::start_with(config, &[]).await
    }

    /// As [`Pilotfish::start`], with environment variables.
    pub async fn start_with(config: &str, env: &[(&str, &str)]) -> Self {
        let mut this = Self::spawn(config, env);
        let table: toml::Table = config.parse().expect("a config of valid TOML");
        let listeners = table.get("listener").and_then(|all| all.as_array()).map_or(0, Vec::len);
        let wanted = listeners + usize::from(table.contains_key("admin"));
        this.listening = this
            .output
            .until(&format!("{wanted} lines `listening name=NAME mode=MODE addr=IP:PORT`"), |lines| {
                let found: BTreeMap<_, _> = lines.iter().filter_map(|line| listening(line)).collect();
                (found.len() >= wanted).then_some(found)
            })
            .await;
        this
    }

    /// Waits until `name` listens, too.
    pub async fn wait_for_listener(&mut self, name: &str) {
        let find = |lines: &[String]| lines.iter().filter_map(|line| listening(line)).find(|(found, _)| found == name);
        let (name, address) = self.output.until(&format!("the listener {name}"), find).await;
        self.listening.insert(name, address);
    }

    /// Starts it without waiting, for configs that it should refuse.
    pub fn spawn(config: &str, env: &[(&str, &str)]) -> Self {
        let folder = new_folder();
        let file = folder.join("pilotfish.toml");
        std::fs::write(&file, config).expect("a writable target folder");
        Self::launch(folder, &["run", "--config", &file.to_string_lossy()], env)
    }

    /// Starts `pilotfish tunnel` with these arguments and waits until it listens, under the name `tunnel`.
    pub async fn tunnel(args: &[&str]) -> Self {
        let mut this = Self::launch(new_folder(), &[&["tunnel"], args].concat(), &[]);
        let find = |lines: &[String]| lines.iter().find_map(|line| listening(line));
        this.listening = [this.output.until("a listening tunnel", find).await].into();
        this
    }

    fn launch(folder: PathBuf, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pilotfish"))
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary that cargo built");
        let output = Arc::new(Output::default());
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        tokio::spawn(output.clone().collect(stdout));
        tokio::spawn(output.clone().collect(stderr));
        Self { child, output, listening: BTreeMap::new(), folder }
    }

    /// Gives the next process of it another config.
    pub fn rewrite(&self, config: &str) {
        std::fs::write(self.config_file(), config).expect("a writable target folder");
    }

    /// Waits until an upgrade number `count` (from 1) has handed over; gives back the new process.
    pub async fn successor(&self, count: usize) -> u32 {
        let pids = |lines: &[String]| {
            let mut all =
                lines.iter().filter_map(|line| line.split_once("handed over, draining pid=")?.1.split(' ').next());
            all.nth(count - 1)?.parse().ok()
        };
        self.output.until(&format!("hand-over {count}"), pids).await
    }

    /// All processes that run with its config file: itself, and those that took over from it.
    pub fn family(&self) -> Vec<u32> {
        let file = self.config_file();
        let file = file.as_os_str().as_encoded_bytes();
        let ours = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|word| word == file)
        };
        let all = std::fs::read_dir("/proc").expect("Linux").flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(ours).collect()
    }

    fn config_file(&self) -> PathBuf {
        self.folder.join("pilotfish.toml")
    }

    /// Where the listener `name` (or `admin`) listens.
    pub fn addr(&self, name: &str) -> SocketAddr {
        let found = self.listening.get(name).and_then(|text| text.parse().ok());
        found.unwrap_or_else(|| panic!("no listener {name} with a port among {:?}", self.listening))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a process that nobody has waited for")
    }

    /// Everything that it printed so far.
    pub fn output(&self) -> String {
        self.output.lines.lock().unwrap().join("\n")
    }

    /// Waits until it has printed a line that contains `text`.
    pub async fn wait_for_line(&self, text: &str) -> String {
        let find = |lines: &[String]| lines.iter().find(|line| line.contains(text)).cloned();
        self.output.until(&format!("a line with {text:?}"), find).await
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid_of(self.pid()), signal).expect("a process of ours");
    }

    /// Asks it to drain and stop (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits for its end, however long a test's drain is within the deadline.
    pub async fn exit(&mut self) -> ExitStatus {
        let output = self.output.clone();
        within(|| format!("the end of pilotfish; it printed:\n{}", output.text()), self.child.wait())
            .await
            .expect("a child of ours")
    }
}

impl Drop for Pilotfish {
    fn drop(&mut self) {
        self.child.start_kill().ok();
        // One may be starting another at this moment; a dead one starts nobody.
        let mut left = self.family();
        while !left.is_empty() {
            for pid in left {
                kill_process(pid_of(pid), Signal::KILL).ok();
            }
            left = self.family();
        }
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

/// Sends a signal to a process that took over.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(pid_of(pid), signal).expect("a process of ours");
}

/// Waits until a process that is no child of ours has ended.
pub async fn gone(pid: u32) {
    let Ok(process) = pidfd_open(pid_of(pid), PidfdFlags::empty()) else { return };
    let limit = Timespec::try_from(DEADLINE).expect("seconds");
    // A thread of its own, for tokio polls only what it owns.
    let ended = tokio::task::spawn_blocking(move || {
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)).expect("a pidfd can be polled")
    });
    assert_eq!(ended.await.expect("no panic"), 1, "process {pid} has not ended within {DEADLINE:?}");
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(pid as i32).expect("a pid is not 0")
}

impl Output {
    async fn collect<R: AsyncRead + Unpin>(self: Arc<Self>, from: R) {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if std::env::var_os("PILOTFISH_SHOW").is_some() {
                eprintln!("{line}");
            }
            self.lines.lock().unwrap().push(line);
            self.more.send_replace(());
        }
    }

    fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    async fn until<T>(&self, what: &str, check: impl Fn(&[String]) -> Option<T>) -> T {
        let mut more = self.more.subscribe();
        let wait = async {
            loop {
                more.borrow_and_update();
                if let Some(found) = check(&self.lines.lock().unwrap()) {
                    return found;
                }
                more.changed().await.expect("the output outlives its waiters");
            }
        };
        within(|| format!("{what}; pilotfish printed:\n{}", self.text()), wait).await
    }
}

/// Name and address of a line `listening name=NAME mode=MODE addr=IP:PORT`.
fn listening(line: &str) -> Option<(String, String)> {
    let fields = line.strip_prefix("listening ")?;
    let field = |key| fields.split(' ').find_map(|field| field.strip_prefix(key));
    Some((field("name=")?.into(), field("addr=")?.into()))
}

fn new_folder() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("pilotfish-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a writable target folder");
    folder
}

/// A config with the admin address, the listener `sdk` in `mode`, and one pool of `backends` (name, address) that are
/// checked every 100 ms. `more` is put behind the pool's own keys.
pub fn config(mode: &str, storage: &str, backends: &[(&str, SocketAddr)], more: &str) -> String {
    let mut list = String::new();
    for (name, address) in backends {
        write!(list, r#"{{ name = "{name}", address = "{address}" }}, "#).expect("a String takes everything");
    }
    format!(
        r#"
[admin]
bind = "127.0.0.1:0"
[[listener]]
name = "sdk"
bind = "127.0.0.1:0"
mode = "{mode}"
pool = "copilot"
[pool.copilot]
storage = "{storage}"
backends = [ {list}]
{more}
[pool.copilot.health]
interval = "100ms"
timeout = "500ms"
rise = 1
fall = 2
"#
    )
}

#[test]
fn a_listening_line_gives_name_and_address() {
    let found = listening("listening name=sdk mode=session addr=127.0.0.1:4321");
    assert_eq!(found, Some(("sdk".into(), "127.0.0.1:4321".into())));
    assert_eq!(listening("listening name=sdk"), None);
    assert_eq!(listening("INFO listening name=sdk mode=session addr=127.0.0.1:4321"), None);
}

#[test]
fn the_config_is_toml() {
    let text = config("session", "shared", &[("a", "127.0.0.1:1".parse().unwrap())], "policy = \"round-robin\"");
    let table: toml::Table = text.parse().expect("valid");
    assert_eq!(table["pool"]["copilot"]["policy"].as_str(), Some("round-robin"));
    assert_eq!(table["pool"]["copilot"]["backends"][0]["name"].as_str(), Some("a"));
}

#[tokio::test]
async fn it_starts_serves_and_stops() {
    let cli = crate::fake_cli::FakeCli::start("cli-1").await;
    let config = config("session", "shared", &[(cli.name(), cli.addr())], "");
    let mut pilotfish = Pilotfish::start(&config).await;
    assert_ne!(pilotfish.addr("admin").port(), 0);
    // The second ping goes out after the first one's answer has been judged: the backend is up.
    cli.wait_for_count("ping", 2).await;
    let client = crate::rpc_client::RpcClient::connect(pilotfish.addr("sdk")).await;
    client.call("connect", serde_json::json!({})).await.expect("a healthy backend");
    client.call("session.create", serde_json::json!({"sessionId": "s1"})).await.expect("placed");
    client.call("session.send", serde_json::json!({"sessionId": "s1", "prompt": "hi"})).await.expect("sent");
    client.next_event("s1", "session.idle").await;
    assert!(cli.saw("s1", "session.send"));
    pilotfish.terminate();
    client.expect_closed().await;
    assert!(pilotfish.exit().await.success(), "{}", pilotfish.output());
}
