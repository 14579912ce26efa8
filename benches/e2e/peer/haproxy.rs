//! HAProxy as Debian ships it: `mode tcp`, default settings, one thread.

use std::{
    fmt::Write as _,
    fs, io,
    net::{SocketAddr, TcpStream},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use super::{Peer, folder, free_port, pinned};
use crate::client::PATIENCE;

pub fn start(backends: &[SocketAddr]) -> io::Result<Peer> {
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let folder = folder("haproxy")?;
    let file = folder.join("haproxy.cfg");
    fs::write(&file, config(addr, backends))?;
    let child = pinned("haproxy")
        .args(["-db", "-f"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let peer = Peer { addr, admin: None, child: Some(child), folder: Some(folder) };
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(addr).is_err() {
        if Instant::now() > deadline {
            return Err(io::Error::other("haproxy does not listen"));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(peer)
}

fn config(addr: SocketAddr, backends: &[SocketAddr]) -> String {
    let mut text = format!(
        "global\n    nbthread 1\ndefaults\n    mode tcp\n    timeout connect 5s\n    timeout client 600s\n    \
         timeout server 600s\nlisten bench\n    bind {addr}\n    balance roundrobin\n"
    );
    for (at, backend) in backends.iter().enumerate() {
        writeln!(text, "    server cli-{at} {backend}").ok();
    }
    text
}
