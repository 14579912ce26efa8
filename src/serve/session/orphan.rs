//! A client that was lost in the middle of a turn: its links stay, so that the turn runs to its end, what the turn tells is
//! kept, and what only the client could answer is refused after a while.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    chunk::Frame,
    client::Client,
    goodbye::QUIET,
    open::{Own, OwnPurpose},
    sessions::{Entry, Slot},
    workspace::Output,
};
use crate::{
    session::{Live, lease::State},
    telemetry::{ClientEnd, LinkEnd, OrphanEnd},
    wire::reply,
};

/// The runtime's own number for what went wrong on the other side.
const GONE: i32 = -32603;

/// A client of another proxy that comes for a session is attached well within this time (a resume takes 30 ms, measured on
/// 1.0.102).
const ATTACHES: Duration = Duration::from_secs(1);

/// What a lost client leaves behind.
#[derive(Clone, Copy, Debug)]
pub struct Orphan {
    /// Since when.
    pub since: Instant,
    /// How its connection ended.
    end: ClientEnd,
    /// Nothing can be written to it any more. It may have closed its writing side only.
    pub deaf: bool,
}

impl Client {
    /// The client's connection has ended. `true`: a turn of it runs, and somebody may come back for it.
    pub(super) fn is_orphaned(&mut self, end: ClientEnd, deaf: bool, out: &mut Output) -> bool {
        if let Some(orphan) = &mut self.orphan {
            orphan.deaf |= deaf;
            return self.closing.is_none();
        }
        // Where somebody else is attached, the turn is theirs as well and goes on by itself.
        let alone = |entry: &Entry| entry.attachment.as_ref().is_some_and(|held| held.live().clients() == 1);
        let (mut own, mut shared, mut turns) = (Vec::new(), Vec::new(), 0);
        for slot in self.sessions.slots(|entry| entry.attachment.is_some() && !entry.parked) {
            let Some(entry) = self.sessions.get(slot) else { continue };
            let is_own = alone(entry);
            turns += usize::from(is_own && entry.busy);
            if is_own { own.push(slot) } else { shared.push(slot) }
        }
        if turns == 0 || self.shared.settings.linger.is_none() || self.closing.is_some() {
            return false;
        }
        // What lives nowhere needs nobody.
        self.sessions.slots(|entry| entry.parked).into_iter().for_each(|slot| self.let_session_go(slot));
        // At once: whoever comes from now on comes back for them. One that came between the two looks attaches beside us.
        own.into_iter().for_each(|slot| self.keep(slot));
        self.client_eof.get_or_insert(self.now);
        self.orphan = Some(Orphan { since: self.now, end, deaf });
        self.shared.pool.journeys.orphans.inc();
        self.guest.iter_mut().for_each(super::guest::Guest::leave_seat);
        tracing::info!(conn = self.caller.number, turns, "client lost in the middle of a turn; it goes on");
        shared.into_iter().for_each(|slot| self.leave_session(slot, out));
        self.hurry();
        true
    }

