//! Who a client is, whose a session is, and what may be done: the wall between tenants, as rules without I/O.
//!
//! # Layout
//! - `login`: tokens, JWTs, and the patience with an address that shows wrong ones.
//! - `naming`: ids that say whose they are; `owners`: ids that were recorded; `shares`: who else may attach.
//! - `policy`: which methods a tenant may call; `guard`: which params.
//! - `quota`: how much and how often.
//! - `wall`: all of it for one pool.

pub mod guard;
