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
    time::Duration,
};

use super::{Kind, Peer, folder, pinned};
use crate::client::{PATIENCE, tenant, token};

/// As many as a workload has clients: each is a tenant of its own.
const TENANTS: usize = 16;

/// What stands in a config beside the usual.
pub struct Extras {
    /// Tables of the first tenant.
    pub limits: String,
    /// Keys of the pool itself.
    pub pool: String,
    /// More tables.
    pub tables: String,
    /// How much more often than the first backend each of the others is chosen.
    pub weight: u32,
    /// How long it may take to start.
    pub patience: Duration,
}

impl Default for Extras {
    fn default() -> Self {
        let none = String::new;
        Self { limits: none(), pool: none(), tables: none(), weight: 1, patience: PATIENCE }
    }
}

pub fn start(kind: Kind, extras: &Extras, backends: &[SocketAddr], binary: &Path) -> io::Result<Peer> {
    let mode = if kind == Kind::Connection { "connection" } else { "session" };
    let folder = folder(kind.name())?;
    let file = folder.join("pilotfish.toml");
    let tenants = if kind == Kind::Walled { TENANTS } else { 0 };
    fs::write(&file, config(mode, extras, backends, tenants))?;
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
    let mut peer = Peer { addr: unknown, admin: None, child: Some(child), folder: Some(folder) };
    let (found, addrs) = mpsc::sync_channel(2);
    thread::spawn(move || {
        let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines().map_while(Result::ok));
        for line in lines {
            if let Some(named) = listening(&line) {
                found.try_send(named).ok();
            }
        }
    });
    for _ in 0..2 {
        let named = addrs.recv_timeout(extras.patience);
        let (name, addr) = named.map_err(|_| io::Error::other(format!("pilotfish ({mode}) does not listen")))?;
        if name == "bench" {
            peer.addr = addr;
        } else {
            peer.admin = Some(addr);
        }
    }
    Ok(peer)
}

/// Name and address in `listening name=NAME mode=MODE addr=IP:PORT`.
fn listening(line: &str) -> Option<(String, SocketAddr)> {
    let fields = line.strip_prefix("listening name=")?;
    let addr = fields.split(' ').find_map(|field| field.strip_prefix("addr="))?.parse().ok()?;
    Some((fields.split(' ').next()?.to_owned(), addr))
}

fn config(mode: &str, extras: &Extras, backends: &[SocketAddr], tenants: usize) -> String {
    let mut list = String::new();
    for (at, backend) in backends.iter().enumerate() {
        let weight = if at == 0 { 1 } else { extras.weight };
        write!(list, r#"{{ name = "cli-{at}", address = "{backend}", weight = {weight} }}, "#).ok();
    }
    let wall = if tenants == 0 { "" } else { "session_id_template = \"{tenant}-\"" };
    let mut names = String::new();
    for at in 0..tenants {
        write!(names, "[[tenant]]\nname = \"{}\"\ntokens = [{{ env = \"BENCH_TOKEN_{at:02x}\" }}]\n", tenant(at)).ok();
        names.push_str(if at == 0 { &extras.limits } else { "" });
    }
    let policy = if mode == "session" { "consistent-hash" } else { "round-robin" };
    let Extras { pool, tables, .. } = extras;
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
{pool}
backends = [ {list}]
[pool.bench.health]
interval = "5s"
timeout = "2s"
rise = 1
fall = 3
{tables}
{names}"#
    )
}
