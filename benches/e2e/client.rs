//! One client of the generator: connected, its sessions created, in blocking mode until the run starts.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::frames::frame;

/// How long set-up and every single answer may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Opens a connection, says `connect`, creates `sessions`. Tries again while the proxy still has no healthy backend.
pub fn open(addr: SocketAddr, sessions: &[String]) -> io::Result<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match try_open(addr, sessions) {
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
            outcome => return outcome,
        }
    }
}

fn try_open(addr: SocketAddr, sessions: &[String]) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(addr)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let owner = sessions.first().map_or_else(|| tenant(0), |id| id[..3].to_owned());
    ask(&mut socket, 1, "connect", &format!(r#"{{"clientInfo":{{"name":"bench"}},"token":"{}"}}"#, token(&owner)))?;
    for (at, session) in sessions.iter().enumerate() {
        let params = format!(r#"{{"sessionId":"{session}","model":"mock","streaming":true}}"#);
        ask(&mut socket, at + 2, "session.create", &params)?;
    }
    Ok(socket)
}

/// One call, its answer awaited; notifications in between are skipped.
pub fn ask(socket: &mut TcpStream, id: usize, method: &str, params: &str) -> io::Result<()> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
    socket.write_all(&frame(body.as_bytes()))?;
    let wanted = format!(r#""id":{id},"#);
    loop {
        let body = read_body(socket)?;
        let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        if text.contains(&wanted) {
            return if text.contains(r#""error":"#) { Err(io::Error::other(text)) } else { Ok(()) };
        }
    }
}

/// The next body. Reads the header byte by byte: set-up is not what is measured.
pub fn read_body(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        header.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&header);
    let length = text.trim().rsplit(' ').next().and_then(|digits| digits.parse().ok());
    let mut body = vec![0; length.ok_or_else(|| io::Error::other(format!("not a header: {text:?}")))?];
    socket.read_exact(&mut body)?;
    Ok(body)
}

/// The tenant that client number `client` is, where tenants are asked for: its session ids begin so.
pub fn tenant(client: usize) -> String {
    format!("s{client:02x}")
}

/// A tenant's token.
pub fn token(tenant: &str) -> String {
    format!("bench-token-of-{tenant}")
}

/// Session ids of 6 characters that no other client has: client `client` of this run, `count` of them.
pub fn session_ids(client: usize, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{}-{at:02x}", tenant(client))).collect()
}
