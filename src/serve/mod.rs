//! Listeners and what happens behind them.
//!
//! # Layout
//! - [`accept`]: the accept loop of both modes, a pingora service.
//! - `keepalive`: how both find peers that vanished.
//! - [`connection`]: connection mode (layer 4): moves bytes, knows no protocol.

pub mod accept;
pub mod connection;
mod keepalive;
pub mod session;
