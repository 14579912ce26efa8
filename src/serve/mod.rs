//! Listeners and what happens behind them.
//!
//! # Layout
//! - [`accept`]: the accept loop of both modes, a pingora service.
//! - [`connection`]: connection mode (layer 4): moves bytes, knows no protocol.

pub mod accept;
pub mod connection;
pub mod session;
