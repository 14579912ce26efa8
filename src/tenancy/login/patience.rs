//! How long an address that showed wrong tokens has to wait.

use core::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures that cost nothing.
const FREE: u32 = 3;
/// The wait after the first failure that costs; each further one doubles it.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(1);
/// How long an address has to stay without failures to be forgotten.
const MEMORY: Duration = Duration::from_secs(60);
/// Addresses of one set, found by looking at all of them.
const WAYS: usize = 8;
/// Sets, each with its own lock: `SETS * WAYS` = 65,536 addresses.
const SETS: usize = 8_192;

/// Counts failed logins per address: IPv4 addresses one by one, IPv6 by /64, which is what one host is given.
///
/// An address can only stand in one small set, so that every step looks at no more than eight. A new address takes a
/// forgotten place, else the place of the one with the fewest failures (the longest quiet of these). A flood of new
/// addresses therefore pushes out its own kind, and the one that tries most stays. The hash has no secret: who picks
/// addresses of one set can only make us forget failures of addresses that are as bad.
pub struct Patience {
    sets: Box<[Mutex<Vec<Offender>>]>,
}

impl Patience {
    /// Nobody has failed.
    pub fn new() -> Self {
        Self { sets: (0..SETS).map(|_| Mutex::new(Vec::new())).collect() }
    }

    /// How long `address` has to wait at `now`: nothing for 3 failures, then 100 ms doubling up to 1 s.
    pub fn delay(&self, address: IpAddr, now: Instant) -> Duration {
        let host = Host::of(address);
        let Some(set) = self.set(host) else { return Duration::ZERO };
        let failures =
            set.lock().iter().find(|offender| offender.host == host && !offender.forgotten(now)).map(|o| o.failures);
        failures.map_or(Duration::ZERO, wait)
    }

    /// Counts a failure of `address`. A right token does not take one back: an attacker may have one, too.
    pub fn failed(&self, address: IpAddr, now: Instant) {
        let host = Host::of(address);
        let Some(set) = self.set(host) else { return };
        let mut set = set.lock();
        let fresh = Offender { host, failures: 1, last: now };
        if let Some(known) = set.iter_mut().find(|offender| offender.host == host) {
            let failures = if known.forgotten(now) { 1 } else { known.failures.saturating_add(1) };
            *known = Offender { failures, ..fresh };
        } else if set.len() < WAYS {
            set.push(fresh);
        } else if let Some(least) = set.iter_mut().min_by_key(|offender| offender.rank(now)) {
            *least = fresh;
        }
    }

    /// How many addresses are remembered, forgotten ones whose place nobody took included. At most 65,536.
    pub fn len(&self) -> usize {
        self.sets.iter().map(|set| set.lock().len()).sum()
    }

    /// Whether nobody has failed yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn set(&self, host: Host) -> Option<&Mutex<Vec<Offender>>> {
        let place = usize::try_from(host.mix() % SETS as u64).ok()?;
        self.sets.get(place)
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::new()
    }
}

fn wait(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(FREE + 1) else { return Duration::ZERO };
    FIRST.saturating_mul(1 << doublings.min(4)).min(LONGEST)
}

impl std::fmt::Debug for Patience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patience").field("addresses", &self.len()).finish()
    }
}

struct Offender {
    host: Host,
    failures: u32,
    last: Instant,
}

impl Offender {
    fn forgotten(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= MEMORY
    }

    /// The lowest goes first.
    fn rank(&self, now: Instant) -> (u32, Instant) {
        (if self.forgotten(now) { 0 } else { self.failures }, self.last)
    }
}

/// What counts as one host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    V4(u32),
    /// The first 64 bits.
    V6(u64),
}

impl Host {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }

    /// The finaliser of splitmix64: neighbours land in different sets.
    fn mix(self) -> u64 {
        let mut bits = match self {
            Self::V4(bits) => u64::from(bits) | 1 << 63,
            Self::V6(bits) => bits,
        };
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }
}
