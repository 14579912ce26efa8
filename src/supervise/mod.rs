//! CLI processes that we start ourselves, keep alive, and never leave behind.
//!
//! Between us and each CLI stands a small **guard** process (our own binary). It adopts everything that the CLI starts and
//! ends all of it when we ask, or when we are gone: its control channel is a socket to us, which the
//! kernel closes however we die. And should the guard itself be killed, the kernel kills the CLI (parent-death signal)
//! and the supervisor what is left of its process group.
//!
//! # Layout
//! | file | idea |
//! | --- | --- |
//! | `supervisor` | the processes of one pool: start, stop, status |
//! | `keeper` | the task that keeps one member's process alive |
//! | `process` | one process, seen from here |
//! | `guard` | one process, seen from its guard |
//! | `descendants` | who belongs to a guard, from `/proc` |
//! | `outfit` | what one identity's CLI is given |
//! | `usage` | what one process and its descendants use |
//! | `hook` | the operator's command that restarts a backend which we did not start |
//! | `spare` | a process that waits for its identity; `spare.js` runs in it |
//! | `listener` | whose a listening port is |
//! | `ports` | free ports of a range |
//! | `backoff` | pauses between restarts |
//! | `output` | a process's output in our log |
//! | `redact` | what must not be in it |

mod backoff;
mod descendants;
pub mod guard;
mod hook;
mod keeper;
mod listener;
mod outfit;
mod output;
#[cfg(test)]
mod own_tests;
mod ports;
mod process;
mod redact;
mod settings;
mod spare;
mod supervisor;
#[cfg(test)]
mod supervisor_tests;
mod usage;

pub use hook::{Hook, HookCall, HookError};
pub use outfit::{Kit, OutfitError, OutfitSettings, Outfitter, TokenError, TokenPrint, TokenSource};
pub use ports::Ports;
pub use redact::Redactor;
pub use settings::{Credentials, EnvValue, Limits, SuperviseError, SuperviseSettings};
pub use spare::{Spare, SpareError};
pub use supervisor::{ChildState, ChildStatus, RestartError, Supervisor};
pub use usage::{Processes, Usage};
