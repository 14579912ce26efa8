//! `[pool.NAME.cleanup]`: sessions that nobody has used for long are deleted.

use std::time::Duration;

use super::{DAY, ms};
use crate::config::{
    kind::{duration, id_pattern, list, number, optional, switch},
    section::section,
};

section! {
    /// Sessions that nobody has used for long are deleted at the backends, also those that pilotfish never saw; never one that is
    /// live anywhere. Without a `ttl` there is no clean-up.
    pub struct Cleanup {
        /// How long a session is kept after its last use.
        pub ttl: Option<Duration> = optional(duration(ms(1000), 36_600 * DAY)), absent("\"30d\"");
        /// From the end of one run to the begin of the next.
        pub interval: Duration = duration(ms(1000), 366 * DAY), text("10m");
        /// Whether runs only report what they would delete.
        pub dry_run: bool = switch(), value("false");
        /// Sessions that are kept however old they are; `*` stands for anything.
        pub exclude: Vec<String> = list(id_pattern()), value("[]");
        /// Deletions a second, at most.
        pub rate: f64 = number(0.01, 1000.0, false), value("5.0");
    }
}
