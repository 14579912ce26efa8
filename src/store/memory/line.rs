//! One lock and those who wait for it, in the order in which they came.

use std::{collections::VecDeque, time::Instant};

use crate::store::{ABSENCE, Hold, Locked, Waiter};

#[derive(Debug)]
struct Holder {
    token: u64,
    waiter: Waiter,
    since: Instant,
}

#[derive(Debug)]
struct Place {
    waiter: u64,
    seen: Instant,
}

/// One lock.
#[derive(Debug, Default)]
pub(super) struct Line {
    holder: Option<Holder>,
    places: VecDeque<Place>,
}

impl Line {
    /// Gives the lock to `waiter` if it is its turn. Who has it already gets the same hold again: the answer was lost.
    pub fn ask(&mut self, waiter: &Waiter, token: u64, now: Instant, until: Instant) -> Locked {
        if let Some(holder) = self.holder.as_ref().filter(|holder| holder.waiter.number == waiter.number) {
            return Locked::Held(Hold { token: holder.token, until });
        }
        self.places.retain(|place| place.waiter == waiter.number || now.duration_since(place.seen) < ABSENCE);
        let ahead = self.ahead(waiter, now);
        if self.holder.is_some() || ahead > 0 {
            return self.busy(if waiter.lines_up { ahead } else { 0 }, now);
        }
        self.places.retain(|place| place.waiter != waiter.number);
        self.holder = Some(Holder { token, waiter: waiter.clone(), since: now });
        Locked::Held(Hold { token, until })
    }

    /// How many stand before it; it gets a place if it wants one and has none.
    fn ahead(&mut self, waiter: &Waiter, now: Instant) -> usize {
        if let Some(index) = self.places.iter().position(|place| place.waiter == waiter.number) {
            self.places[index].seen = now;
            return index;
        }
        let ahead = self.places.len();
        if waiter.lines_up {
            self.places.push_back(Place { waiter: waiter.number, seen: now });
        }
        ahead
    }

    fn busy(&self, ahead: usize, now: Instant) -> Locked {
        let holder = self.holder.as_ref();
        Locked::Busy {
            ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
            holder: holder.map(|holder| Box::from(&*holder.waiter.label)),
            held_for: holder.map(|holder| now.duration_since(holder.since)).unwrap_or_default(),
        }
    }

    /// Whether it was `token`'s and is free now.
    pub fn give_back(&mut self, token: u64) -> bool {
        let ours = self.is_held_by(token);
        if ours {
            self.holder = None;
        }
        ours
    }

    /// Whether somebody else is the next by that, who may have the lock at once.
    pub fn leave(&mut self, waiter: u64) -> bool {
        let first = self.places.front().is_some_and(|place| place.waiter == waiter);
        self.places.retain(|place| place.waiter != waiter);
        first && self.holder.is_none() && !self.places.is_empty()
    }

    /// Whether somebody has the lock.
    pub fn is_held(&self) -> bool {
        self.holder.is_some()
    }

    /// Whether `token` has it.
    pub fn is_held_by(&self, token: u64) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.token == token)
    }

    /// Whether nothing has to be remembered.
    pub fn is_over(&self) -> bool {
        self.holder.is_none() && self.places.is_empty()
    }
}
