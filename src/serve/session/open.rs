//! What is remembered of a request until its answer.

use std::{sync::Arc, time::Instant};

use super::{moving::Errand, sessions::Slot};
use crate::{mux::LinkId, pool::Member, wire::MethodIndex};

/// No link: the request is answered from several (see [`Purpose::Gather`]).
pub const NO_LINK: LinkId = LinkId::MAX;

/// An open request of the client.
#[derive(Debug)]
pub struct Open {
    /// Where it went.
    pub link: LinkId,
    /// Its method.
    pub method: MethodIndex,
    /// When it came.
    pub started: Instant,
    /// What its answer means.
    pub purpose: Purpose,
}

/// What an answer means for us.
#[derive(Debug)]
pub enum Purpose {
    /// Nothing.
    Plain,
    /// It concerns a session of this client.
    On(Slot),
    /// It makes a setting of a session: its method and body, to be made again at a new home.
    Setting(Slot, Box<(MethodIndex, Vec<u8>)>),
    /// It waits for the session's new home.
    Held,
    /// A prompt that waits for another client's turn to end.
    InLine(Slot),
    /// It greets the link.
    Connect,
    /// A prompt is queued.
    Send(Slot),
    /// The session is live for this client; or not, if it was not before.
    Attach {
        /// The session.
        slot: Slot,
        /// It was live for this client before.
        known: bool,
    },
    /// This client has let the session go.
    Detach(Slot),
    /// The session ended for everybody.
    End(Slot),
    /// The session is deleted, and its id is free again.
    Delete(Option<Slot>, Box<str>),
    /// The answer names a session that was made or found on that link.
    Learn,
    /// The session may be on another backend's disk.
    Search(Box<Search>),
    /// Backends are asked about an id first: the place in the client's table.
    Probe(usize),
    /// Answers are gathered: the place in the client's table.
    Gather(usize),
}

/// A search along the hash order (`storage = "local"`).
#[derive(Debug)]
pub struct Search {
    /// The request's body, to send again. Only requests that found nothing are repeated.
    pub body: Vec<u8>,
    /// Backends that were not asked yet, the next one last.
    pub rest: Vec<Arc<Member>>,
    /// The session.
    pub session: String,
    /// Whether a find attaches the client to the session.
    pub attaches: bool,
    /// The session's place in the client's table while it is being attached.
    pub slot: Option<Slot>,
}

/// A request of ours on a link.
#[derive(Debug)]
pub struct Own {
    /// Where it went.
    pub link: LinkId,
    /// What its answer means.
    pub purpose: OwnPurpose,
}

/// What an answer to a request of ours means.
#[derive(Debug)]
pub enum OwnPurpose {
    /// The link is greeted.
    Connect,
    /// A set-up call was replayed.
    Setup,
    /// A part of a gathering.
    Gather(usize),
    /// Whether the backend knows an id.
    Exists(usize),
    /// A session that somebody came back for is let go.
    Yield(Slot),
    /// Whether a turn runs of which nothing was heard.
    Activity(Slot),
    /// Whether a turn still runs that this client did not see all of.
    Turn(Slot),
    /// A session changes its home.
    Move(Slot, Errand),
}
