//! A Redis server of the bench's own, and the little of its protocol that the bench speaks.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{client::PATIENCE, peer};

/// A running server, or one that was killed. Dropping it ends it.
pub struct Redis {
    pub addr: SocketAddr,
    folder: PathBuf,
    child: Option<Child>,
}

impl Redis {
    /// Starts an empty one on a free port of loopback; it writes nothing to the disk.
    pub fn start() -> io::Result<Self> {
        let addr = SocketAddr::from(([127, 0, 0, 1], peer::free_port()?));
        let mut redis = Self { addr, folder: peer::folder("redis")?, child: None };
        redis.run()?;
        let deadline = Instant::now() + PATIENCE;
        while redis.ask(&["PING"]).is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::other("redis-server does not listen"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(redis)
    }

    /// Starts it on the same port, and does not wait until it listens.
    pub fn run(&mut self) -> io::Result<()> {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(self.addr.port().to_string())
            .arg("--dir")
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.map_err(|error| io::Error::other(format!("redis-server: {error}")))?);
        Ok(())
    }

    /// Kills it; all that it knew is lost.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Stops it where it is, or lets it go on.
    pub fn pause(&self, paused: bool) -> io::Result<()> {
        let pid = self.child.as_ref().and_then(|child| Pid::from_raw(child.id().cast_signed()));
        let signal = if paused { Signal::STOP } else { Signal::CONT };
        pid.map_or_else(|| Err(io::Error::other("no redis-server")), |pid| Ok(kill_process(pid, signal)?))
    }

    /// One command; its answer as text.
    pub fn ask(&self, words: &[&str]) -> io::Result<String> {
        let mut socket = TcpStream::connect(self.addr)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(&command(words))?;
        answer(&mut BufReader::new(socket))
    }

    /// Puts many fields into a hash.
    pub fn fill(&self, name: &str, fields: &[(String, String)]) -> io::Result<()> {
        let mut socket = TcpStream::connect(self.addr)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut answers = BufReader::new(socket.try_clone()?);
        for some in fields.chunks(1_000) {
            let words = ["HSET", name].into_iter().chain(some.iter().flat_map(|(field, value)| [&**field, &**value]));
            socket.write_all(&command(&words.collect::<Vec<_>>()))?;
            answer(&mut answers)?;
        }
        Ok(())
    }

    /// How often each command was run so far.
    pub fn commands(&self) -> io::Result<BTreeMap<String, u64>> {
        let text = self.ask(&["INFO", "commandstats"])?;
        let line = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        };
        Ok(text.lines().filter_map(line).collect())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

fn answer(from: &mut impl io::BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("$", length)) => {
            let length: u64 = length.parse().map_err(io::Error::other)?;
            let mut text = String::new();
            from.take(length + 2).read_to_string(&mut text)?;
            Ok(text)
        }
        Some(("+" | ":", text)) => Ok(text.to_owned()),
        _ => Err(io::Error::other(format!("redis-server answered {line:?}"))),
    }
}
