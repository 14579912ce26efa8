//! `[pool.NAME.sessions]`: how long sessions live, and for whom.

use crate::config::{kind::ephemeral, section::section};

section! {
    /// How long sessions live.
    pub struct Sessions {
        /// Which sessions are deleted when their last client has gone for as long as the pool's `linger`: "unnamed" (those whose
        /// client gave no id, or a random UUID, as the SDKs do where their application gives none), "none", or those whose ids
        /// match a pattern such as "tmp-*". A list is any of these. Only sessions that were created through pilotfish.
        pub ephemeral: Vec<String> = ephemeral(), text("unnamed");
    }
}
