//! Values that every layer shares: names, secrets, health states. No I/O, no clock.

mod secret;

pub use secret::Secret;
