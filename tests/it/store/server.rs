//! A real Redis server (or Sentinel), started and killed by the test.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

use crate::deadline::within;

/// A folder of this test's own; gone with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("redis-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // Not below the target folder: the path of a Unix socket has at most 107 bytes.
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a writable folder");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.local_addr().expect("an address").port()
}

/// A running server. Dropping it kills it.
pub struct Server {
    child: Child,
    pub port: u16,
    arguments: Vec<String>,
    _folder: Folder,
}

impl Server {
    /// A server that keeps nothing.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With further arguments.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let port = free_port();
        let mut all = vec!["--port".to_owned(), port.to_string()];
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        Self::start_at(port, all).await
    }

    /// With all arguments but those that every server gets.
    pub async fn start_at(port: u16, arguments: Vec<String>) -> Self {
        let folder = Folder::new();
        let mut all = arguments;
        all.extend(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir"].map(str::to_owned));
        all.push(folder.path().display().to_string());
        let child = spawn(&all).await;
        Self { child, port, arguments: all, _folder: folder }
    }

    /// A Sentinel for the master `pilotfish` at `master`; two of them are a quorum.
    pub async fn sentinel(master: u16) -> Self {
        let (port, folder) = (free_port(), Folder::new());
        let config = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor pilotfish 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds pilotfish 500\nsentinel failover-timeout pilotfish 3000\n"
        );
        std::fs::write(folder.path().join("sentinel.conf"), config).expect("written");
        let arguments = vec![folder.file("sentinel.conf"), "--sentinel".to_owned()];
        let child = spawn(&arguments).await;
        Self { child, port, arguments, _folder: folder }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// SIGKILL, and its end.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        within(|| "the end of redis-server".to_owned(), self.child.wait()).await.expect("a status");
    }

    /// Starts it again at the same port, without what it knew.
    pub async fn revive(&mut self) {
        self.child = spawn(&self.arguments).await;
    }

    /// The same as a replica of whoever is at `master`.
    pub async fn revive_as_replica(&mut self, master: u16) {
        let mut arguments = self.arguments.clone();
        arguments.extend(["--replicaof", "127.0.0.1", &master.to_string()].map(str::to_owned));
        self.child = spawn(&arguments).await;
    }

    /// Sends one command on a connection of its own; gives the answer as it came.
    pub async fn command(&self, words: &[&str]) -> String {
        within(|| format!("an answer to {words:?}"), command(self.port, words)).await
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().expect("it runs")).expect("a pid")).expect("a pid")
    }
}

async fn spawn(arguments: &[String]) -> Child {
    let mut child = Command::new("redis-server")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("redis-server (apt: redis-server)");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut seen = Vec::new();
    let ready = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            let is_up = ["Ready to accept connections", "Sentinel ID is", "monitor master"];
            let ready = is_up.iter().any(|word| line.contains(word));
            seen.push(line);
            if ready {
                return;
            }
        }
        panic!("redis-server ended: {seen:#?}");
    };
    within(|| "redis-server ready".to_owned(), ready).await;
    // Who does not read on would stop it when the pipe is full.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    child
}

async fn command(port: u16, words: &[&str]) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("a connection");
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    // A second command whose answer is known shows where the first one's ends.
    text.push_str("*1\r\n$4\r\nPING\r\n");
    stream.write_all(text.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    while !answer.ends_with(PONG.as_bytes()) {
        assert!(stream.read_buf(&mut answer).await.expect("an answer") > 0, "closed after {answer:?}");
    }
    let answer = String::from_utf8_lossy(&answer);
    answer.strip_suffix(PONG).unwrap_or(&answer).to_owned()
}

const PONG: &str = "+PONG\r\n";
