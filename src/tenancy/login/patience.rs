//! How long an address that showed wrong tokens has to wait.

use std::{
    fmt,
    time::{Duration, Instant},
};

use core::net::IpAddr;
use parking_lot::Mutex;

use crate::model;

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
    pub fn delay(&self, address: model::Host, now: Instant) -> Duration {
        let host = Host::of(address);
        let Some(set) = self.set(host) else { return Duration::ZERO };
        let failures =
            set.lock().iter().find(|offender| offender.host == host && !offender.forgotten(now)).map(|o| o.failures);
        failures.map_or(Duration::ZERO, wait)
    }

    /// Counts a failure of `address`. A right token does not take one back: an attacker may have one, too.
    pub fn failed(&self, address: model::Host, now: Instant) {
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

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patience({})", self.len())
    }
}

fn wait(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(FREE + 1) else { return Duration::ZERO };
    FIRST.saturating_mul(1 << doublings.min(4)).min(LONGEST)
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
    /// A user of this machine.
    User(u32),
}

impl Host {
    fn of(host: model::Host) -> Self {
        match host {
            model::Host::Ip(IpAddr::V4(address)) => Self::V4(address.to_bits()),
            model::Host::Ip(IpAddr::V6(address)) => Self::V6((address.to_bits() >> 64) as u64),
            model::Host::User(user) => Self::User(user),
        }
    }

    /// The finaliser of splitmix64: neighbours land in different sets.
    fn mix(self) -> u64 {
        let mut bits = match self {
            Self::V4(bits) => u64::from(bits) | 1 << 63,
            Self::V6(bits) => bits,
            Self::User(user) => u64::from(user) | 1 << 62,
        };
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> model::Host {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn fail(patience: &Patience, address: model::Host, times: u32, now: Instant) {
        for _ in 0..times {
            patience.failed(address, now);
        }
    }

    /// The `at`th address of a network that nobody else here uses.
    fn stranger(at: u32) -> model::Host {
        core::net::Ipv4Addr::from_bits(0x0a00_0000 + at).into()
    }

    #[test]
    fn waits_grow_and_end() {
        let (patience, now) = (Patience::new(), Instant::now());
        let table = [0, 0, 0, 0, 100, 200, 400, 800, 1_000, 1_000, 1_000];
        for wanted in table {
            assert_eq!(patience.delay(ip("192.0.2.1"), now), Duration::from_millis(wanted));
            patience.failed(ip("192.0.2.1"), now);
        }
        assert_eq!(patience.delay(ip("192.0.2.2"), now), Duration::ZERO, "its neighbour has done nothing");
        assert_eq!(wait(u32::MAX), LONGEST);
    }

    #[test]
    fn a_minute_without_failures_is_enough() {
        let (patience, start) = (Patience::new(), Instant::now());
        let address = ip("192.0.2.1");
        fail(&patience, address, 10, start);
        let just_before = start + MEMORY - Duration::from_nanos(1);
        assert_eq!(patience.delay(address, just_before), LONGEST);
        assert_eq!(patience.delay(address, start + MEMORY), Duration::ZERO);
        patience.failed(address, just_before); // The minute counts from the last failure.
        assert_eq!(patience.delay(address, start + MEMORY), LONGEST);
        patience.failed(address, just_before + MEMORY);
        fail(&patience, address, 3, just_before + MEMORY);
        assert_eq!(patience.delay(address, just_before + MEMORY), FIRST, "counted from the start again");
    }

    #[test]
    fn a_clock_that_goes_back_is_no_way_out() {
        let (patience, start) = (Patience::new(), Instant::now());
        fail(&patience, ip("192.0.2.1"), 10, start + MEMORY);
        assert_eq!(patience.delay(ip("192.0.2.1"), start), LONGEST);
    }

    #[test]
    fn hosts_are_told_apart_as_they_are_given_addresses() {
        let same = [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("fe80::1", "fe80::2"),
        ];
        let different = [
            ("2001:db8:1:2::1", "2001:db8:1:3::1"),
            ("192.0.2.1", "192.0.2.2"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2"),
            ("::c000:201:0:0:0:0", "192.0.2.1"), // The same 64 bits, if one looks at the number only.
        ];
        for (pairs, expected) in [(&same[..], LONGEST), (&different[..], Duration::ZERO)] {
            for (bad, other) in pairs {
                let (patience, now) = (Patience::new(), Instant::now());
                fail(&patience, ip(bad), 10, now);
                assert_eq!(patience.delay(ip(other), now), expected, "{bad} and {other}");
            }
        }
    }

    #[test]
    fn a_flood_does_not_hide_an_offender() {
        let (patience, now) = (Patience::new(), Instant::now());
        let offenders: Vec<_> = (1..=200).map(|at| ip(&format!("192.0.2.{at}"))).collect();
        for offender in &offenders {
            fail(&patience, *offender, 10, now);
        }
        for at in 0..300_000 {
            patience.failed(stranger(at), now);
        }
        assert!(patience.len() <= SETS * WAYS);
        assert!(patience.len() > SETS * WAYS * 9 / 10, "{} places are used", patience.len());
        assert!(offenders.iter().all(|offender| patience.delay(*offender, now) == LONGEST));
    }

    #[test]
    fn a_flood_of_networks_is_bounded_too() {
        let (patience, now) = (Patience::new(), Instant::now());
        for at in 0..100_000_u128 {
            patience.failed(core::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | at << 64).into(), now);
        }
        assert!((SETS * WAYS * 9 / 10..=SETS * WAYS).contains(&patience.len()), "{}", patience.len());
    }

    #[test]
    fn forgotten_ones_give_way_first() {
        let (patience, start) = (Patience::new(), Instant::now());
        let set = |address: &model::Host| Host::of(*address).mix() % SETS as u64;
        let first = stranger(0);
        let mut crowd = (1..).map(stranger).filter(|address| set(address) == set(&first));
        fail(&patience, first, 100, start);
        let later = start + MEMORY;
        let others: Vec<_> = crowd.by_ref().take(WAYS - 1).collect();
        for address in &others {
            fail(&patience, *address, 4, later);
        }
        let newcomer = crowd.next().unwrap();
        fail(&patience, newcomer, 5, later);
        assert_eq!(patience.len(), WAYS);
        assert_eq!(patience.delay(newcomer, later), FIRST * 2);
        assert!(others.iter().all(|address| patience.delay(*address, later) == FIRST));
        assert_eq!(patience.delay(first, start), Duration::ZERO, "it gave its place away");
    }
}
