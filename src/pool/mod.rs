//! Pools: interchangeable backends, their live counters and the verdicts on them.
//!
//! # Layout
//! | file | idea |
//! | --- | --- |
//! | `member` | one backend: address, verdict, counters |
//! | `drain` | why a member is drained, since when and how long |
//! | `life` | since when its process serves, and how it has aged |
//! | `slot` | guards that move the counters |
//! | `placement` | who gets a session, and where to look for one |
//! | `pacer` | so much a second |
//! | `settings` | what can be set |

mod drain;
mod life;
mod member;
mod pacer;
mod placement;
mod settings;
mod slot;

pub use drain::{Drain, DrainCause};
pub use life::{Life, Lived};
pub use member::{Admission, Identity, LastCheck, Member};
pub use pacer::Pacer;
pub use placement::{Pool, PoolCounts};
pub use settings::{HashKey, Load, Policy, PoolSettings, Storage};
pub use slot::{LinkSlot, SessionSlot, TurnSlot};

pub use crate::health::Verdict;
