//! A session that lives nowhere: closed at its backend by us, kept for its clients, resumed unseen when one of them needs it.

use std::{sync::Arc, time::Instant};

use super::{
    away::{Away, Refusal},
    calls::Call,
    client::Client,
    open::NO_LINK,
    sessions::Slot,
    workspace::Output,
};
use crate::{
    pool::Member,
    session::{Live, relocation::Cause},
    telemetry::{EvictCause, WakeOutcome},
    wire::{Methods, reply},
};

/// What a backend does with the files of a session alone: nothing has to be opened for it.
const STORED: &[&str] = &[
    "session.delete",
    "session.getMetadata",
    "sessions.getBoardEntryCount",
    "sessions.getPersistedRemoteSteerable",
    "sessions.readPersistedEvents",
];

/// What the runtime answers to a call by which a client lets a session go; `None` for other calls.
pub(super) fn farewell(method: &str) -> Option<serde_json::Value> {
    match method {
        "session.detach" | "session.destroy" => Some(serde_json::json!({ "success": true })),
        "sessions.close" => Some(serde_json::json!({})),
        _ => None,
    }
}

impl Client {
    /// The session lives nowhere now. What already waits for it needs it again; unless that was tried, and could not be done.
    pub(super) fn lie_down(&mut self, slot: Slot, live: &Arc<Live>, out: &mut Output) {
        let away = self.sessions.take_away(slot);
        let Some(entry) = self.sessions.get_mut(slot) else { return };
        (entry.parked, entry.link) = (true, NO_LINK);
        let Some(mut away) = away else { return };
        match away.refusal.take() {
            Some(refusal) => self.refuse_held(slot, away.held, &refusal, out),
            None if !away.held.is_empty() => {
                self.sessions.set_away(slot, away);
                self.wake(live);
            }
            None => {}
        }
    }

    /// A request for a session that lives nowhere.
    pub(super) fn call_parked(&mut self, call: &Call<'_>, slot: Slot, out: &mut Output) {
        // It is closed already: the runtime's own words for a session that its client lets go.
        if let Some(result) = farewell(&call.row.name) {
            if let Some(id) = call.id {
                self.count_ok(call);
                self.tell(&reply::result(id, &result), out);
            }
            return self.let_session_go(slot);
        }
        if STORED.contains(&&*call.row.name)
            && let Some(member) = self.keeper_of(slot)
        {
            let purpose = self.purpose(call, Some(slot));
            return self.route_to_member(call, &member, purpose, out);
        }
        self.sessions.set_away(slot, Away::new(self.now));
        self.hurry();
        self.hold_call(call, slot, out);
    }

    /// A backend that has a parked session's files: where it would be opened, so that both meet at one backend.
    fn keeper_of(&self, slot: Slot) -> Option<Arc<Member>> {
        let entry = self.sessions.get(slot)?;
        let (router, address) = (&self.shared.router, self.caller.address);
        let at_home = || entry.attachment.as_ref().map(|attachment| attachment.live().home());
        if router.is_local() { at_home() } else { router.guess(&entry.id, address).or_else(at_home) }
    }

    fn count_ok(&self, call: &Call<'_>) {
        let method = self.shared.pool.method(Some(usize::from(call.method.0)));
        method.answered(crate::telemetry::Outcome::Ok, std::time::Duration::ZERO);
    }

    /// Somebody needs it, if it is parked.
    pub(super) fn wake(&mut self, live: &Arc<Live>) {
        let now = self.now;
        if live.is_parked() && live.relocate(|course| course.wake(now)) {
            tracing::debug!(conn = self.caller.number, session = live.id(), "a parked session is needed");
        }
    }

    /// A parked session that no disk had begins once more: its client has heard of its begin already.
    pub(super) fn begins_unseen(&mut self, session: &[u8]) -> bool {
        let slot = std::str::from_utf8(session).ok().and_then(|session| self.sessions.find(session));
        let entry = slot.and_then(|slot| self.sessions.get_mut(slot));
        entry.is_some_and(|entry| std::mem::take(&mut entry.reborn))
    }

    /// Whether a turn of the session was told to this client.
    pub(super) fn has_spoken(&self, slot: Slot) -> bool {
        self.sessions.get(slot).is_some_and(|entry| entry.told.has_spoken())
    }

    /// It was closed at its backend: counted by whoever closed it.
    pub(super) fn count_parked(&self, live: &Live) {
        let cause = match live.cause() {
            Some(Cause::Evict) => EvictCause::Limit,
            Some(Cause::Idle) => EvictCause::Idle,
            _ => return,
        };
        self.shared.pool.lifecycle.evictions.get(cause).inc();
        tracing::debug!(session = live.id(), backend = &*live.home().name, ?cause, "session parked");
    }

    /// A session that was needed lives again.
    pub(super) fn count_woken(&self, since: Option<Instant>) {
        self.shared.pool.lifecycle.wakes.get(WakeOutcome::Woken).inc();
        if let Some(since) = since {
            let took = self.now.saturating_duration_since(since);
            self.shared.pool.lifecycle.wake_duration.observe(took.as_secs_f64());
        }
    }

    /// It cannot be opened now, and nobody has it: it lives nowhere until it is needed once more. `false`: somebody may have it.
    pub(super) fn park_again(&mut self, slot: Slot, live: &Arc<Live>, refusal: Refusal, out: &mut Output) -> bool {
        let wakes = live.cause() == Some(Cause::Wake);
        let waits =
            self.sessions.get(slot).and_then(|entry| entry.away.as_ref()).is_some_and(|away| away.cut.is_some());
        if waits || !live.relocate(|course| course.park()) {
            return false;
        }
        tracing::debug!(session = live.id(), reason = refusal.reason.text(), "a session stays parked");
        if wakes {
            let outcome = if refusal.is_full() { WakeOutcome::Full } else { WakeOutcome::Failed };
            self.shared.pool.lifecycle.wakes.get(outcome).inc();
        }
        live.lie_down(self.now);
        live.leases().leave(live, true);
        if let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) {
            away.refusal = Some(refusal);
        }
        self.advance(slot, out);
        true
    }

    /// What waited is answered with an error of ours; a client that was not attached yet is not attached.
    pub(super) fn refuse_held(
        &mut self,
        slot: Slot,
        held: Vec<super::link::Held>,
        refusal: &Refusal,
        out: &mut Output,
    ) {
        for held in held {
            let open = held.id.as_ref().and_then(|id| self.requests.take(id));
            if let (Some(id), Some(open)) = (&held.id, open) {
                self.count_refusal(&open, refusal.reason);
                match self.sessions.get(slot).filter(|_| refusal.absent).map(|entry| entry.id.clone()) {
                    Some(session) => {
                        let row = Methods::get().row(open.method);
                        self.tell(&reply::absent(id, row, &row.name, &session), out);
                    }
                    None => self.tell_refusal(id, refusal, out),
                }
            }
        }
        let Some(entry) = self.sessions.get(slot).filter(|entry| !entry.open) else { return };
        let (id, claimed) = (entry.id.clone(), entry.claimed);
        match &self.shared.wall {
            // The record here was wrong; the store's is somebody else's.
            Some(wall) if claimed && refusal.absent => wall.forget(&id),
            _ if claimed => self.forget_owner(&id),
            _ => {}
        }
        self.let_session_go(slot);
    }
}
