//! The wall between tenants, over the real binary: who gets in, what reaches a backend, what anybody gets to see.

mod flood;
mod free_ids;
mod issuer;
mod jwt;
mod login;
mod matrix;
mod names;
mod posture;
mod quota;
pub mod rig;
mod secrets;
mod sharing;
mod sight;
