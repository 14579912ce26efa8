//! Why a session changes its home, and what a client has to do for it.

use std::{sync::Arc, time::Instant};

use crate::pool::Member;

/// Why a session changes its home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its home, or the way there, is gone.
    Lost,
    /// Its home is being drained.
    Drain,
    /// Its hash says that it belongs elsewhere.
    Rebalance,
    /// It is to live nowhere until somebody needs it: another one wants its place.
    Evict,
    /// The same, because nobody has used it for long.
    Idle,
    /// Somebody needs it again.
    Wake,
}

impl Cause {
    /// Whether it is to live nowhere.
    pub fn parks(self) -> bool {
        matches!(self, Self::Evict | Self::Idle)
    }
}

/// What a client has to do for a session.
#[derive(Clone, Debug)]
pub enum Step {
    /// Nothing: the session is at home, and so is this client.
    Served,
    /// Hold its requests; if nothing of the session is under way, say so ([`Relocation::quiet`]), otherwise
    /// [`Relocation::refuse`].
    Hold,
    /// Close it at its home, then [`Relocation::closed`].
    Close(Arc<Member>),
    /// Open it somewhere: [`Relocation::opening`], then [`Relocation::opened`].
    Open(Homeless),
    /// It lives again: attach there, then [`Relocation::followed`].
    Follow(Arc<Member>),
    /// Somebody else acts.
    Wait,
    /// It lives nowhere, and stays so until somebody needs it: [`Relocation::wake`].
    Parked,
    /// It could not be opened anywhere.
    Lost,
}

/// A session that is live nowhere.
#[derive(Clone, Debug)]
pub struct Homeless {
    /// Why.
    pub cause: Cause,
    /// Where it lived.
    pub from: Arc<Member>,
    /// Where it should go, if that is settled.
    pub wish: Option<Arc<Member>>,
    /// Backends that failed to open it.
    pub tried: Vec<Arc<str>>,
    /// Nobody has a link to it at its old home any more. While somebody has, it may only be opened there.
    pub everyone_cut: bool,
    /// Since when.
    pub since: Instant,
    /// When it was opened where it lived, if not by its client: what was found of that backend before says nothing.
    pub opened: Option<Instant>,
}
