//! What the proxy's admin listener is asked.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use crate::client::PATIENCE;

/// The body of a page.
pub fn get(admin: SocketAddr, page: &str) -> io::Result<String> {
    ask(admin, "GET", page)
}

/// Has something done; the answer is JSON.
pub fn post(admin: SocketAddr, page: &str) -> io::Result<Value> {
    Ok(serde_json::from_str(&ask(admin, "POST", page)?)?)
}

/// A page in JSON.
pub fn json(admin: SocketAddr, page: &str) -> io::Result<Value> {
    Ok(serde_json::from_str(&get(admin, page)?)?)
}

fn ask(admin: SocketAddr, method: &str, page: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect(admin)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let head = "Host: localhost\r\nConnection: close\r\nContent-Length: 0\r\nX-Pilotfish-Reason: bench";
    write!(socket, "{method} {page} HTTP/1.1\r\n{head}\r\n\r\n")?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    if head.starts_with("HTTP/1.1 2") { Ok(body.to_owned()) } else { Err(io::Error::other(text)) }
}
