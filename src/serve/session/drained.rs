//! Links to a backend that is drained are closed once nothing goes over them any more.

use super::{client::Client, link::Link};
use crate::{mux::LinkId, pool::Verdict, telemetry::LinkEnd};

impl Client {
    /// Closes links to drained backends that nothing needs. Requests without a session find another backend.
    pub(super) fn close_drained_links(&mut self) {
        let draining = |link: &Option<Link>| link.as_ref().is_some_and(|link| link.member.is_draining());
        if !self.links.iter().any(draining) {
            return;
        }
        for id in 0..self.links.len() as LinkId {
            if !draining(&self.links[id as usize]) || self.is_needed(id) || !self.has_elsewhere() {
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
            || !self
                .sessions
                .slots(|entry| entry.link == id && entry.attachment.is_some() && entry.away.is_none())
                .is_empty()
    }
}
