//! Label values as enums: a label can only take a value that is documented here.

/// A closed set of label values.
pub trait Label: Copy + 'static {
    /// Every value, in the order of the declaration; `ALL[v.index()] == v`.
    const ALL: &'static [Self];

    /// The text that Prometheus sees.
    fn label(self) -> &'static str;

    /// The place of this value in [`Label::ALL`].
    fn index(self) -> usize;
}

macro_rules! labels {
    ($($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ })+) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn label(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    )+};
}
pub(super) use labels;

labels! {
    /// Why we answered with an error: the wire codes' reasons and the refusals of the reader.
    Reason {
        /// Framing or JSON that cannot be read at all.
        ParseError = "parse_error",
        /// The header of a frame breaks a rule or a limit.
        InvalidFrame = "invalid_frame",
        /// The envelope is not JSON-RPC 2.0 as we accept it.
        InvalidRequest = "invalid_request",
        /// `params` is not what the method takes.
        InvalidParams = "invalid_params",
        /// `params` holds what a pool shared by tenants does not let through.
        ParamDenied = "param_denied",
        /// A method that this proxy does not pass.
        DeniedByPolicy = "denied_by_policy",
        /// A request with an id that is still in flight.
        DuplicateId = "duplicate_id",
        /// A call before `connect`.
        AuthenticationRequired = "authentication_required",
        /// A wrong token.
        AuthenticationFailed = "authentication_failed",
        /// The tenant may not do this.
        Forbidden = "forbidden",
        /// No such session for this tenant.
        SessionNotFound = "session_not_found",
        /// Nothing healthy in the pool.
        NoBackend = "no_backend",
        /// The backend died with the request open.
        BackendLost = "backend_lost",
        /// The session's home is gone and storage is local.
        SessionLost = "session_lost",
        /// Another client's turn is running.
        SessionLocked = "session_locked",
        /// A limit is reached.
        Capacity = "capacity",
        /// The tenant is over its rate or quota.
        RateLimited = "rate_limited",
        /// The store does not answer.
        StoreUnavailable = "store_unavailable",
        /// The proxy or the pool is going away.
        Draining = "draining",
        /// The deadline of this class of request passed.
        Timeout = "timeout",
        /// The client took the request back.
        Cancelled = "cancelled",
        /// A fault of ours.
        Internal = "internal",
        /// A reason that this list does not name yet.
        Other = "other",
    }

    /// Why a client was turned away at the door.
    Rejection {
        /// `max_clients` of the listener is reached.
        Capacity = "capacity",
        /// The listener is draining.
        Draining = "draining",
        /// No healthy backend would take it (connection mode).
        NoBackend = "no_backend",
        /// Its address or token is not welcome.
        Denied = "denied",
        /// The socket failed before anything was read.
        Failed = "failed",
        /// Its TLS handshake failed, or took too long.
        Handshake = "handshake",
        /// It comes from a load balancer and brings no header of the PROXY protocol.
        ProxyHeader = "proxy_header",
    }

    /// Why a client's connection ended.
    ClientEnd {
        /// The client closed it.
        Client = "client",
        /// The client reset it, or the network did.
        Reset = "reset",
        /// The client sent what no reader may accept.
        Protocol = "protocol",
        /// It did not authenticate in time or with the right token.
        Unauthenticated = "unauthenticated",
        /// A header or body did not arrive in time.
        Timeout = "timeout",
        /// Nothing moved for longer than the idle limit.
        Idle = "idle",
        /// It did not read what it had been sent.
        Slow = "slow",
        /// The backend closed it (connection mode).
        Backend = "backend",
        /// The backend reset it (connection mode).
        BackendReset = "backend_reset",
        /// No backend could be reached (connection mode).
        NoBackend = "no_backend",
        /// Closed in good order by a drain.
        Drained = "drained",
        /// Cut at the drain's deadline.
        Deadline = "deadline",
        /// A fault of ours.
        Internal = "internal",
    }

    /// How the opening of a link ended.
    LinkOutcome {
        /// Open and, in session mode, greeted.
        Ok = "ok",
        /// The backend's port refused.
        Refused = "refused",
        /// No answer in time.
        Timeout = "timeout",
        /// TLS with it failed.
        Tls = "tls",
        /// The backend refused our token.
        Unauthenticated = "unauthenticated",
        /// The backend said something that we do not understand.
        Protocol = "protocol",
        /// Any other failure of the socket.
        Error = "error",
    }

    /// Why a link ended.
    LinkEnd {
        /// Its client went away.
        Client = "client",
        /// The backend closed it.
        Backend = "backend",
        /// The backend or the network reset it.
        Reset = "reset",
        /// The backend said something that we do not understand.
        Protocol = "protocol",
        /// A deadline passed.
        Timeout = "timeout",
        /// Nothing moved for longer than the idle limit.
        Idle = "idle",
        /// Closed by a drain.
        Drained = "drained",
        /// Cut on purpose (a bad frame was on its way, the deadline of a drain).
        Cut = "cut",
    }

    /// What a session is doing.
    SessionState {
        /// Live, no turn running.
        Idle = "idle",
        /// In a turn.
        Busy = "busy",
        /// Known, live nowhere.
        Parked = "parked",
        /// On its way to another backend.
        Moving = "moving",
        /// Its home is gone.
        Lost = "lost",
    }

    /// How a turn ended.
    TurnOutcome {
        /// `session.idle` came.
        Idle = "idle",
        /// `session.error` came.
        Error = "error",
        /// It was aborted by the client.
        Aborted = "aborted",
        /// Its backend died.
        BackendLost = "backend_lost",
        /// Its client left.
        ClientLost = "client_lost",
        /// Nothing was heard of it for too long.
        Stalled = "stalled",
    }

    /// Why a session was closed at its backend and is kept.
    EvictCause {
        /// Another one needed its place.
        Limit = "limit",
        /// Nobody had used it for long.
        Idle = "idle",
    }

    /// What became of a kept session that was needed.
    WakeOutcome {
        /// It lives again.
        Woken = "woken",
        /// There was no room for it.
        Full = "full",
        /// No backend could open it.
        Failed = "failed",
    }

    /// What became of a prompt that needed its session's turn lock.
    LockOutcome {
        /// It got it at once.
        Taken = "taken",
        /// It got it after it had waited.
        Waited = "waited",
        /// Another client's turn was running, and nobody waits.
        Rejected = "rejected",
        /// It waited for too long.
        TimedOut = "timed_out",
        /// The store did not answer.
        StoreUnavailable = "store_unavailable",
    }

    /// Why a session was to get another home.
    MoveCause {
        /// Its home, or the way there, was lost.
        Lost = "lost",
        /// Its home is being drained.
        Drain = "drain",
        /// Its hash says that it belongs elsewhere.
        Rebalance = "rebalance",
    }

    /// How that ended.
    MoveOutcome {
        /// It lives at another backend.
        Moved = "moved",
        /// It lives where it lived before.
        Stayed = "stayed",
        /// Something of it was under way; it is tried again later.
        Refused = "refused",
        /// It could not be opened anywhere in time.
        Lost = "lost",
    }

    /// What became of a session whose client was lost in the middle of a turn.
    OrphanEnd {
        /// Another connection of its owner attached to it.
        TakenOver = "taken_over",
        /// Nobody came, and the turn had ended.
        Finished = "finished",
        /// Nobody came, and the turn was still running.
        Expired = "expired",
    }

    /// What became of a turn of which nothing was heard.
    StallEnd {
        /// It had ended; what was missed was delivered.
        Finished = "finished",
        /// It was ended with an error.
        Ended = "ended",
    }

    /// What takes backends out and back.
    OperationKind {
        /// One backend was started again by an operator.
        Restart = "restart",
        /// All of them, one after the other.
        RollingRestart = "rolling_restart",
        /// One that was due: its age, its size, its pace.
        Recycle = "recycle",
    }

    /// Why a backend had served long enough.
    RecycleReason {
        /// Its age.
        Age = "age",
        /// The sessions that it had served.
        Sessions = "sessions",
        /// Its memory.
        Memory = "memory",
        /// Its descriptors.
        Descriptors = "descriptors",
        /// It answered health checks more slowly than in its youth.
        Slow = "slow",
    }

    /// How that ended.
    OperationOutcome {
        /// All are back.
        Done = "done",
        /// All are back; the deadline of a drain passed before a backend was empty.
        Late = "late",
        /// It ended at the first backend that failed.
        Failed = "failed",
        /// The proxy stopped before.
        Stopped = "stopped",
    }

    /// What we threw away.
    Dropped {
        /// An answer whose id no request waits for.
        StrayAnswer = "stray_answer",
        /// An answer to a request that was already answered (cancelled, timed out).
        LateAnswer = "late_answer",
        /// A notification that nobody knows.
        UnknownNotification = "unknown_notification",
        /// An event of a session that this client is not attached to.
        Detached = "detached",
        /// A message that this tenant may not see.
        Filtered = "filtered",
        /// A notification that a client may not send.
        Denied = "denied",
        /// A message from a backend that cannot be read.
        Malformed = "malformed",
        /// Anything else.
        Other = "other",
    }

    /// Which rule of the wall between tenants refused something.
    Rule {
        /// The method is not allowed.
        Method = "method",
        /// A param is not allowed.
        Param = "param",
        /// The session is another tenant's, nobody's, or does not exist.
        Session = "session",
        /// The id of a new session is not the tenant's to take.
        NewSession = "new_session",
        /// A wrong token.
        Login = "login",
        /// Too many connections.
        Connections = "connections",
        /// Too many live sessions.
        Sessions = "sessions",
        /// Too many turns at once.
        Turns = "turns",
        /// Too many frames a second.
        Frames = "frames",
        /// Too many bytes a second.
        Bytes = "bytes",
        /// Too many new sessions a minute.
        Creates = "creates",
    }

    /// How a health check ended.
    ProbeOutcome {
        /// Healthy.
        Ok = "ok",
        /// The port refused.
        Refused = "refused",
        /// No answer in time.
        Timeout = "timeout",
        /// TLS with it failed.
        Tls = "tls",
        /// The backend refused our token.
        Unauthenticated = "unauthenticated",
        /// It speaks a protocol version that we do not.
        Version = "version",
        /// It said something that we do not understand.
        Protocol = "protocol",
        /// Its name could not be resolved.
        Unresolved = "unresolved",
        /// Any other failure.
        Error = "error",
    }

    /// What a backend is to placement: exactly one of these is 1.
    BackendState {
        /// Not probed yet.
        Unknown = "unknown",
        /// Takes placements.
        Up = "up",
        /// Takes none.
        Down = "down",
        /// Healthy, and the operator wants no new sessions on it.
        Draining = "draining",
        /// The operator wants no sessions on it, and nothing is left there.
        Drained = "drained",
    }

    /// Which way bytes go, seen from this process.
    Way {
        /// Read by us.
        In = "in",
        /// Written by us.
        Out = "out",
    }

    /// Whom bytes are waiting for.
    Towards {
        /// A client that does not read.
        Client = "client",
        /// A backend that does not read.
        Backend = "backend",
    }
}

impl Reason {
    /// The reason with this label; [`Reason::Other`] when there is none.
    pub fn named(label: &str) -> Self {
        Self::ALL.iter().copied().find(|r| r.label() == label).unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_the_wire_is_a_label() {
        for reason in crate::wire::Reason::ALL {
            assert_eq!(Reason::named(reason.text()).label(), reason.text());
        }
    }

    #[test]
    fn index_is_the_place_in_all() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place);
            assert_eq!(Reason::named(reason.label()), *reason);
        }
        assert_eq!(Reason::named("never heard of"), Reason::Other);
    }
}
