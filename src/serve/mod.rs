//! Listeners and what happens behind them.
//!
//! # Layout
//! - [`accept`]: the accept loop of both modes, a pingora service.
//! - `door`, `lobby`: addresses that flood, clients that nobody knows yet; [`proxy_header`]: the PROXY protocol.
//! - `keepalive`: how both find peers that vanished.
//! - [`tunnel`]: plain connections of this machine, carried to a proxy over TLS.
//! - [`connection`]: connection mode (layer 4): moves bytes, knows no protocol.

pub mod accept;
pub mod connection;
mod door;
mod keepalive;
mod lobby;
pub mod proxy_header;
pub mod session;
pub mod tunnel;
