//! Pools: interchangeable backends, their live counters and the verdicts on them.

mod member;

pub use member::{Admission, Member, Verdict};
