//! Which client's link tells of a session's turn: two links of one session deliver the same events at different times, so one of
//! them counts.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The client whose link tells; 0: the next one that hears something.
#[derive(Debug, Default)]
pub(super) struct Teller {
    client: AtomicU32,
    /// Somebody went in the middle of a turn.
    missed: AtomicBool,
}

impl Teller {
    /// Whether `client` tells.
    pub fn is(&self, client: u32) -> bool {
        let teller = self.client.compare_exchange(0, client, Ordering::AcqRel, Ordering::Acquire);
        teller.is_ok() || teller == Err(client)
    }

    /// The link of `client` is gone. `busy`: a turn runs, or its prompt was on its way there.
    pub fn resign(&self, client: u32, busy: bool) {
        let _ = self.client.compare_exchange(client, 0, Ordering::AcqRel, Ordering::Acquire);
        if busy {
            self.missed.store(true, Ordering::Release);
        }
    }

    /// Whether `client` tells, and has to find out whether the turn runs: it may have heard the end of it when that was still
    /// another one's to tell, or the prompt of one that is gone has never arrived.
    pub fn succeed(&self, client: u32) -> bool {
        self.missed.load(Ordering::Acquire) && self.is(client) && self.missed.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tells_and_whoever_follows_it_asks() {
        let teller = Teller::default();
        assert!(teller.is(1) && !teller.is(2) && teller.is(1));
        assert!(!teller.succeed(1));
        teller.resign(2, true);
        assert!(!teller.succeed(3) && teller.succeed(1) && !teller.succeed(1), "who tells asks");
        teller.resign(1, true);
        assert!(teller.succeed(2) && !teller.succeed(2) && !teller.is(1));
        teller.resign(2, false);
        assert!(!teller.succeed(1), "no turn ran");
    }
}
