//! A real name server whose answers a test changes.

use std::{fmt::Write as _, path::PathBuf, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
};

use crate::{
    deadline::within,
    store::server::{Folder, free_port},
};

/// The service that is looked up.
pub const SERVICE: &str = "copilot.test";

/// A running dnsmasq. Dropping it kills it.
pub struct Dnsmasq {
    child: Child,
    told: tokio::io::Lines<BufReader<ChildStderr>>,
    pub port: u16,
    folder: Folder,
    services: Vec<String>,
}

impl Dnsmasq {
    /// One that knows these hosts: names below [`SERVICE`] with their addresses.
    pub async fn start(hosts: &[(&str, &str)]) -> Self {
        Self::start_with(hosts, &[]).await
    }

    /// With SRV records, too: targets and ports.
    pub async fn start_with(hosts: &[(&str, &str)], services: &[(&str, u16)]) -> Self {
        let (folder, port) = (Folder::new(), free_port());
        write_hosts(&folder, hosts);
        let services: Vec<String> = services
            .iter()
            .map(|(target, port)| format!("--srv-host=_copilot._tcp.{SERVICE},{target}.{SERVICE},{port}"))
            .collect();
        let (child, told) = spawn(port, &folder, &services).await;
        Self { child, told, port, folder, services }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Answers otherwise from now on.
    pub async fn set(&mut self, hosts: &[(&str, &str)]) {
        write_hosts(&self.folder, hosts);
        self.signal(Signal::HUP);
        let told = &mut self.told;
        let read = async {
            while let Ok(Some(line)) = told.next_line().await {
                if line.contains("hosts.added") {
                    return;
                }
            }
        };
        within(|| "dnsmasq reads its hosts".to_owned(), read).await;
    }

    /// Answers otherwise about the service itself: that takes another process.
    pub async fn set_services(&mut self, services: &[(&str, u16)]) {
        self.child.kill().await.expect("a process of ours");
        self.services = services
            .iter()
            .map(|(target, port)| format!("--srv-host=_copilot._tcp.{SERVICE},{target}.{SERVICE},{port}"))
            .collect();
        (self.child, self.told) = spawn(self.port, &self.folder, &self.services).await;
    }

    /// Answers no more, until [`Dnsmasq::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).expect("it runs");
        kill_process(pid, signal).expect("a process of ours");
    }
}

fn write_hosts(folder: &Folder, hosts: &[(&str, &str)]) {
    let mut text = String::new();
    for (name, address) in hosts {
        writeln!(text, "{address} {name}.{SERVICE} {SERVICE}").expect("memory");
    }
    std::fs::write(hosts_file(folder), text).expect("written");
}

fn hosts_file(folder: &Folder) -> PathBuf {
    folder.path().join("hosts.added")
}

async fn spawn(port: u16, folder: &Folder, services: &[String]) -> (Child, tokio::io::Lines<BufReader<ChildStderr>>) {
    let program =
        ["/usr/sbin/dnsmasq", "/usr/local/sbin/dnsmasq"].into_iter().find(|path| std::path::Path::new(path).exists());
    let mut child = Command::new(program.unwrap_or("dnsmasq"))
        .args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--pid-file="])
        .args(["--listen-address=127.0.0.1", "--user=root", "--cache-size=0", "--log-facility=-"])
        .arg(format!("--local=/{SERVICE}/"))
        .arg(format!("--port={port}"))
        .arg(format!("--addn-hosts={}", hosts_file(folder).display()))
        .args(services)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("dnsmasq, which `make test` installs");
    let mut told = BufReader::new(child.stderr.take().expect("piped")).lines();
    let read = async {
        while let Ok(Some(line)) = told.next_line().await {
            if line.contains("hosts.added") {
                return;
            }
        }
        panic!("dnsmasq does not start");
    };
    within(|| "dnsmasq starts".to_owned(), read).await;
    (child, told)
}
