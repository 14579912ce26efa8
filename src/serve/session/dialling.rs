//! Links are opened when something has to go there: to a backend, or to the process of it where a session lives.

use std::{io, sync::Arc, time::Duration};

use super::{
    client::Client,
    link::{Link, State, outcome_of},
    workspace::Output,
};
use crate::{
    backend::Socket,
    mux::LinkId,
    pool::{Member, Verdict},
    session::Live,
    telemetry::LinkOutcome,
};

/// A backend that could not be dialled is left alone by this client for so long.
const AVOID: Duration = Duration::from_secs(1);

impl Client {
    /// The link to a backend: the one that is there, or a new one.
    pub(super) fn link_to(&mut self, member: &Arc<Member>) -> Option<LinkId> {
        self.link_at(member, member.incarnation())
    }

    /// The link to where a session lives. Its backend may have another address by now, while others have it open at the
    /// earlier one: then it is there that it lives.
    pub(super) fn link_home(&mut self, live: &Live) -> Option<LinkId> {
        let (home, berth) = live.berth();
        let stays = live.clients() > 1 && home.former_address(berth).is_some();
        self.link_at(&home, if stays { berth } else { home.incarnation() })
    }

    fn link_at(&mut self, member: &Arc<Member>, incarnation: u64) -> Option<LinkId> {
        let leads = |link: &Link| Arc::ptr_eq(&link.member, member) && link.incarnation == incarnation;
        let known = |link: &Option<Link>| link.as_ref().is_some_and(leads);
        if let Some(id) = self.links.iter().position(known) {
            return Some(id as LinkId);
        }
        // One that refused a moment ago is not dialled again for every request.
        if member.address().is_none() || self.avoided().contains(&member.name) {
            return None;
        }
        let limit = self.shared.settings.connect_timeout;
        let link = Link::dial(
            (member.clone(), incarnation),
            &self.shared.dialer,
            limit,
            self.shared.backend(&member.name),
            self.now,
        );
        let free = |id: &usize| self.links[*id].is_none() && !self.ending.contains(&(*id as LinkId));
        let id = (0..self.links.len()).find(free).unwrap_or(self.links.len());
        if id == self.links.len() {
            self.links.push(None);
        }
        self.links[id] = Some(link);
        Some(id as LinkId)
    }

    /// Names of backends that could not be dialled within the last second and have not been found up since.
    pub(super) fn avoided(&mut self) -> Vec<Arc<str>> {
        let now = self.now;
        self.avoid.retain(|(member, since)| {
            let came_up = member.verdict() == Verdict::Up && member.verdict_since().is_some_and(|at| at > *since);
            !came_up && now.saturating_duration_since(*since) < AVOID
        });
        self.avoid.iter().map(|(member, _)| member.name.clone()).collect()
    }

    pub(super) fn opened(&mut self, id: LinkId) {
        if let Some(Some(link)) = self.links.get(id as usize) {
            link.metrics.opened.get(LinkOutcome::Ok).inc();
        }
    }

    /// A dial has ended.
    pub(super) fn dialled(&mut self, id: LinkId, dialled: io::Result<Socket>, out: &mut Output) {
        let Some(link) = &mut self.links[id as usize] else { return };
        match dialled {
            Ok(socket) => {
                link.socket = Some(socket);
                link.state = State::Greeting;
                self.greet(id, out);
            }
            Err(error) => {
                link.metrics.opened.get(outcome_of(&error)).inc();
                tracing::debug!(conn = self.caller.number, backend = %link.member.name, reason = %error, "cannot dial");
                self.fail_link(id, out);
            }
        }
    }
}
