//! One client connection as tables without I/O: which request waits for which link, whose server request is whose, what a
//! new link has to be told, and how the answers of several backends become one. `serve::session` drives them.

mod asks;
mod gather;
mod requests;
mod setup;

pub use asks::{Ask, Asks};
pub use gather::{Asked, Gather, Limit, Pick, session_id_of};
pub use requests::{OwnRequests, Requests};
pub use setup::Setup;

/// A link's place in its client's table.
pub type LinkId = u16;
