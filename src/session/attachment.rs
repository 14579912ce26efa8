//! The hold that a client has on a live session.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{Bell, Live, Registry};

/// A client's hold on a session. The pin stays while anybody holds one.
pub struct Attachment {
    live: Arc<Live>,
    registry: Arc<Registry>,
    client: u32,
    in_order: bool,
    /// Its backend may still be at ending it.
    fades: bool,
}

impl Attachment {
    pub(super) fn new(live: Arc<Live>, registry: Arc<Registry>, bell: &Arc<Bell>) -> Self {
        live.attached.fetch_add(1, Ordering::AcqRel);
        *live.released.lock() = None;
        live.course.lock().join(bell);
        Self { live, registry, client: bell.client(), in_order: false, fades: true }
    }

    /// Whose hold it is.
    #[cfg(test)]
    pub(super) fn client_number(&self) -> u32 {
        self.client
    }

    /// The session.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// The session ended at its home (deleted, closed, or its home died): the pin is gone for everybody.
    pub fn close(self) {
        self.live.closed.store(true, Ordering::Release);
        self.registry.forget(&self.live);
    }

    /// The same, and its backend has answered that it is gone.
    pub fn end(self) {
        self.live.gone.store(true, Ordering::Release);
        self.close();
    }

    /// The client let the session go in good order: if it was the last one, the session lives nowhere now.
    pub fn detach(mut self) {
        (self.in_order, self.fades) = (true, false);
    }

    /// The client's link has ended: if it was the last one, the session lives nowhere in a moment.
    pub fn lapse(mut self) {
        self.in_order = true;
    }
}

impl Attachment {
    /// Its client's turn is over; one that runs on for others keeps its lock until it ends, or the linger is over.
    fn give_back_turn(&self) {
        let leases = self.live.leases();
        let others = self.live.clients() > 1 || self.live.lease().is_shared();
        if self.live.is_busy() && others {
            let until = Instant::now() + self.registry.departure_linger();
            leases.leave_turn(&self.live, self.client, until);
        } else {
            leases.unlock(&self.live, self.client);
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.live.resign(self.client);
        self.give_back_turn();
        self.live.is_not_sought_by(self.client);
        // However it ends: nobody may wait for a lost client that is gone.
        self.live.unkeep(self.client);
        // What lives nowhere has no home that it could be met at.
        let in_order = self.in_order || self.live.is_parked();
        self.live.relocate(|course| course.leave(self.client));
        self.registry.release(&self.live, in_order, self.fades);
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").field("session", &self.live.id()).field("home", &self.live.home().name).finish()
    }
}
