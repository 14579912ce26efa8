//! Sessions: where each one lives (its pin), who is attached to it, the turn that runs on it, and how it changes its home.
//!
//! # Layout
//! - `registry`, `live`: the pins, and the one record of a live session, `attachment`: a client's hold on it; `berth`: in which of its home's incarnations; `turn`, `bell`, `backlog`, `adopt`.
//! - [`relocation`]: its way to another home, or to rest.
//! - [`room`]: seats at the backends; who makes way.
//! - [`lease`], `keeper`, `ticket`, `untold`: what several proxies agree on through the store.
//! - [`expiry`], `departed`: sessions that end by themselves.

mod adopt;
mod attachment;
mod backlog;
mod bell;
mod berth;
mod departed;
pub mod expiry;
mod keeper;
pub mod lease;
mod left;
mod live;
mod registry;
pub mod relocation;
pub mod room;
mod teller;
mod ticket;
mod turn;
mod untold;

pub use attachment::Attachment;
pub use backlog::Backlog;
pub use bell::Bell;
pub use departed::{Condemned, Departed};
pub use keeper::Keeper;
pub use lease::{Leases, OnLoss};
pub use live::Live;
pub use registry::{Census, Claim, Registry};
pub use relocation::Relocation;
pub use room::{Bearer, Evict, Room, RoomSettings, Seat};
pub use ticket::Ticket;
pub use turn::{Ended, EventKind, Turn, TurnEnd};

use ahash::AHashSet;

/// Whether `text` is a session id as the runtime takes it: `^[A-Za-z0-9_-]{1,128}$`. Longer ones (252 and above) leave
/// stray folders behind at the runtime (measured on 1.0.102).
pub fn is_session_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The distinct session ids of a list, in order.
pub fn distinct(ids: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = AHashSet::new();
    ids.into_iter().filter(|id| seen.insert(id.clone())).collect()
}
