//! Where a session that lives nowhere is opened, and how: at its old home if it may still live there, else where it is placed.

use std::sync::Arc;

use super::{away::Refusal, client::Client, holding::Possession, moving::Errand, sessions::Slot, workspace::Output};
use crate::{
    mux::LinkId,
    pool::{Member, Verdict},
    session::{
        Live,
        lease::State,
        relocation::{Cause, Homeless},
    },
    telemetry::MoveOutcome,
    wire::{Reason, RequestId},
};

impl Client {
    /// The session lives nowhere: this client opens it, if nobody else does and it is time.
    pub(super) fn open_somewhere(&mut self, slot: Slot, live: &Arc<Live>, homeless: &Homeless, out: &mut Output) {
        let Some(away) = self.sessions.get(slot).and_then(|entry| entry.away.as_ref()) else { return };
        let me = self.caller.number;
        if away.asked.is_some() || self.now < away.not_before || !live.is_sought_by(me) {
            return;
        }
        // Its own turn may come later than that: so many may have lost their home at once.
        let waited = self.now.saturating_duration_since(homeless.since.max(away.not_before));
        let members = self.shared.router.pool().members().len();
        let refused = away.refusals > members;
        let mut target = self.place_of(live, homeless).filter(|_| !refused);
        if let Some(place) = &target {
            match self.hold_at(slot, live, place, Some(homeless)) {
                Possession::Here => {}
                // Another proxy has opened it there already.
                Possession::At(home) => target = Some(home),
                Possession::Wait if waited < self.shared.settings.rehome_wait => return,
                Possession::Wait => target = None,
                Possession::Not(refusal) => {
                    if homeless.cause == Cause::Wake && self.park_again(slot, live, refusal, out) {
                        return;
                    }
                    target = None;
                }
            }
        }
        let late = waited >= self.shared.settings.rehome_wait;
        match target {
            // It may have waited for a seat until now: once it is tried all the same.
            Some(target) if !late || homeless.tried.is_empty() => self.open_at(slot, live, &target, out),
            _ if refused || late => {
                let refusal = Refusal::plain(Reason::NoBackend, "no backend could open the session; try again");
                if homeless.cause == Cause::Wake && self.park_again(slot, live, refusal, out) {
                    return;
                }
                tracing::warn!(conn = self.caller.number, session = live.id(), "no backend could open the session");
                self.count_move(homeless.cause, MoveOutcome::Lost);
                live.relocate(|course| course.give_up());
            }
            // Later: one of them may come back.
            _ if !homeless.tried.is_empty() => live.relocate(|course| course.try_again()),
            _ => live.is_not_sought_by(me),
        }
    }

    fn open_at(&mut self, slot: Slot, live: &Arc<Live>, target: &Arc<Member>, out: &mut Output) {
        let me = self.caller.number;
        match live.open_at(me, target, self.now) {
            Ok(true) => match self.link_to(target) {
                Some(link) => self.send_opening(slot, link, Errand::Resume, out),
                None => live.relocate(|course| course.not_opened(me)),
            },
            Ok(false) => {}
            Err(full) => self.wait_for_seat(slot, live, &full, out),
        }
    }

    pub(super) fn send_opening(&mut self, slot: Slot, link: LinkId, errand: Errand, out: &mut Output) {
        let Some(entry) = self.sessions.get(slot) else { return };
        let (Some(params), Some(live)) = (entry.params.clone(), self.live(slot)) else { return };
        if entry.away.as_ref().is_some_and(|away| away.cut.is_some()) {
            // What it says comes after what was missed.
            self.sessions.withhold(slot);
        }
        // What was closed by us is resumed unseen.
        let unseen = live.cause() == Some(Cause::Wake);
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.reborn = unseen && errand == Errand::Create;
        }
        let body = |id: &RequestId| match errand {
            Errand::Create => params.create(id),
            _ if unseen => params.resume_unseen(id),
            _ => params.resume(id),
        };
        self.send_errand(slot, link, errand, body, out);
    }

    /// Where a homeless session may go now.
    fn place_of(&mut self, live: &Live, homeless: &Homeless) -> Option<Arc<Member>> {
        let avoid = self.avoided();
        let free = |member: &Arc<Member>| {
            !homeless.tried.contains(&member.name)
                && !avoid.contains(&member.name)
                && member.address().is_some()
                && member.verdict() != Verdict::Down
        };
        let from = Some(&homeless.from).filter(|from| free(from));
        let lost = homeless.cause == Cause::Lost;
        // Whether the old home is really gone is asked there first: while it lives, the session may live in it.
        if lost && let Some(from) = from {
            return Some(from.clone());
        }
        let gone = homeless.from.address().is_none() || is_down_since(&homeless.from, homeless.opened);
        if homeless.cause == Cause::Wake && self.shared.router.is_local() {
            return from.cloned();
        }
        let elsewhere = !homeless.everyone_cut || is_shared(live);
        if self.shared.router.is_local() || lost && elsewhere && !gone {
            return None;
        }
        if let Some(wish) = homeless.wish.as_ref().filter(|wish| free(wish) && !wish.is_draining()) {
            return Some(wish.clone());
        }
        let mut not = [avoid.clone(), homeless.tried.clone()].concat();
        if homeless.cause != Cause::Wake {
            not.push(homeless.from.name.clone());
        }
        let place = self.shared.router.place(live.id(), self.caller.address, &not, self.now);
        place.filter(|member| member.verdict() != Verdict::Down).or_else(|| from.filter(|_| !lost).cloned())
    }
}

/// Clients of other proxies are attached to it.
fn is_shared(live: &Live) -> bool {
    matches!(live.lease().state(), State::Held { shared: true, .. })
}

/// Health says so, and has found it after `opened`.
fn is_down_since(member: &Member, opened: Option<std::time::Instant>) -> bool {
    let found = member.verdict_since();
    member.verdict() == Verdict::Down && opened.is_none_or(|opened| found.is_some_and(|found| found > opened))
}
