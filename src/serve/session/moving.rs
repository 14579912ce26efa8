//! A session changes its home: what this client does for it, one step after the other. Who does what is decided in
//! `session::relocation`; here it is sent, and the answers are taken in.

use std::{sync::Arc, time::Duration};

use zeroize::Zeroizing;

use super::{
    away::{Asked, Away},
    chunk::Frame,
    client::Client,
    open::{NO_LINK, Own, OwnPurpose},
    sessions::Slot,
    workspace::Output,
};
use crate::{
    mux::LinkId,
    pool::Member,
    session::{
        Live, TurnEnd,
        relocation::{Cause, Step},
    },
    telemetry::{LinkEnd, MoveCause, MoveOutcome},
    wire::{RequestId, reply},
};

/// A session that waits for a backend is looked at this often.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// What a request of ours about a session on its way is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// It ends at its old home.
    Close,
    /// It is resumed at the new one.
    Resume,
    /// No disk has it, so it is made again.
    Create,
    /// It lives again, and this client attaches to it.
    Follow,
    /// Settings that its client made are made again.
    Settle,
    /// What of it was not delivered.
    Missed,
    /// This client comes back for what a lost one keeps.
    Return,
}

impl Client {
    /// Looks at the sessions that the bell was rung for. `true`: it was rung.
    pub(super) fn answer_bell(&mut self, out: &mut Output) -> bool {
        if !self.bell.is_rung() {
            return false;
        }
        let called = self.bell.take();
        self.close_drained_links();
        self.leave_if_done();
        for live in called {
            let slot = self.sessions.find(live.id());
            if let Some(slot) = slot.filter(|slot| self.live(*slot).is_some_and(|mine| Arc::ptr_eq(&mine, &live))) {
                self.heed_hurry(slot, &live, out);
                self.yield_session(slot, &live, out);
                self.advance(slot, out);
                self.inherit_turn(slot, &live, out);
                self.look_at_line(slot, &live, out);
                self.give_back_turn(slot);
            }
        }
        true
    }

    /// The session's home is being drained, and the time for its turn is over.
    fn heed_hurry(&mut self, slot: Slot, live: &Arc<Live>, out: &mut Output) {
        let Some(entry) = self.sessions.get(slot).filter(|entry| entry.busy && entry.away.is_none()) else { return };
        let (link, session) = (entry.link, entry.id.clone());
        match live.hurried() {
            0 => {}
            1 => self.ask_abort(link, &session, out),
            _ => {
                let ended = live.end_turn(TurnEnd::Aborted, self.now);
                self.count_turn(slot, ended);
                self.sessions.end_turn(slot);
                if let Some(entry) = self.sessions.get_mut(slot) {
                    (entry.sends, entry.doubtful) = (0, None);
                }
                self.tell_turn_error(&session, "draining", "the backend was drained before this turn had ended", out);
                self.tell_idle(&session, out);
            }
        }
    }

