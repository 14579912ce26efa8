//! Values that every layer shares: names, secrets, health states. No I/O, no clock.

mod identity;
mod secret;

pub use identity::Identity;
pub use secret::Secret;
