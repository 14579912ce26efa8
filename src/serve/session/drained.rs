//! Links to a backend that is drained are closed once nothing goes over them any more.

use std::sync::Arc;

use super::{client::Client, link::Link, sessions::Slot};
use crate::{
    mux::LinkId,
    pool::Verdict,
    session::{Live, relocation::Cause},
    telemetry::LinkEnd,
};

impl Client {
    /// A turn has ended at a backend that is drained: its session goes before the next prompt comes, which may be at once.
    pub(super) fn leave_drained_home(&mut self, slot: Slot, live: &Arc<Live>) {
        let draining = self.sessions.get(slot).is_some_and(|entry| entry.home.is_draining());
        if draining && !self.shared.router.is_local() && !self.draining {
            live.begin_move(Cause::Drain, None, self.now);
        }
    }

    /// Closes links to drained backends that nothing needs. Requests without a session find another backend.
    pub(super) fn close_drained_links(&mut self) {
        let leaves = self.is_asked_to_leave();
        let draining = |link: &Option<Link>| {
            link.as_ref().is_some_and(|link| leaves || link.member.is_draining() || link.is_outlived())
        };
        if !self.links.iter().any(draining) {
            return;
        }
        for id in 0..self.links.len() as LinkId {
            if !draining(&self.links[id as usize]) || self.is_needed(id) || !(leaves || self.has_elsewhere()) {
                continue;
            }
            if let Some(link) = self.links[id as usize].take() {
                link.metrics.closed.get(LinkEnd::Drained).inc();
            }
            if self.general == Some(id) {
                self.general = None;
            }
        }
    }

    /// Somebody else would take the requests that have no session.
    fn has_elsewhere(&self) -> bool {
        self.shared
            .router
            .pool()
            .members()
            .iter()
            .any(|member| !member.is_draining() && member.verdict() == Verdict::Up)
    }

    fn is_needed(&self, id: LinkId) -> bool {
        let Some(Some(link)) = self.links.get(id as usize) else { return false };
        !link.is_ready()
            || !link.outbox.is_empty()
            || link.taking_flow
            || link.inbound.waiting_since.is_some()
            || self.flow_from == Some(id)
            || self.asks.is_waiting(id)
            || self.provider_calls.values().any(|of| *of == id)
            || self.requests.iter().any(|(_, open)| open.link == id)
            || !self.own.find(|own| own.link == id).is_empty()
            || !self.sessions.slots(|entry| entry.link == id && entry.attachment.is_some()).is_empty()
    }
}
