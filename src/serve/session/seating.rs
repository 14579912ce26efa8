//! Before a session is opened at a backend, this proxy needs a hold on it (`holding`) and it needs a seat (`session::room`): where
//! there is none, an idle one makes way, or it waits, or it is refused.

use std::sync::Arc;

use serde_json::json;

use super::{
    away::{Away, Refusal},
    calls::Call,
    client::Client,
    holding::Possession,
    open::NO_LINK,
    sessions::Slot,
    workspace::Output,
};
use crate::{
    pool::Member,
    session::{
        Evict, Live,
        relocation::Cause,
        room::{Full, Limit},
    },
    telemetry,
    wire::{Reason, RequestId, reply},
};

/// Whether a session may be opened at its home.
enum Gate {
    /// It may.
    Open,
    /// Not yet.
    Wait,
    /// There is no room.
    Full(Full),
    /// It may not.
    Shut(Refusal),
}

impl Client {
    /// A session that this client has just claimed has no seat yet, or is not known to be this proxy's.
    pub(super) fn stand_in_line(&mut self, call: &Call<'_>, slot: Slot, out: &mut Output) {
        let mut away = Away::new(self.now);
        away.in_line = true;
        self.sessions.set_away(slot, away);
        self.hurry();
        self.hold_call(call, slot, out);
    }

    /// Whether a session waits to be let in at its first home; lets it in if all is well.
    pub(super) fn waits_to_be_let_in(&mut self, slot: Slot, live: &Arc<Live>, out: &mut Output) -> bool {
        let Some(away) = self.sessions.get(slot).and_then(|entry| entry.away.as_ref()) else { return false };
        if !away.in_line {
            return false;
        }
        let late = self.now.saturating_duration_since(away.since) >= self.shared.settings.queue_timeout;
        match self.let_in(slot, live) {
            Gate::Open => {
                let link = self.link_home(live).unwrap_or(NO_LINK);
                if let Some(entry) = self.sessions.get_mut(slot) {
                    (entry.link, entry.home) = (link, live.home());
                    entry.away.iter_mut().for_each(|away| away.in_line = false);
                }
                self.come_home(slot, out);
            }
            Gate::Full(full) if late || self.rejects() => {
                let refusal = self.no_room(&full, !self.rejects());
                self.send_away(slot, &refusal, out);
            }
            Gate::Full(full) => self.make_way(&full),
            Gate::Shut(refusal) => self.send_away(slot, &refusal, out),
            Gate::Wait if late => {
                let refusal =
                    Refusal::plain(Reason::StoreUnavailable, "another proxy moves this session, and does not end");
                self.send_away(slot, &refusal, out);
            }
            Gate::Wait => {}
        }
        true
    }

    /// First whose it is, then whether there is room: both may be elsewhere than where it was placed.
    fn let_in(&mut self, slot: Slot, live: &Arc<Live>) -> Gate {
        if !live.is_under_way() {
            match self.hold_at(slot, live, &live.home(), None) {
                Possession::Here => {}
                // Another client of ours has it open where it was: that is not where it lives.
                Possession::At(_) if live.is_open() => {
                    live.relocate(|course| course.dispossess(self.now));
                    return Gate::Wait;
                }
                Possession::At(home) => {
                    drop(live.sit(None));
                    live.relocate(|course| course.place(home));
                }
                Possession::Wait => return Gate::Wait,
                Possession::Not(refusal) => return Gate::Shut(refusal),
            }
        }
        match self.shared.router.registry().seat(live, self.now) {
            Ok(()) => Gate::Open,
            Err(full) => Gate::Full(full),
        }
    }

    pub(super) fn send_away(&mut self, slot: Slot, refusal: &Refusal, out: &mut Output) {
        let held = self.sessions.take_away(slot).map(|away| away.held).unwrap_or_default();
        self.refuse_held(slot, held, refusal, out);
    }

    /// There is no seat for a session that lives nowhere.
    pub(super) fn wait_for_seat(&mut self, slot: Slot, live: &Arc<Live>, full: &Full, out: &mut Output) {
        self.make_way(full);
        let Some(away) = self.sessions.get(slot).and_then(|entry| entry.away.as_ref()) else { return };
        let late = self.now.saturating_duration_since(away.since) >= self.shared.settings.queue_timeout;
        // Nobody needs it now: it can wait without a place in the line.
        let unneeded = away.held.is_empty() && live.cause() != Some(Cause::Wake);
        if late || self.rejects() || unneeded {
            let refusal = self.no_room(full, !self.rejects());
            self.park_again(slot, live, refusal, out);
        }
    }

    /// A session that was let in beyond the limit, because its backend had made it already: another one makes way.
    pub(super) fn seat_anyway(&self, live: &Arc<Live>, home: &Arc<Member>) {
        let room = self.shared.router.registry().room();
        room.take_anyway(live, home);
        if let Some(victim) = room.surplus(home, live, self.now) {
            victim.begin_move(Cause::Evict, None, self.now);
        }
    }

    fn make_way(&self, full: &Full) {
        if let Some(victim) = &full.victim
            && !victim.begin_move(Cause::Evict, None, self.now)
        {
            victim.refuses(self.now);
        }
    }

    fn rejects(&self) -> bool {
        self.shared.router.registry().room().settings().evict == Evict::Reject
    }

    fn no_room(&self, full: &Full, waited: bool) -> Refusal {
        let (what, most) = match full.limit {
            Limit::Backend(most) => ("backend", most),
            Limit::Pool(most) => ("pool", most),
            Limit::Tenant(most) => ("tenant", most),
        };
        let patience = humantime::format_duration(self.shared.settings.queue_timeout);
        let tail = format!("; waited {patience}, and {} in line were before this one", full.ahead);
        let tail = if waited { tail } else { String::new() };
        let message = format!("all {most} live sessions of the {what} are taken{tail}");
        let mut data = json!({ "limit": what, "max_live_sessions": most });
        if waited {
            data["position"] = json!(full.ahead + 1);
        }
        Refusal { reason: Reason::Capacity, message: message.into(), data, absent: false }
    }

    /// Answers with an error that says more than its message.
    pub(super) fn tell_refusal(&mut self, id: &RequestId, refusal: &Refusal, out: &mut Output) {
        self.shared.metrics.errors.get(telemetry::Reason::named(refusal.reason.text())).inc();
        tracing::debug!(conn = self.caller.number, %id, reason = refusal.reason.text(), "answered with an error");
        let body = reply::error_with(Some(id), refusal.reason, &refusal.message, refusal.data.clone());
        self.tell(&body, out);
    }
}
