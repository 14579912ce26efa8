//! What sessions cost that are only known: recorded with their owners, parked, or live at a client that has many.

use std::{io, net::TcpStream, thread, time::Duration};

use crate::{
    admin,
    args::Args,
    backend::Backends,
    client,
    peer::{Extras, Kind, Peer},
    redis::Redis,
    usage,
    workload::Context,
};

/// Tenants of a walled proxy.
const TENANTS: usize = 16;
/// Reading a million records takes a while.
const PATIENCE: Duration = Duration::from_secs(60);
/// Sessions of one client.
const OF_A_CLIENT: usize = 1_000;
/// All clients are one tenant's, so that the ids keep their shape.
const CLIENTS_OF: &str = "s03";

/// Resident MiB of a proxy that has read so many owners from its store, and of one that found none.
pub fn owners(args: &Args, known: usize) -> io::Result<(f64, f64)> {
    let (backends, redis) = (Backends::start()?, Redis::start()?);
    let tables = format!("[store]\nkind = \"redis\"\naddresses = [\"{}\"]\n", redis.addr);
    let extras = Extras { tables, patience: PATIENCE, ..Extras::default() };
    let resident = || {
        let peer = Peer::start_with(Kind::Walled, &extras, &backends.addrs, &args.pilotfish)?;
        client::open(peer.addr, &client::session_ids(0, 1))?;
        Ok::<_, io::Error>(settled(&peer) / 1048576.0)
    };
    let without = resident()?;
    let record = |at: usize| {
        let id = format!("5e0f5a9c-83d2-4b1e-9a6f-{at:012x}");
        (id, client::tenant(at % TENANTS))
    };
    redis.fill("pilotfish:{bench}:owners", &(0..known).map(record).collect::<Vec<_>>())?;
    Ok((resident()?, without))
}

/// What parked sessions cost.
pub struct Parked {
    /// How many there are.
    pub count: f64,
    /// Bytes of each, those of the params of its create and what else the clients have included.
    pub each: f64,
    /// Bytes of the params.
    pub params: f64,
}

/// Clients with far more sessions than may live.
pub fn parked(args: &Args, sessions: usize) -> io::Result<Parked> {
    let backends = Backends::start()?;
    let peer = Peer::start_with(Kind::Session, &Extras::default(), &backends.addrs, &args.pilotfish)?;
    let clients = sessions.div_ceil(OF_A_CLIENT);
    let mut sockets = Vec::new();
    for at in 0..clients {
        sockets.push(client::open(peer.addr, &[format!("{CLIENTS_OF}-{at:02x}")])?);
    }
    // The seats are taken and the buffers have grown before the count begins.
    let (mut params, mut made) = (0, 0);
    for socket in &mut sockets {
        params = create(socket, 0..100, &mut made)?;
    }
    let (before, parked) = (resident(&peer), count(&peer)?);
    for socket in &mut sockets {
        create(socket, 100..OF_A_CLIENT, &mut made)?;
    }
    let (more, grown) = (count(&peer)? - parked, resident(&peer) - before);
    drop(sockets);
    Ok(Parked { count: more, each: grown / more, params: params as f64 })
}

/// Creates sessions; gives the bytes of the params of one.
fn create(socket: &mut TcpStream, which: std::ops::Range<usize>, made: &mut usize) -> io::Result<usize> {
    let mut length = 0;
    for at in which {
        *made += 1;
        let params = format!(
            r#"{{"sessionId":"5e0f5a9c-83d2-4b1e-9a6f-{made:012x}","model":"mock","streaming":true,"workingDirectory":"/srv/work/repository"}}"#
        );
        client::ask(socket, 1_000 + at, "session.create", &params)?;
        length = params.len();
    }
    Ok(length)
}

/// Resident memory when it no longer grows.
fn settled(peer: &Peer) -> f64 {
    let mut before = 0.0;
    while resident(peer) > before {
        before = resident(peer);
        thread::sleep(Duration::from_millis(500));
    }
    before
}

fn resident(peer: &Peer) -> f64 {
    peer.pid().map_or(f64::NAN, usage::resident_kib) * 1024.0
}

fn count(peer: &Peer) -> io::Result<f64> {
    let text = admin::get(peer.admin()?, "/metrics")?;
    let line = text.lines().find(|line| line.starts_with("pilotfish_sessions_parked{"));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.ok_or_else(|| io::Error::other("no count of parked sessions"))
}

/// CPU seconds per million calls of one client that has `sessions` sessions, one call to each in turn.
pub fn table(args: &Args, sessions: usize) -> io::Result<f64> {
    let backends = Backends::start()?;
    let tables = "[pool.bench.sessions]\nmax_live_sessions = 0\n".to_owned();
    let extras = Extras { tables, ..Extras::default() };
    let peer = Peer::start_with(Kind::Session, &extras, &backends.addrs, &args.pilotfish)?;
    let context = Context { args, peer: &peer, backends: &backends };
    crate::workload::one_client(&context, sessions)
}
