//! Backends as peers on the network: finding their addresses and asking whether they are well.
//!
//! # Layout
//! | file | idea |
//! | --- | --- |
//! | `probe` | the task that watches one backend |
//! | `probe_link` | the connection that it asks on |
//! | `discovery` | who the backends of a pool are, while that changes |
//! | `errand` | a short visit on the proxy's own behalf |
//! | `talk` | what both of them speak |
//! | `entries` | a list that is read as it comes |
//! | `finding` | what a check can find, a closed set |
//! | `socket` | a connection of any kind; `dialer`: how backends are reached |
//! | `tls` | TLS on sockets, from files that may change |
//! | `resolve` | the task that keeps a name's address |

mod dialer;
pub mod discovery;
mod entries;
mod errand;
pub mod finding;
pub mod probe;
mod probe_link;
#[cfg(test)]
mod probe_tests;
pub mod resolve;
mod socket;
mod talk;
pub mod tls;

pub use dialer::Dialer;
pub use errand::{Errand, ErrandError, ErrandSettings};
pub use finding::Finding;
pub use probe::{ProbeObserver, ProbeOutcome, ProbeSettings};
pub use socket::{Plain, Socket};
