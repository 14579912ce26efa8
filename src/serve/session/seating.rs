//! A session gets its seat before it is opened at a backend (`session::room`): where there is none, an idle one makes way, or
//! it waits, or it is refused.

use std::sync::Arc;

use serde_json::json;

use super::{
    away::{Away, Refusal},
    calls::Call,
    client::Client,
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

impl Client {
    /// A session that this client has just claimed finds no seat: it waits, or is refused.
    pub(super) fn stand_in_line(&mut self, call: &Call<'_>, slot: Slot, full: &Full, out: &mut Output) {
        self.make_way(full);
        if self.rejects() {
            let refusal = self.no_room(full, false);
            self.let_session_go(slot);
            self.shared.pool.method(Some(usize::from(call.method.0))).answered(
                telemetry::Outcome::Refused(telemetry::Reason::named(refusal.reason.text())),
                std::time::Duration::ZERO,
            );
            if let Some(id) = call.id {
                self.tell_refusal(id, &refusal, out);
            }
            return;
        }
        let mut away = Away::new(self.now);
        away.in_line = true;
        self.sessions.set_away(slot, away);
        self.hurry();
        self.hold_call(call, slot, out);
    }

    /// Whether a session waits for its first seat; gives it to it if there is one.
    pub(super) fn waits_for_seat(&mut self, slot: Slot, live: &Arc<Live>, out: &mut Output) -> bool {
        let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) else { return false };
        if !away.in_line {
            return false;
        }
        let late = self.now.saturating_duration_since(away.since) >= self.shared.settings.queue_timeout;
        match self.shared.router.registry().seat(live, self.now) {
            Ok(()) => {
                away.in_line = false;
                self.come_home(slot, out);
            }
            Err(full) if late => {
                let refusal = self.no_room(&full, true);
                let held = self.sessions.take_away(slot).map(|away| away.held).unwrap_or_default();
                self.refuse_held(slot, held, &refusal, out);
            }
            Err(full) => self.make_way(&full),
        }
        true
    }

    /// A seat at `target` for a session that lives nowhere. `false`: not now.
    pub(super) fn seat_at(&mut self, slot: Slot, live: &Arc<Live>, target: &Arc<Member>, out: &mut Output) -> bool {
        let room = self.shared.router.registry().room();
        let Err(full) = room.take(live, target, self.now) else { return true };
        self.make_way(&full);
        let Some(away) = self.sessions.get(slot).and_then(|entry| entry.away.as_ref()) else { return false };
        let late = self.now.saturating_duration_since(away.since) >= self.shared.settings.queue_timeout;
        // Nobody needs it now: it can wait without a place in the line.
        if late || self.rejects() || away.held.is_empty() {
            let refusal = self.no_room(&full, !self.rejects());
            self.park_again(slot, live, refusal, out);
        }
        false
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
        let data = json!({ "limit": what, "max_live_sessions": most, "position": full.ahead + 1 });
        Refusal { reason: Reason::Capacity, message: message.into(), data }
    }

    /// Answers with an error that says more than its message.
    pub(super) fn tell_refusal(&mut self, id: &RequestId, refusal: &Refusal, out: &mut Output) {
        self.shared.metrics.errors.get(telemetry::Reason::named(refusal.reason.text())).inc();
        tracing::debug!(conn = self.caller.number, %id, reason = refusal.reason.text(), "answered with an error");
        let body = reply::error_with(Some(id), refusal.reason, &refusal.message, refusal.data.clone());
        self.tell(&body, out);
    }
}
