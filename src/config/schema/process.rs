//! `[runtime]`, `[log]`, `[admin]`, `[shutdown]`.

use std::{net::SocketAddr, time::Duration};

use super::{HOUR, ZERO, ms};
use crate::config::{
    kind::{bind, choice, count, duration, log_filter, one_of, optional, switch},
    section::section,
};

section! {
    /// The process itself.
    pub struct Runtime {
        /// Threads that move bytes. Without it: one for each core.
        pub worker_threads: Option<usize> = optional(count::<usize>(1, 1024)), absent("4");
    }
}

section! {
    /// The log, which goes to standard error.
    pub struct Log {
        /// How a line looks.
        pub format: LogFormat = one_of::<LogFormat>(), text("text");
        /// What is logged: a level, or levels by module.
        pub level: String = log_filter(), text("info");
    }
}

choice! {
    /// How a line of the log looks.
    pub enum LogFormat {
        /// for people
        Text = "text",
        /// one object a line, for collectors
        Json = "json",
    }
}

section! {
    /// The address for operators: /livez, /readyz, /metrics, /status. It asks for no password, so keep it private.
    pub struct Admin {
        /// Where to listen.
        pub bind: SocketAddr = bind(), text("127.0.0.1:4320");
        /// Whether metrics have a series for each tenant. Who may read them then learns the tenants' names.
        pub tenant_metrics: bool = switch(), value("false");
    }
}

section! {
    /// What happens between SIGTERM and the end of the process.
    pub struct Shutdown {
        /// How long running turns may take to finish; what is left then is answered with an error. 0s: at once.
        pub drain_timeout: Duration = duration(ZERO, HOUR), text("30s");
        /// How long /readyz fails before the listeners close, so that a load balancer in front can turn away first.
        pub readiness_lead: Duration = duration(ZERO, HOUR), text("0s");
        /// How long the new process of an upgrade may take to be ready. If it is not, the old one goes on serving.
        pub upgrade_timeout: Duration = duration(ms(100), HOUR), text("30s");
    }
}
