//! A client that makes calls at a steady rate: the one that is bothered.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use super::Kind;
use crate::{
    client,
    frames::{BASE, Call, answered},
};

/// The tenant's number.
const WHO: usize = 1;
/// Connections that take turns.
const CONNECTIONS: usize = 2;

/// Makes calls or logs in at a steady rate, one at a time.
pub struct Victim {
    addr: SocketAddr,
    /// None: it logs in anew each time.
    callers: Vec<(TcpStream, Call)>,
    every: Duration,
    number: u32,
}

impl Victim {
    pub fn open(kind: Kind, addr: SocketAddr) -> io::Result<Self> {
        // Also where there is nothing to call: the proxy may only just have found its backends.
        let guess = matches!(kind, Kind::Guess(_));
        let mut victim = Self::calls(addr, Duration::from_millis(if guess { 5 } else { 2 }))?;
        if guess {
            victim.callers.clear();
        }
        Ok(victim)
    }

    /// It makes calls, one each `every`.
    pub fn calls(addr: SocketAddr, every: Duration) -> io::Result<Self> {
        let ids = client::session_ids(WHO, CONNECTIONS);
        let open = |id: &String| Ok((client::open(addr, std::slice::from_ref(id))?, Call::small(id)));
        let callers = ids.iter().map(open).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { addr, callers, every, number: 0 })
    }

    /// Runs for so long, and on while `more` says so; gives milliseconds. What is late because the one before took too long
    /// is measured from when it was due, and what could not be sent at all counts as long as it was late.
    pub fn run(&mut self, at_least: Duration, more: impl Fn() -> bool) -> io::Result<Vec<f64>> {
        let (start, mut times) = (Instant::now(), Vec::new());
        for turn in 1.. {
            let due = start + self.every * turn;
            let now = Instant::now();
            if now.max(due).duration_since(start) > at_least && !more() {
                let unsent = (0..).map(|turn| due + self.every * turn).take_while(|due| *due < now);
                times.extend(unsent.map(|due| now.duration_since(due).as_secs_f64() * 1e3));
                break;
            }
            let wait = due.saturating_duration_since(now);
            thread::sleep(wait);
            let from = if wait.is_zero() { due } else { Instant::now() };
            self.ask()?;
            times.push(from.elapsed().as_secs_f64() * 1e3);
        }
        Ok(times)
    }

    fn ask(&mut self) -> io::Result<()> {
        self.number = (self.number + 1) & ((1 << 22) - 1);
        let id = BASE + self.number;
        let count = self.callers.len().max(1);
        match self.callers.get_mut(id as usize % count) {
            Some((socket, call)) => {
                socket.write_all(call.with_id(id))?;
                read_answer(socket, id)
            }
            None => self.log_in(),
        }
    }

    fn log_in(&self) -> io::Result<()> {
        let mut socket = TcpStream::connect(self.addr)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(client::PATIENCE))?;
        let token = client::token(&client::tenant(WHO));
        client::ask(&mut socket, 1, "connect", &format!(r#"{{"clientInfo":{{"name":"bench"}},"token":"{token}"}}"#))
    }
}

/// Answers have one size, and nothing else is sent.
fn read_answer(socket: &mut TcpStream, id: u32) -> io::Result<()> {
    let mut frame = [0; 128];
    socket.read_exact(&mut frame)?;
    let body = frame.iter().position(|byte| *byte == b'{').map_or(&frame[..], |at| &frame[at..]);
    if answered(body) == Some(id) {
        return Ok(());
    }
    Err(io::Error::other(format!("not an answer: {}", String::from_utf8_lossy(&frame))))
}
