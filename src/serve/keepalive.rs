//! When the kernel asks a silent peer whether it is still there: a host that vanished sends no FIN.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// The questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first question.
    pub idle: Duration,
    /// Time between two questions.
    pub interval: Duration,
    /// Questions without an answer until the connection is given up.
    pub retries: u32,
}

impl Default for Keepalive {
    /// A minute and a half until a vanished peer is known; most NATs forget a silent connection after five minutes.
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), interval: Duration::from_secs(10), retries: 3 }
    }
}

impl Keepalive {
    /// Asks them on `socket`. One that refuses works all the same, only a dead peer is known later.
    pub fn ask(self, socket: &TcpStream) {
        let keepalive =
            TcpKeepalive::new().with_time(self.idle).with_interval(self.interval).with_retries(self.retries);
        let _ = SockRef::from(socket).set_tcp_keepalive(&keepalive);
    }
}
