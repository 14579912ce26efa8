//! Which backend gets a session: hashing, the bound on load, round robin, least sessions.
//!
//! Pure: no clock, no sockets, no randomness. Two proxies that know the same backends and the same key give the
//! same answer, today and after a restart, because everything is computed from names with a fixed seed.
//!
//! # Layout
//! | file | idea |
//! | --- | --- |
//! | `rendezvous` | rank and order by highest random weight |
//! | `logarithm` | the natural logarithm, bit for bit the same everywhere |
//! | `bound` | consistent hashing that skips a full backend |
//! | `round_robin` | smooth weighted round robin |
//! | `least` | the backend with the least load for its weight |

mod bound;
mod least;
mod logarithm;
mod rendezvous;
mod round_robin;

pub use bound::{LoadBound, bounded};
pub use least::least;
pub use rendezvous::{order, rank};
pub use round_robin::RoundRobin;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Seed of the hash of keys. Part of the contract between proxies: never change it.
const KEY_SEED: u64 = 0x7069_6c6f_7466_6973;

/// Seed of the hash of names; not the seed of the keys, so that a session called like a backend is nothing special.
const NAME_SEED: u64 = 0x6c6f_6164_6261_6c61;

/// Steps of one unit of weight while a backend ramps up.
const WEIGHT_STEPS: f64 = 1000.0;

/// A backend as the policies see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// [`name_seed`] of its name; also what tells two candidates apart.
    pub seed: u64,
    /// Relative share, at least 1.
    pub weight: u32,
    /// What it carries now: sessions or links.
    pub load: u64,
    /// How far it has come in its slow start, over 0 and up to 1 (done).
    ///
    /// It scales the weight in round robin, in least sessions and in the bound, but not in the hash order: each proxy sees
    /// a backend recover at its own moment, and proxies whose orders differ would look for a session in the wrong place.
    /// The bound is local anyhow (it counts this proxy's load), so there the ramp does no such harm: a recovering
    /// backend keeps its keys, only fewer of the new ones are let in.
    pub ramp: f64,
}

impl Candidate {
    /// The weight scaled by the ramp, in thousandths, never 0: a backend that takes part gets something.
    fn share(&self) -> u64 {
        let ramp = if self.ramp.is_finite() { self.ramp.clamp(0.0, 1.0) } else { 1.0 };
        ((f64::from(self.weight.max(1)) * ramp * WEIGHT_STEPS) as u64).max(1)
    }
}

/// Hash of a placement key (a session id, a client address).
pub fn hash_key(key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, KEY_SEED)
}

/// Hash of a backend's name, computed once when the backend is made.
pub fn name_seed(name: &str) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), NAME_SEED)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn candidate(name: &str, weight: u32, load: u64) -> Candidate {
        Candidate { seed: name_seed(name), weight, load, ramp: 1.0 }
    }

    #[test]
    fn a_share_is_the_weight_scaled_and_never_nothing() {
        assert_eq!(candidate("a", 2, 0).share(), 2000);
        assert_eq!(Candidate { ramp: 0.1, ..candidate("a", 2, 0) }.share(), 200);
        assert_eq!(Candidate { ramp: 0.0, ..candidate("a", 2, 0) }.share(), 1);
        assert_eq!(Candidate { ramp: f64::NAN, ..candidate("a", 2, 0) }.share(), 2000);
    }

    /// The values are a contract between proxies of different versions: a change here moves every session.
    #[test]
    fn hashes_are_pinned() {
        // Computed with python-xxhash as well.
        assert_eq!(hash_key(b""), 12_564_842_842_676_133_986);
        assert_eq!(hash_key(b"7d9a2c1e-5b0f-4b7e-9a51-2f1f6c1c8d11"), 7_530_689_718_037_441_640);
        assert_eq!(name_seed("cli-1"), 4_601_496_012_679_176_270);
        assert_eq!(name_seed("cli-2"), 2_580_598_015_045_184_397);
    }
}
