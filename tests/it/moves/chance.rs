//! Random numbers that are the same in every run with the same seed.

/// An xorshift generator.
pub struct Chance(u64);

impl Chance {
    /// With `PILOTFISH_SEED`, or `seed`; it is printed, so that a failure can be had again.
    pub fn new(seed: u64) -> Self {
        let seed = std::env::var("PILOTFISH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(seed);
        println!("PILOTFISH_SEED={seed}");
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// One of `0..end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }
}

/// How often something is tried: `usual`, or what the environment variable says.
pub fn rounds(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
