//! The release binary with one worker thread.

use std::{
    fmt::Write as _,
    fs, io,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::mpsc,
    thread,
};

use super::{Kind, Peer, folder, pinned};
use crate::client::{PATIENCE, tenant, token};

/// As many as a workload has clients: each is a tenant of its own.
const TENANTS: usize = 16;

pub fn start(kind: Kind, limits: &str, backends: &[SocketAddr], binary: &Path) -> io::Result<Peer> {
    let mode = if kind == Kind::Connection { "connection" } else { "session" };
    let folder = folder(kind.name())?;
    let file = folder.join("pilotfish.toml");
    let tenants = if kind == Kind::Walled { TENANTS } else { 0 };
    fs::write(&file, config(mode, limits, backends, tenants))?;
    let mut child = pinned(binary)
        .envs((0..tenants).map(|at| (format!("BENCH_TOKEN_{at:02x}"), token(&tenant(at)))))
        .args(["run", "--config"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdout = child.stdout.take();
    let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut peer = Peer { addr: unknown, child: Some(child), folder: Some(folder) };
    let (found, addr) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines().map_while(Result::ok));
        for line in lines {
            if let Some(addr) = listening(&line) {
                found.try_send(addr).ok();
            }
        }
    });
    peer.addr =
        addr.recv_timeout(PATIENCE).map_err(|_| io::Error::other(format!("pilotfish ({mode}) does not listen")))?;
    Ok(peer)
}

/// The address in `listening name=bench mode=MODE addr=IP:PORT`.
fn listening(line: &str) -> Option<SocketAddr> {
    let fields = line.strip_prefix("listening name=bench ")?;
    fields.split(' ').find_map(|field| field.strip_prefix("addr="))?.parse().ok()
}

fn config(mode: &str, limits: &str, backends: &[SocketAddr], tenants: usize) -> String {
    let mut list = String::new();
    for (at, backend) in backends.iter().enumerate() {
        write!(list, r#"{{ name = "cli-{at}", address = "{backend}" }}, "#).ok();
    }
    let wall = if tenants == 0 { "" } else { "session_id_template = \"{tenant}-\"" };
    let mut names = String::new();
    for at in 0..tenants {
        write!(names, "[[tenant]]\nname = \"{}\"\ntokens = [{{ env = \"BENCH_TOKEN_{at:02x}\" }}]\n", tenant(at)).ok();
        names.push_str(if at == 0 { limits } else { "" });
    }
    let policy = if mode == "session" { "consistent-hash" } else { "round-robin" };
    format!(
        r#"
[runtime]
worker_threads = 1
[admin]
bind = "127.0.0.1:0"
[[listener]]
name = "bench"
bind = "127.0.0.1:0"
mode = "{mode}"
pool = "bench"
[pool.bench]
policy = "{policy}"
storage = "shared"
{wall}
backends = [ {list}]
[pool.bench.health]
interval = "5s"
timeout = "2s"
rise = 1
fall = 3
{names}"#
    )
}
