//! Turns that run on although the client whose turn it is has gone: they keep their lock for a while.

use std::{sync::Arc, time::Instant};

use super::{Leases, Live};

impl Leases {
    /// The client whose turn it is has gone, and the turn runs on: the lock is kept until it ends, or until then.
    pub(super) fn leave_turn(&self, live: &Arc<Live>, client: u32, until: Instant) {
        if live.lease().grip().is_some_and(|grip| grip.client == client) {
            self.left.lock().push((live.clone(), client, until));
        }
    }

    /// Gives back the locks of clients that are gone, where the turn has ended or the time is over.
    pub fn end_left_turns(self: &Arc<Self>, now: Instant) {
        let over = |(live, _, until): &mut (Arc<Live>, u32, Instant)| *until <= now || !live.is_busy();
        let over: Vec<_> = {
            let mut left = self.left.lock();
            if left.is_empty() {
                return;
            }
            left.extract_if(.., over).collect()
        };
        for (live, client, _) in over {
            self.unlock(&live, client);
        }
    }

    /// Sessions whose turn runs on, though its client is gone.
    pub(super) fn left_turns(&self) -> Vec<Arc<Live>> {
        self.left.lock().iter().map(|(live, ..)| live.clone()).collect()
    }

    /// The last client of a session has gone: nobody is left who would give back its lock, unless a turn runs on.
    pub(super) fn let_go(self: &Arc<Self>, live: &Live) {
        let runs_on = self.is_shared() && self.left.lock().iter().any(|(left, ..)| std::ptr::eq(&**left, live));
        if let Some(grip) = live.lease().grip().filter(|_| !runs_on) {
            self.unlock(live, grip.client);
        }
    }
}
