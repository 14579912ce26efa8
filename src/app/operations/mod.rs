//! What an operator does to backends: drain, undrain, restart, rolling restart.
//!
//! # Layout
//! - `running`: at most one operation a pool takes backends out and back; [`Operations`] knows which, and how the last ones ended.
//! - `admission`: drains begun and lifted, never so that the pool is left without a backend.
//! - `outage`: one backend taken out, worked on, and taken back.
//! - `restart`: restarts and rolling restarts.
//! - `orders`: what the admin listener asks for; `refusal`: why it is not done.

mod admission;
mod orders;
mod outage;
mod refusal;
mod restart;
mod running;
#[cfg(test)]
mod tests;

pub(in crate::app) use self::{
    admission::check_room,
    outage::{Outage, drained, take_out_and_back},
    refusal::{Failure, Refusal},
    running::{Kind, Operations, OperationsSettings, Progress, Running, Step},
};
