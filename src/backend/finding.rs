//! What a check can find: a closed set, so that it can be a label.

use std::io;

use crate::health::Outcome;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It answered as it should.
    Ok,
    /// There is no address to dial: the name is not resolved, or the process is not started.
    NoAddress,
    /// Nobody listens there.
    Refused,
    /// The address cannot be reached.
    Unreachable,
    /// It did not accept in time.
    ConnectTimeout,
    /// It accepted and did not answer in time.
    Timeout,
    /// It reset the connection.
    Reset,
    /// It closed the connection.
    Closed,
    /// TLS with it failed: its certificate, or ours to it.
    Tls,
    /// It wants a token, or another one.
    AuthFailed,
    /// It speaks another version of the protocol.
    Protocol,
    /// It answered with an error, or what it sent is not the protocol at all.
    Malformed,
    /// Any other failure of the socket.
    Error,
}

impl Finding {
    /// Every finding, for whoever declares labels.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::NoAddress,
        Self::Refused,
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::Timeout,
        Self::Reset,
        Self::Closed,
        Self::Tls,
        Self::AuthFailed,
        Self::Protocol,
        Self::Malformed,
        Self::Error,
    ];

    /// The word for it in logs, metrics and `/status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoAddress => "no_address",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Tls => "tls",
            Self::AuthFailed => "auth_failed",
            Self::Protocol => "protocol",
            Self::Malformed => "malformed",
            Self::Error => "error",
        }
    }

    /// How much it says. A refused connection comes from a kernel that knows that nobody listens, and a refused token,
    /// a wrong certificate or another protocol stay so until somebody changes something: they need no second check.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Ok => Outcome::Good,
            Self::NoAddress | Self::Refused | Self::Tls | Self::AuthFailed | Self::Protocol => Outcome::Dead,
            _ => Outcome::Bad,
        }
    }
}

impl From<io::Error> for Finding {
    fn from(error: io::Error) -> Self {
        if crate::tls::is_final(&error) {
            return Self::Tls;
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Self::Reset
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            io::ErrorKind::UnexpectedEof => Self::Closed,
            io::ErrorKind::TimedOut => Self::ConnectTimeout,
            _ => Self::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinct_and_fit_a_label() {
        let mut words: Vec<_> = Finding::ALL.iter().map(|finding| finding.as_str()).collect();
        assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Finding::ALL.len());
    }

    #[test]
    fn what_time_will_not_mend_is_dead() {
        assert_eq!(Finding::from(io::Error::from(io::ErrorKind::ConnectionRefused)).outcome(), Outcome::Dead);
        assert_eq!(Finding::AuthFailed.outcome(), Outcome::Dead);
        assert_eq!(Finding::Timeout.outcome(), Outcome::Bad);
        assert_eq!(Finding::Ok.outcome(), Outcome::Good);
    }
}
