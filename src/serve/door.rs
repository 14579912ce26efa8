//! The door: an address whose clients were refused by the hundred gets only so many new connections a second, the others are
//! closed before anything is done for them. A flood of connections costs the neighbours what is done for each of them: at
//! 23,000 a second, each accepted, asked and refused, their p99 became five times the quiet one (2026-11-25, one core).

use std::time::{Duration, Instant};

use ahash::AHashMap;
use parking_lot::Mutex;

use crate::model::Host;

/// Counts begin anew after this long.
const WINDOW: Duration = Duration::from_secs(1);

/// So many refusals in a window are a flood: wrong tokens, or connections over a tenant's quota.
const FLOOD: u32 = 100;

/// New connections in a window of an address that floods. The first ones of a window get in, so somebody else behind the
/// same address gets through as well.
const ADMITTED: u32 = 500;

/// An address is taken for a flooder for so long after its last flood.
const MEMORY: Duration = Duration::from_secs(5);

/// Addresses that are remembered; beyond that those that are quiet go.
const MOST: usize = 65_536;

/// What addresses did lately.
#[derive(Debug, Default)]
pub struct Door {
    addresses: Mutex<AHashMap<Host, Caller>>,
}

#[derive(Debug)]
struct Caller {
    since: Instant,
    arrivals: u32,
    refusals: u32,
    floods_until: Option<Instant>,
}

impl Door {
    /// Whether a new connection from `address` gets in.
    pub fn admits(&self, address: Host, now: Instant) -> bool {
        self.note(address, now, |caller| {
            caller.arrivals = caller.arrivals.saturating_add(1);
            caller.arrivals <= ADMITTED || caller.floods_until.is_none_or(|until| until <= now)
        })
    }

    /// A client from `address` was refused: its token was wrong, or its tenant has too many connections.
    pub fn refused(&self, address: Host, now: Instant) {
        self.note(address, now, |caller| {
            caller.refusals = caller.refusals.saturating_add(1);
            if caller.refusals >= FLOOD {
                caller.floods_until = Some(now + MEMORY);
            }
        });
    }

    fn note<R>(&self, address: Host, now: Instant, change: impl FnOnce(&mut Caller) -> R) -> R {
        let mut addresses = self.addresses.lock();
        if addresses.len() >= MOST {
            addresses.retain(|_, caller| !caller.is_quiet(now));
        }
        let new = || Caller { since: now, arrivals: 0, refusals: 0, floods_until: None };
        let caller = addresses.entry(address).or_insert_with(new);
        if now.saturating_duration_since(caller.since) >= WINDOW {
            (caller.since, caller.arrivals, caller.refusals) = (now, 0, 0);
        }
        change(caller)
    }
}

impl Caller {
    fn is_quiet(&self, now: Instant) -> bool {
        let old = now.saturating_duration_since(self.since) >= WINDOW;
        old && self.floods_until.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Host = Host::Ip(std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1)));
    const OTHER: Host = Host::User(1);

    fn admitted(door: &Door, address: Host, now: Instant, count: usize) -> usize {
        (0..count).filter(|_| door.admits(address, now)).count()
    }

    #[test]
    fn only_those_who_were_refused_by_the_hundred_are_kept_out() {
        let (door, now) = (Door::default(), Instant::now());
        assert_eq!(admitted(&door, ONE, now, 10_000), 10_000, "a herd that is welcome");
        (0..FLOOD - 1).for_each(|_| door.refused(ONE, now));
        assert!(door.admits(ONE, now));
        door.refused(ONE, now);
        assert!(!door.admits(ONE, now));
        assert_eq!(admitted(&door, OTHER, now, 1_000), 1_000, "nobody else notices");
        let next = now + WINDOW;
        assert_eq!(admitted(&door, ONE, next, 10_000), ADMITTED as usize, "some get through in each window");
        let later = now + MEMORY;
        assert_eq!(admitted(&door, ONE, later, 10_000), 10_000, "and it is forgotten");
    }

    #[test]
    fn the_quiet_are_forgotten_first() {
        let (door, now) = (Door::default(), Instant::now());
        (0..FLOOD).for_each(|_| door.refused(ONE, now));
        for number in 0..MOST as u32 {
            door.admits(std::net::IpAddr::V4(number.to_be_bytes().into()).into(), now);
        }
        door.admits(OTHER, now + WINDOW);
        let addresses = door.addresses.lock();
        assert!(addresses.len() <= 2 && addresses.contains_key(&ONE));
    }
}
