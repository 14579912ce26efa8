//! When the kernel asks a silent peer whether it is still there: a host that vanished sends no FIN.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::backend::Socket;

/// The questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first question.
    pub idle: Duration,
    /// Time between two questions.
    pub interval: Duration,
    /// Questions without an answer until the connection is given up.
    pub retries: u32,
    /// Bytes that nobody acknowledged for so long end the connection (`TCP_USER_TIMEOUT`); without it the kernel sends them
    /// again for a quarter of an hour.
    pub unheard: Option<Duration>,
}

impl Default for Keepalive {
    /// A minute and a half until a vanished peer is known; most NATs forget a silent connection after five minutes.
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), interval: Duration::from_secs(10), retries: 3, unheard: None }
    }
}

impl Keepalive {
    /// A peer that vanished is known after `limit`, whether anything is on its way to it or not.
    pub fn within(limit: Duration) -> Self {
        let second = Duration::from_secs(1);
        // The kernel counts whole seconds, and one is the least.
        let interval = (limit / 6).max(second);
        Self { idle: (limit / 2).max(second), interval, retries: 3, unheard: Some(limit) }
    }

    /// Asks them on `socket`, if there is a network beneath it. One that refuses works all the same, only a dead peer is known later.
    pub fn ask(self, socket: &Socket) {
        let Some(socket) = socket.tcp() else { return };
        let keepalive =
            TcpKeepalive::new().with_time(self.idle).with_interval(self.interval).with_retries(self.retries);
        let socket = SockRef::from(socket);
        let _ = socket.set_tcp_keepalive(&keepalive);
        if self.unheard.is_some() {
            let _ = socket.set_tcp_user_timeout(self.unheard);
        }
    }
}
