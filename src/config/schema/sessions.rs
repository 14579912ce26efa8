//! `[pool.NAME.sessions]`: how many sessions live at a time, and what becomes of those that nobody uses.

use std::time::Duration;

use super::{DAY, HOUR, ZERO, ms};
use crate::config::{
    kind::{choice, count, duration, ephemeral, one_of},
    section::section,
};

section! {
    /// How many sessions live at a time, and what becomes of those that nobody uses. A session that makes way is closed at its
    /// backend, kept by pilotfish with all its clients, and resumed unseen at its next message.
    pub struct Sessions {
        /// Live sessions on one backend, counted by this pilotfish. 0: no limit.
        pub max_live_sessions: u32 = count::<u32>(0, 1_000_000), value("50");
        /// Live sessions in the whole pool, counted by this pilotfish. 0: no limit.
        pub max_live_sessions_total: u32 = count::<u32>(0, 10_000_000), value("0");
        /// What happens to a session that would be one too many.
        pub evict: Evict = one_of::<Evict>(), text("oldest-idle");
        /// How long a session waits for a place before it is refused.
        pub queue_timeout: Duration = duration(ms(10), HOUR), text("30s");
        /// After how long an idle session is closed at its backend; it is kept, and resumed when it is needed. 0s: never.
        pub idle_timeout: Duration = duration(ZERO, 366 * DAY), text("30m");
        /// Which sessions, created through pilotfish, are deleted when nobody has had them for as long as the pool's `linger`.
        pub ephemeral: Vec<String> = ephemeral(), text("unnamed");
        /// Who may send prompts to a session that several clients share while a turn of it runs.
        pub lock: Lock = one_of::<Lock>(), text("off");
        /// How long a prompt waits for another client's turn to end.
        pub lock_timeout: Duration = duration(ms(10), DAY), text("300s");
    }
}

choice! {
    /// What happens to a session that would be one too many.
    pub enum Evict {
        /// the idle session of the same tenant that was not used for longest makes way; if there is none, it waits for a place
        OldestIdle = "oldest-idle",
        /// it is refused
        Reject = "reject",
        /// it waits for a place
        Queue = "queue",
    }
}

choice! {
    /// Who may send prompts to a session while another client's turn runs.
    pub enum Lock {
        /// anybody: the runtime queues or steers as it is told
        Off = "off",
        /// only the client whose turn it is; the others are refused
        Reject = "reject",
        /// only the client whose turn it is; the others wait in line
        Queue = "queue",
        /// the same, and what the client whose turn it is sends meanwhile steers its turn
        SteerOwn = "steer-own",
    }
}
