//! `[pool.NAME.health]`: when a backend is up.

use std::time::Duration;

use super::{HOUR, ZERO, ms};
use crate::config::{
    kind::{choice, count, duration, number, one_of, switch, table},
    section::section,
};

section! {
    /// How the backends of a pool are checked: `connect` once, then `ping`, on a connection of our own.
    pub struct Health {
        /// Time between two checks of one backend.
        pub interval: Duration = duration(ms(10), HOUR), text("5s");
        /// How long a check may take.
        pub timeout: Duration = duration(ms(10), HOUR), text("2s");
        /// Good checks in a row that bring a backend up.
        pub rise: u32 = count::<u32>(1, 1000), value("2");
        /// Failed checks in a row that take it down.
        pub fall: u32 = count::<u32>(1, 1000), value("3");
        /// The part of `interval` by which checks are spread at random, so that they do not come in step.
        pub jitter: f64 = number(0.0, 1.0, false), value("0.1");
        /// The protocol versions that a backend may speak (`protocolVersion` in its answer to `connect`); others keep it down.
        pub protocol_version: ProtocolRange = table::<ProtocolRange>(), value("{}");
        /// How long a backend that came up takes to get its full share of new sessions. 0s: at once.
        pub slow_start: Duration = duration(ZERO, HOUR), text("30s");
        /// Percent of a pool: when fewer of its backends are up, all that are not in drain get sessions. 0: never.
        pub panic_threshold: u32 = count::<u32>(0, 100), value("1");
        /// Whether a refused or reset connection of a client brings a check forward.
        pub passive: bool = switch(), value("true");
        /// What happens to the open connections of a backend that went down but did not close them.
        pub on_down: OnDown = one_of::<OnDown>(), text("keep");
    }
}

section! {
    /// A range of protocol versions, both ends included.
    pub struct ProtocolRange {
        /// The lowest version.
        pub min: u32 = count::<u32>(1, 1000), value("2");
        /// The highest version.
        pub max: u32 = count::<u32>(1, 1000), value("3");
    }
}

choice! {
    /// What happens to the open connections of a backend that went down.
    pub enum OnDown {
        /// they stay: the backend may only be slow
        Keep = "keep",
        /// they are closed and their requests are answered with an error
        Cut = "cut",
    }
}