    /// Asks a session's home to end its turn.
    pub(super) fn ask_abort(&mut self, link: LinkId, session: &str, out: &mut Output) {
        let own = self.own.open(Own { link, purpose: OwnPurpose::Setup });
        let params = format!(r#"{{"sessionId":"{session}"}}"#);
        self.send(&Frame::of_body(&reply::request(&own, "session.abort", &params)), Some(&own), link, out);
    }

    /// The pin of a session of this client.
    pub(super) fn live(&self, slot: Slot) -> Option<Arc<Live>> {
        self.sessions.get(slot)?.attachment.as_ref().map(|attachment| attachment.live().clone())
    }

    /// Whether a session whose link was lost is opened elsewhere by us: it was live, and it is known how.
    pub(super) fn may_rehome(&self, slot: Slot) -> bool {
        let serving = self.closing.is_none() && self.client_eof.is_none() && !self.draining;
        let known =
            self.sessions.get(slot).is_some_and(|entry| entry.open && !entry.shut_down && entry.params.is_some());
        self.shared.settings.rehome && serving && known
    }

    /// The link to a session's home is gone: it is opened elsewhere, or there once more.
    pub(super) fn rehome(&mut self, slot: Slot, out: &mut Output) {
        let Some(live) = self.live(slot) else { return };
        let (me, now) = (self.caller.number, self.now);
        let mut away = Away::new(now);
        let busy = self.sessions.get(slot).is_some_and(|entry| entry.busy);
        if busy {
            away.cut_turn(now);
        } else {
            away.not_before = self.shared.router.pool().pacer().next(now, uuid::Uuid::new_v4().as_u64_pair().1);
        }
        if let Some(entry) = self.sessions.get_mut(slot) {
            (entry.sends, entry.doubtful, entry.link) = (0, None, NO_LINK);
        }
        self.sessions.set_away(slot, away);
        self.hurry();
        live.cut_off(me, now);
        self.advance(slot, out);
    }

    /// The link to the home of a session on its way is gone.
    pub(super) fn lose_home(&mut self, slot: Slot, out: &mut Output) {
        let Some(live) = self.live(slot) else { return };
        let now = self.now;
        if let Some(entry) = self.sessions.get_mut(slot) {
            // Its number may soon be another link's.
            entry.link = NO_LINK;
            if let Some(away) = entry.away.as_mut().filter(|_| entry.busy) {
                away.cut_turn(now);
                (entry.sends, entry.doubtful) = (0, None);
            }
        }
        live.cut_off(self.caller.number, now);
        self.advance(slot, out);
    }

    /// Takes the next step for a session.
    pub(super) fn advance(&mut self, slot: Slot, out: &mut Output) {
        let Some(live) = self.live(slot) else { return };
        if self.go_on_returning(slot, &live, out) {
            return;
        }
        if self.waits_to_be_let_in(slot, &live, out) || self.waits_to_close(slot, &live, out) {
            return;
        }
        let me = self.caller.number;
        match live.step(me) {
            Step::Served if self.is_apart_from(slot) => self.come_home(slot, out),
            Step::Served => {}
            Step::Hold => self.stand_still(slot, &live),
            Step::Wait => self.leave_home(slot),
            Step::Close(home) => self.close_at(slot, &live, &home, out),
            Step::Open(homeless) => {
                self.leave_home(slot);
                self.open_somewhere(slot, &live, &homeless, out);
            }
            Step::Follow(home) => self.follow(slot, &live, &home, out),
            Step::Parked => self.lie_down(slot, &live, out),
            Step::Lost => self.leave_lost(slot, out),
        }
    }

    /// Away, and nothing is asked or fetched for it any more.
    fn is_apart_from(&self, slot: Slot) -> bool {
        let away = self.sessions.get(slot).and_then(|entry| entry.away.as_ref());
        away.is_some_and(|away| away.asked.is_none() && away.cut.is_none())
    }

    fn leave_home(&mut self, slot: Slot) {
        if self.sessions.get(slot).is_some_and(|entry| entry.away.is_none()) {
            self.sessions.set_away(slot, Away::new(self.now));
            self.hurry();
        }
    }

    /// The session is to be moved: not while anything of it is under way, and not without a place to go to.
    fn stand_still(&mut self, slot: Slot, live: &Arc<Live>) {
        let me = self.caller.number;
        let from = live.home();
        let avoid = [self.avoided(), vec![from.name.clone()]].concat();
        let cause = live.cause().unwrap_or(Cause::Drain);
        let place = || self.shared.router.place(live.id(), self.caller.address, &avoid, self.now);
        // The successor of a process that is going away knows where its sessions live.
        if (cause.parks() || place().is_some()) && !self.draining && self.is_quiet(slot) {
            self.leave_home(slot);
            live.relocate(|course| course.quiet(me));
        } else if live.relocate(|course| course.refuse()) {
            live.refuses(self.now);
            self.count_move(cause, MoveOutcome::Refused);
        }
    }

    fn close_at(&mut self, slot: Slot, live: &Arc<Live>, home: &Arc<Member>, out: &mut Output) {
        self.leave_home(slot);
        let link = self.sessions.get(slot).map_or(NO_LINK, |entry| entry.link);
        if !self.leads_to(link, home) {
            return live.cut_off(self.caller.number, self.now);
        }
        if live.leases().is_shared() {
            live.leases().isolate(live);
            if let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) {
                away.isolating = true;
            }
            return;
        }
        self.send_close(slot, live, out);
    }

