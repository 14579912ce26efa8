//! `[pool.NAME.recycle]`: backends that have served long enough are started again.

use std::time::Duration;

use super::{DAY, HOUR, ms};
use crate::config::{
    kind::{count, duration, number, optional, size, words},
    section::section,
};

section! {
    /// When a backend has served long enough: it is drained, started again, and takes sessions again with a slow start. Only one
    /// of the pool at a time, and only while another one takes sessions. Without a limit there is no recycling.
    pub struct Recycle {
        /// The age of its process, less up to a tenth of it by chance.
        pub max_age: Option<Duration> = optional(duration(ms(1000), 366 * DAY)), absent("\"1d\"");
        /// Sessions that were created, resumed or moved there.
        pub max_sessions: Option<u64> = optional(count::<u64>(1, 1_000_000_000)), absent("1000");
        /// Resident memory of its processes. Only for supervised backends.
        pub max_memory: Option<usize> = optional(size(1 << 20, 1 << 44)), absent("\"2GiB\"");
        /// Open descriptors of a process of it. Only for supervised backends.
        pub max_descriptors: Option<u64> = optional(count::<u64>(16, 10_000_000)), absent("800");
        /// How many times as long as in its youth a health check of it takes, by the medians of its first 10 and last 5 checks.
        pub slow_probe: Option<f64> = optional(number(1.1, 1000.0, false)), absent("5.0");
        /// From one look at the backends to the next.
        pub check_interval: Duration = duration(ms(100), HOUR), text("10s");
        /// Starts a backend again that is not supervised; PILOTFISH_BACKEND, _ADDRESS, _POOL and _REASON tell it which and why.
        pub on_recycle: Option<Vec<String>> = optional(words()), absent("[\"/usr/local/bin/restart-cli\"]");
        /// How long that command may take before it is killed.
        pub hook_timeout: Duration = duration(ms(100), HOUR), text("60s");
    }
}

impl Recycle {
    /// Whether there is any limit.
    pub fn limits(&self) -> bool {
        let Self { max_age, max_sessions, max_memory, max_descriptors, slow_probe, .. } = self;
        let counts = max_sessions.is_some() || max_memory.is_some() || max_descriptors.is_some();
        counts || max_age.is_some() || slow_probe.is_some()
    }
}
