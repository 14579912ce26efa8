//! Whether a backend takes placements: the verdict on it, its slow start, when not to believe the verdicts, and when it has
//! served long enough.
//!
//! Pure: the moment and the random number are arguments, so every rule here is tested without waiting.

mod checker;
mod pace;
mod panic;
mod tempo;
mod wear;

pub use checker::{Change, Checker, Outcome, Thresholds};
pub use pace::{jittered, ramp};
pub use panic::{eligible, panicking};
pub use tempo::{Paces, Tempo};
pub use wear::{Due, WearLimits, Worn, due};

/// What health says of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// Not probed yet: takes no placements.
    Unknown = 0,
    /// Takes placements.
    Up = 1,
    /// Takes none.
    Down = 2,
}

impl Verdict {
    /// The word for it in `/status` and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}
