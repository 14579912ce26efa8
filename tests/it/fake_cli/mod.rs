//! A scripted Copilot CLI server on loopback: as fast as Rust, and able to fail in every way a process can.
//!
//! By default it answers as the real one (1.0.102, shapes and key order copied from its wire on 2026-11-24): sessions are
//! live in one fake only, are kept in a [`Storage`] after their first turn, and end with their last connection. A test
//! then bends it: [`Act`] for one method, [`Step`] for the turn, and faults for the whole process.

mod conn;
mod control;
mod gate;
mod homes;
mod live;
mod log;
mod lookups;
mod methods;
mod opening;
mod outbox;
mod pending;
mod reader;
mod record;
mod script;
mod server;
mod shapes;
mod storage;
mod tests;
mod tests_moving;
mod turn;

pub use gate::Gate;
pub use outbox::Close;
pub use script::{Act, Step};
pub use server::{FakeCli, Options};
pub use storage::Storage;
