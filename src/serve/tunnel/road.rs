//! The way to the proxy: found by name, shaken hands with, tried again with pauses that grow.

use std::{
    fmt, io,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    io::AsyncReadExt as _,
    net::lookup_host,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    backend::{Plain, Socket, tls::ClientTls},
    health, tls,
    tls::Side,
};

/// One attempt, from the name to the end of the handshake.
const ATTEMPT: Duration = Duration::from_secs(10);

/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Of each pause so much is left to chance: the clients of a proxy that comes back do not come together.
const JITTER: f64 = 0.5;

/// A proxy that does not take our certificate says so after the handshake, if it has anything to say.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What errors call the other side.
pub(super) const PROXY: Side<'static> = Side { other: "the proxy", trusted: "the file of --ca (or the system's)" };

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

/// Not `HOST:PORT`.
#[derive(Clone, Copy, Debug, Error)]
#[error("a host and a port, such as proxy.example.org:4322 or [::1]:4322")]
pub struct NotAnAddress;

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(NotAnAddress)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(NotAnAddress)?;
        let is_host = !host.is_empty() && !host.contains(['/', ' ', '@']) && (bare.is_some() || !host.contains(':'));
        if is_host { Ok(Self { host: host.to_owned(), port }) } else { Err(NotAnAddress) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why there is no way.
#[derive(Debug, Error)]
pub enum NoRoad {
    /// Certificates that are not right, on either side: trying again is of no use.
    #[error("{}", PROXY.explain(.0))]
    Tls(io::Error),
    /// Nobody answered in time.
    #[error("the proxy cannot be reached{}: {last}", .within.map(|time| format!(" for {}", humantime::format_duration(time))).unwrap_or_default())]
    Away {
        /// How long it was tried, if more than once.
        within: Option<Duration>,
        /// The last reason.
        last: String,
    },
    /// It hung up before it had said a word.
    #[error("the proxy closed the connection before it had said a word")]
    Closed,
}

impl NoRoad {
    /// Whether it may be otherwise a moment later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// What a connection ended with.
    pub fn of(error: io::Error) -> Self {
        if tls::is_final(&error) { Self::Tls(error) } else { Self::Closed }
    }
}

/// The way.
#[derive(Debug)]
pub struct Road {
    to: Vec<Address>,
    tls: ClientTls,
    within: Duration,
    /// The log has said that nobody is there.
    is_away: AtomicBool,
    /// It was there when it was last tried.
    gets_through: AtomicBool,
}

impl Road {
    /// To the first of `to` that answers, tried for `within`.
    pub fn new(to: Vec<Address>, tls: ClientTls, within: Duration) -> Self {
        Self { to, tls, within, is_away: AtomicBool::new(false), gets_through: AtomicBool::new(true) }
    }

    /// Whether the proxy was there when it was last tried.
    pub(super) fn gets_through(&self) -> bool {
        self.gets_through.load(Ordering::Relaxed)
    }

    /// The proxy is dialled until it answers, or the time is over.
    pub async fn dial(&self) -> Result<Socket, NoRoad> {
        let until = Instant::now() + self.within;
        let mut pause = FIRST_PAUSE;
        loop {
            let attempt = timeout_at(until.min(Instant::now() + ATTEMPT), self.attempt());
            let last = match attempt.await {
                Ok(Ok((socket, to))) => {
                    self.gets_through.store(true, Ordering::Relaxed);
                    if self.is_away.swap(false, Ordering::Relaxed) {
                        tracing::info!(%to, "the proxy is there again");
                    }
                    return Ok(socket);
                }
                Ok(Err(error)) if tls::is_final(&error) => {
                    self.gets_through.store(false, Ordering::Relaxed);
                    return Err(NoRoad::Tls(error));
                }
                Ok(Err(error)) => PROXY.explain(&error),
                Err(_) => "no answer in time".to_owned(),
            };
            self.gets_through.store(false, Ordering::Relaxed);
            if !self.is_away.swap(true, Ordering::Relaxed) {
                tracing::warn!(reason = last, "cannot reach the proxy, trying again");
            }
            let wait = health::jittered(pause, JITTER, uuid::Uuid::new_v4().as_u64_pair().1);
            if Instant::now() + wait >= until {
                return Err(NoRoad::Away { within: Some(self.within), last });
            }
            sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// It was there, and did not want us.
    pub(super) fn refused(&self) {
        self.gets_through.store(false, Ordering::Relaxed);
    }

    /// Looks once whether the proxy takes us.
    pub(super) async fn try_out(&self) -> Result<Address, NoRoad> {
        let tried = self.try_once().await;
        self.gets_through.store(tried.is_ok(), Ordering::Relaxed);
        tried
    }

    async fn try_once(&self) -> Result<Address, NoRoad> {
        match timeout(ATTEMPT, self.attempt()).await {
            Err(_) => Err(NoRoad::Away { within: None, last: "no answer in time".to_owned() }),
            Ok(Err(error)) if tls::is_final(&error) => Err(NoRoad::Tls(error)),
            Ok(Err(error)) => Err(NoRoad::Away { within: None, last: PROXY.explain(&error) }),
            Ok(Ok((mut socket, to))) => match timeout(LAST_WORD, socket.read_u8()).await {
                Ok(Err(error)) if tls::is_final(&error) => Err(NoRoad::Tls(error)),
                _ => Ok(to),
            },
        }
    }

    /// Every address once, in order. A certificate that is not right counts more than a port that is closed.
    async fn attempt(&self) -> io::Result<(Socket, Address)> {
        let mut worst: Option<io::Error> = None;
        for to in &self.to {
            match self.connect(to).await {
                Ok(socket) => return Ok((socket, to.clone())),
                Err(error) if worst.as_ref().is_some_and(tls::is_final) => drop(error),
                Err(error) => worst = Some(error),
            }
        }
        Err(worst.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    async fn connect(&self, to: &Address) -> io::Result<Socket> {
        let mut last = None;
        for address in lookup_host((to.host.as_str(), to.port)).await? {
            match Plain::connect(&address.into()).await {
                Ok(plain) => return self.tls.connect(plain, Some(&to.host)).await.map(Socket::Tls),
                Err(error) => last = Some(io::Error::new(error.kind(), format!("{address}: {error}"))),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other(format!("{to}: the name has no address"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for right in ["proxy:4322", "127.0.0.1:1", "[::1]:65535"] {
            assert_eq!(right.parse::<Address>().unwrap().to_string(), right);
        }
        for wrong in ["", "proxy", "proxy:", ":1", "proxy:0", "proxy:65536", "::1:4322", "https://proxy:1", "a b:1"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
