//! Values that every layer shares: names, addresses, secrets. No I/O, no clock.

mod endpoint;
mod identity;
mod secret;

pub use endpoint::{Endpoint, Host, Peer, UNIX};
pub use identity::Identity;
pub use secret::Secret;