    fn leave_session(&mut self, slot: Slot, out: &mut Output) {
        let Some(entry) = self.sessions.get(slot) else { return };
        let (link, session) = (entry.link, entry.id.clone());
        let own = self.own.open(Own { link, purpose: OwnPurpose::Setup });
        let params = format!(r#"{{"sessionId":"{session}"}}"#);
        self.send(&Frame::of_body(&reply::request(&own, "session.detach", &params)), Some(&own), link, out);
        self.sessions.remove(slot);
    }

    fn keep(&mut self, slot: Slot) {
        let Some(live) = self.live(slot) else { return };
        let Some(entry) = self.sessions.get(slot) else { return };
        if live.keep(self.caller.number) {
            // Whoever comes back has not heard these, or has forgotten them.
            live.backlog(|backlog| entry.pending.events().for_each(|event| backlog.push(event)));
        }
    }

    /// Keeps an event for the client that comes back.
    pub(super) fn keep_for_return(&mut self, session: &[u8], frame: &Frame<'_>) {
        let slot = std::str::from_utf8(session).ok().and_then(|session| self.sessions.find(session));
        if let Some(live) = slot.and_then(|slot| self.live(slot)) {
            self.keep_told(&live, frame.body());
        }
    }

    /// The same for one of ours.
    pub(super) fn keep_told(&self, live: &Arc<Live>, body: &[u8]) {
        let me = self.caller.number;
        let kept = live.backlog(|backlog| {
            if backlog.keeper() == me {
                backlog.push(body);
            }
        });
        if kept.is_some() && live.clients() > 1 {
            // Somebody may be waiting for just this one.
            live.ring();
        }
    }

    /// Refuses what waits for the lost client, and ends when nothing is left to wait for. Looked at with every tick.
    pub(super) fn look_after_orphan(&mut self, out: &mut Output) {
        let Some(orphan) = self.orphan else { return };
        let waited = self.now.saturating_duration_since(orphan.since);
        self.yield_to_others(out);
        if waited >= self.shared.settings.orphan_wait {
            self.refuse_orphaned(out);
        }
        if self.sessions.busy() == 0 {
            self.say_goodbye_early();
        }
        let over = self.shared.settings.linger.is_none_or(|linger| waited >= linger);
        let nothing = self.sessions.slots(|entry| entry.attachment.is_some()).is_empty();
        if over || nothing || self.draining && self.sessions.busy() == 0 {
            self.end_orphan(out);
        }
    }

    /// A client that closed only its writing side has got all that it waited for.
    fn say_goodbye_early(&mut self) {
        if let Some(orphan) = self.orphan.as_mut().filter(|orphan| !orphan.deaf)
            && self.outbox.is_empty()
            && self.now.saturating_duration_since(self.last_active) >= QUIET
        {
            orphan.deaf = true;
            self.socket.end_writing();
        }
    }

    fn refuse_orphaned(&mut self, out: &mut Output) {
        let mut refused = 0;
        for ask in self.asks.take_all() {
            self.say(ask.link, &reply::refuse_backend(&ask.token, GONE, "the client is gone"), out);
            refused += 1;
        }
        for slot in self.sessions.slots(|entry| !entry.pending.is_empty() && entry.attachment.is_some()) {
            let Some(entry) = self.sessions.get_mut(slot) else { continue };
            let (link, refusals) = (entry.link, entry.pending.refusals(&entry.id));
            for (method, params) in refusals {
                let own = self.own.open(Own { link, purpose: OwnPurpose::Setup });
                self.send(&Frame::of_body(&reply::request(&own, method, &params)), Some(&own), link, out);
                refused += 1;
            }
        }
        self.shared.pool.journeys.answers.inc_by(refused);
    }

    fn end_orphan(&mut self, out: &mut Output) {
        let Some(orphan) = self.orphan else { return };
        for slot in self.sessions.slots(|entry| entry.attachment.is_some()) {
            let busy = self.sessions.get(slot).is_some_and(|entry| entry.busy);
            let end = if busy { OrphanEnd::Expired } else { OrphanEnd::Finished };
            self.shared.pool.journeys.ended.get(end).inc();
        }
        tracing::debug!(conn = self.caller.number, "nobody came back for a lost client's sessions");
        self.close(orphan.end, out);
    }

    /// Somebody has come back for a session that is kept here: it is let go.
    pub(super) fn yield_session(&mut self, slot: Slot, live: &Arc<Live>, out: &mut Output) {
        let wanted = live.backlog(|backlog| backlog.keeper() == self.caller.number && backlog.is_taken());
        if self.orphan.is_some() && wanted == Some(true) {
            self.hand_over(slot, out);
        }
    }

    /// Clients of another proxy have come for a session that is kept here: a moment later they are attached, and it is let go.
    fn yield_to_others(&mut self, out: &mut Output) {
        for slot in self.sessions.slots(|entry| entry.attachment.is_some() && !entry.parked) {
            let Some(live) = self.live(slot) else { continue };
            let shared = matches!(live.lease().state(), State::Held { shared: true, .. });
            let now = self.now;
            let Some(entry) = self.sessions.get_mut(slot) else { continue };
            let since = *entry.shared_since.get_or_insert(now);
            if !shared {
                entry.shared_since = None;
            } else if live.is_kept() && now.saturating_duration_since(since) >= ATTACHES {
                self.hand_over(slot, out);
            }
        }
    }

    fn hand_over(&mut self, slot: Slot, out: &mut Output) {
        let Some(entry) = self.sessions.get(slot) else { return };
        let (link, session) = (entry.link, entry.id.clone());
        self.shared.pool.journeys.ended.get(OrphanEnd::TakenOver).inc();
        let others = self.sessions.slots(|entry| entry.link == link && entry.attachment.is_some()).len() > 1;
        if others && self.links.get(link as usize).is_some_and(Option::is_some) {
            let own = self.own.open(Own { link, purpose: OwnPurpose::Yield(slot) });
            let params = format!(r#"{{"sessionId":"{session}"}}"#);
            let body = reply::request(&own, "session.detach", &params);
            return self.send(&Frame::of_body(&body), Some(&own), link, out);
        }
        // With its connection go the tools that it had registered: the one that comes back may have them again.
        if let Some(link) = self.links.get_mut(link as usize).and_then(Option::take) {
            link.metrics.closed.get(LinkEnd::Client).inc();
        }
        self.yielded(slot);
    }

    /// The session is not held here any more.
    pub(super) fn yielded(&mut self, slot: Slot) {
        let Some(live) = self.live(slot) else { return };
        self.sessions.remove(slot);
        live.unkeep(self.caller.number);
        self.hurry();
    }
}