    /// It is closed at its home: nobody else is there.
    pub(super) fn send_close(&mut self, slot: Slot, live: &Arc<Live>, out: &mut Output) {
        let link = self.sessions.get(slot).map_or(NO_LINK, |entry| entry.link);
        let params = format!(r#"{{"sessionId":"{}"}}"#, live.id());
        self.send_errand(slot, link, Errand::Close, |id| reply::request(id, "sessions.close", &params).into(), out);
    }

    /// Sends a request of ours for a session that is on its way.
    pub(super) fn send_errand(
        &mut self,
        slot: Slot,
        link: LinkId,
        errand: Errand,
        body: impl FnOnce(&RequestId) -> Zeroizing<Vec<u8>>,
        out: &mut Output,
    ) {
        let id = self.own.open(Own { link, purpose: OwnPurpose::Move(slot, errand) });
        let until = self.now + self.shared.settings.move_timeout;
        if let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) {
            away.asked = Some(Asked { link, until });
        }
        let body = body(&id);
        self.send(&Frame::of_body(&body), Some(&id), link, out);
        self.hurry();
    }

    /// Somebody opened it: this client attaches to it there, too.
    fn follow(&mut self, slot: Slot, live: &Arc<Live>, home: &Arc<Member>, out: &mut Output) {
        self.leave_home(slot);
        let Some(entry) = self.sessions.get(slot) else { return };
        if entry.away.as_ref().is_some_and(|away| away.asked.is_some()) {
            return;
        }
        if self.has_waited_for(slot, live) {
            return self.lose_session(slot, out);
        }
        // Somebody has just opened it there, whatever this client met before.
        self.avoid.retain(|(member, _)| member.name != home.name);
        let Some(entry) = self.sessions.get(slot) else { return };
        // A client whose own resume waits attaches by that.
        let (attaches, me) = (!entry.open, self.caller.number);
        match self.link_home(live) {
            Some(link) if attaches => {
                if let Some(entry) = self.sessions.get_mut(slot) {
                    entry.link = link;
                }
                live.relocate(|course| course.followed(me));
            }
            Some(link) => self.send_opening(slot, link, Errand::Follow, out),
            // It has no address at the moment. Whoever is attached there will hear if it is gone.
            None => {}
        }
    }

    fn leads_to(&self, link: LinkId, home: &Member) -> bool {
        let link = self.links.get(link as usize).and_then(Option::as_ref);
        link.is_some_and(|link| link.is_ready() && link.member.name == home.name)
    }

    /// Too long, since somebody opened it.
    fn has_waited_for(&self, slot: Slot, live: &Live) -> bool {
        let since =
            self.sessions.get(slot).and_then(|entry| entry.away.as_ref()).map(|away| away.since).max(live.moved());
        since.is_some_and(|since| self.now.saturating_duration_since(since) >= self.shared.settings.rehome_wait)
    }

