//! A new process takes our place: it gets the listening sockets and what we know, and we drain.
//!
//! # Layout
//! - `program`: what is started; `folder`: the private folder of the two sockets between the processes.
//! - `talk`: what they say to each other, a line each; `sockets`: the listeners on their way; `records`: pins, owners, shares.
//! - `predecessor`: the old one's side; `successor`: the new one's.
//! - `state`: how it goes, for operators; `manager`: what a service manager is told.

mod folder;
pub(super) mod manager;
mod predecessor;
mod program;
mod records;
mod sockets;
mod state;
mod successor;
mod talk;

use std::{io, process::ExitStatus, time::Duration};

use thiserror::Error;

pub use program::Program;
pub(super) use {
    predecessor::{HandedOver, hand_over},
    sockets::{Named, take},
    state::Upgrade,
    successor::{Arrival, refuse},
};

/// Why no new process took our place, or this one cannot take another's. Whoever served before goes on serving.
#[derive(Debug, Error)]
pub enum UpgradeError {
    /// This process cannot be replaced.
    #[error("{0}")]
    NotHere(&'static str),
    /// No place for the sockets between the processes.
    #[error("no private folder for the hand-over in {tried}: {source}")]
    Folder {
        /// Where it was tried.
        tried: String,
        /// The system's reason for the last one.
        source: io::Error,
    },
    /// The program cannot be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The new process ended before it was ready.
    #[error("the new process ended before it was ready ({0}); its own lines say why")]
    Ended(ExitStatus),
    /// The new process says why it cannot.
    #[error("the new process refused: {0}")]
    Refused(String),
    /// It took too long.
    #[error("the new process was not ready within {limit:?}; it stopped at: {step}")]
    TooLate {
        /// What it was given.
        limit: Duration,
        /// How far it came.
        step: &'static str,
    },
    /// The processes do not understand each other, or one is gone.
    #[error("the talk between the old and the new process broke off: {0}")]
    Talk(#[from] io::Error),
}
