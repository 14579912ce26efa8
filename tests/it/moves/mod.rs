//! What happens to sessions and turns when backends die, drain and return, and when clients are lost: the real binary between raw
//! clients and scripted CLIs that count what was executed, and who had a session live.

pub mod chance;
pub mod checks;
mod death;
mod drained;
mod history;
mod hung;
mod kills;
mod leaving;
mod local;
mod lost;
mod missed;
mod orphans;
mod placement;
mod recycled;
mod stalled;