    /// A backend answered a request of ours about a session on its way; `None`: it will not.
    pub(super) fn errand_done(
        &mut self,
        slot: Slot,
        errand: Errand,
        link: LinkId,
        answer: Option<(&[u8], bool)>,
        out: &mut Output,
    ) {
        let Some(live) = self.live(slot) else { return };
        let spoken = self.has_spoken(slot);
        let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) else { return };
        away.asked = None;
        let (me, now) = (self.caller.number, self.now);
        let ok = matches!(answer, Some((_, true)));
        let absent = matches!(answer, Some((body, false)) if memchr::memmem::find(body, b"ession not found").is_some());
        match errand {
            Errand::Close if ok || absent => {
                self.count_parked(&live);
                live.closed(me);
            }
            Errand::Close if answer.is_some() => {
                live.relocate(|course| course.not_closed(me));
                live.leases().claim_at_home(&live);
            }
            // Its link is gone: `lose_link` says the rest.
            Errand::Close => {}
            // It was idle, so its history was on the disk: it has been deleted. Made again it would be another session.
            Errand::Resume if absent && live.cause() == Some(Cause::Wake) && spoken => {
                live.relocate(|course| course.give_up());
            }
            Errand::Resume if absent => self.send_opening(slot, link, Errand::Create, out),
            Errand::Resume | Errand::Create if ok => self.arrive(slot, &live, link, out),
            Errand::Resume | Errand::Create => {
                away.refusals += usize::from(answer.is_some());
                live.relocate(|course| course.not_opened(me));
            }
            Errand::Follow if ok && !self.leads_to(link, &live.home()) => {
                // It went on from there before this client came: there it may not live.
                self.lose_link(link, LinkEnd::Cut, out);
            }
            Errand::Follow if ok => {
                self.settle_at(slot, link);
                self.spare_turn(slot, &live);
                live.relocate(|course| course.followed(me));
                self.resettle(slot, out);
            }
            Errand::Follow if answer.is_some() => self.lose_session(slot, out),
            Errand::Follow => live.cut_off(me, now),
            Errand::Settle => self.settled_one(slot, link, out),
            Errand::Missed => self.missed_told(slot, answer, out),
            Errand::Return => self.returned(slot, &live, ok, out),
        }
    }

    fn arrive(&mut self, slot: Slot, live: &Arc<Live>, link: LinkId, out: &mut Output) {
        let from = self.sessions.get(slot).map(|entry| entry.home.name.clone());
        self.settle_at(slot, link);
        let (me, now) = (self.caller.number, self.now);
        let cause = live.cause().unwrap_or(Cause::Lost);
        if !live.arrived(me, now) {
            return;
        }
        if live.was_cut_off() {
            let ended = live.end_turn(TurnEnd::BackendLost, now);
            self.count_turn(slot, ended);
        }
        self.spare_turn(slot, live);
        let to = live.home();
        let stayed = from.as_ref() == Some(&to.name);
        if stayed && cause != Cause::Wake {
            // The store may think that it moves.
            live.leases().claim_at_home(live);
        }
        let outcome = if stayed { MoveOutcome::Stayed } else { MoveOutcome::Moved };
        self.count_move(cause, outcome);
        let since = self.sessions.get(slot).and_then(|entry| entry.away.as_ref()).map(|away| away.since);
        if cause == Cause::Wake {
            self.count_woken(since);
        } else if let Some(away) = self.sessions.get(slot).and_then(|entry| entry.away.as_ref()) {
            let took = now.saturating_duration_since(away.since);
            self.shared.pool.journeys.duration.observe(took.as_secs_f64());
        }
        let (from, to) = (from.as_deref().unwrap_or("-"), &*to.name);
        tracing::debug!(conn = me, session = live.id(), from, backend = to, cause = ?cause, "session lives again");
        self.resettle(slot, out);
    }

    /// Counts a session that was to get another home. One that lives nowhere for a while is counted elsewhere.
    pub(super) fn count_move(&self, cause: Cause, outcome: MoveOutcome) {
        let cause = match cause {
            Cause::Lost => MoveCause::Lost,
            Cause::Drain => MoveCause::Drain,
            Cause::Rebalance => MoveCause::Rebalance,
            Cause::Evict | Cause::Idle | Cause::Wake => return,
        };
        self.shared.pool.journeys.moved(cause, outcome);
    }

    fn resettle(&mut self, slot: Slot, out: &mut Output) {
        if !self.settle_again(slot, out) {
            self.fetch_missed(slot, out);
        }
    }

    /// While another client's link held the session up, its turn went on, and may have ended.
    fn spare_turn(&mut self, slot: Slot, live: &Live) {
        if !live.was_cut_off()
            && let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut())
        {
            away.spared |= away.cut.take().is_some();
        }
    }

    fn settle_at(&mut self, slot: Slot, link: LinkId) {
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.link = link;
            if let Some(away) = &mut entry.away {
                away.refusals = 0;
            }
        }
    }

    /// Looks at every session on its way: what was asked too long ago, what it is time for.
    pub(super) fn look_after_aways(&mut self, out: &mut Output) {
        for slot in self.sessions.slots(|entry| entry.away.is_some()) {
            let Some(away) = self.sessions.get(slot).and_then(|entry| entry.away.as_ref()) else { continue };
            if let Some(asked) = away.asked.filter(|asked| asked.until <= self.now) {
                // A backend that wakes up later finds our link closed, and so nobody who holds the session there.
                self.lose_link(asked.link, LinkEnd::Timeout, out);
            }
            self.tell_late_cut(slot, out);
            self.advance(slot, out);
        }
    }
}
