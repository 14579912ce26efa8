//! Values that every layer shares: names, addresses, secrets. No I/O, no clock.

mod endpoint;
mod identity;
mod network;
mod secret;

pub use endpoint::{Endpoint, Host, Peer, UNIX};
pub use identity::Identity;
pub use network::{Network, NotANetwork};
pub use secret::Secret;
