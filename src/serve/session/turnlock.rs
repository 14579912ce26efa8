//! The turn lock of a session that several clients share: a turn belongs to the client that began it, and the prompts of others
//! wait in line or are refused. Whose turn it is says the store, so that it is one line for all proxies.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    away::Refusal,
    calls::Call,
    chunk::Frame,
    client::Client,
    link::Held,
    open::{NO_LINK, Open, Purpose},
    sessions::{Entry, Slot},
    workspace::Output,
};
use crate::{
    session::{Live, Ticket, lease::Grip},
    store::{Locked, StoreError, Waiter},
    telemetry::LockOutcome,
    wire::{Reason, RequestId},
};

/// Who stands in line asks again so often, if nobody told it that the lock came free. Well within the second after which the
/// store would think that it has left.
const AGAIN: Duration = Duration::from_millis(400);

/// The end of another client's turn is told so much later. A prompt that an SDK sent meanwhile has come by then: on one machine
/// with 20 busy clients it took up to some tens of milliseconds (2026-11-25).
const SHORTLY: Duration = Duration::from_millis(250);

/// Prompts of one client that wait for one session, and their bytes.
const MOST: (usize, usize) = (64, 8 << 20);

/// Who may send prompts while another client's turn runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockPolicy {
    /// Anybody.
    #[default]
    Off,
    /// Only the client whose turn it is; others are refused.
    Reject,
    /// Others wait.
    Queue,
    /// Others wait, and what the client whose turn it is sends steers its turn.
    SteerOwn,
}

/// Prompts of this client that wait for their turn.
#[derive(Debug)]
pub struct InLine {
    held: Vec<Held>,
    since: Instant,
    asked: Option<Instant>,
    /// It was not told that a turn ended.
    kept_idle: bool,
    ticket: Arc<Ticket>,
}

impl Client {
    /// Whether a prompt may go out now. `false`: it waits, or was answered.
    pub(super) fn may_begin_turn(&mut self, call: &Call<'_>, slot: Slot, out: &mut Output) -> bool {
        if self.shared.settings.lock == LockPolicy::Off {
            return true;
        }
        let Some(live) = self.live(slot) else { return true };
        self.sessions.drop_idle(slot);
        let grip = live.lease().grip();
        let ours = grip.is_some_and(|grip| grip.client == self.caller.number && grip.hold.until > self.now);
        if ours && !self.is_past_its_turn(slot) {
            return true;
        }
        self.line_up(call, slot, &live, out);
        false
    }

    /// This client has heard the end of its turn, and the one that tells of it has not: the lock is about to be given back, and others
    /// have waited for it. Who would be refused instead of waiting goes on.
    fn is_past_its_turn(&self, slot: Slot) -> bool {
        let past = |entry: &Entry| entry.grips && entry.is_at_rest() && !entry.own_turn_awaited;
        !self.rejects_turns() && self.sessions.get(slot).is_some_and(past)
    }

    /// Whether a prompt of the client whose turn it is steers that turn.
    pub(super) fn steers(&self, slot: Slot) -> bool {
        self.shared.settings.lock == LockPolicy::SteerOwn
            && self.sessions.get(slot).is_some_and(|entry| entry.grips && entry.own_turn && entry.busy)
    }

    fn line_up(&mut self, call: &Call<'_>, slot: Slot, live: &Arc<Live>, out: &mut Output) {
        let now = self.now;
        let new = self.sessions.get(slot).is_some_and(|entry| entry.in_line.is_none());
        if new {
            let lines_up = !self.rejects_turns();
            let waiter = Waiter { number: live.leases().next_waiter(), label: self.label(), lines_up };
            let ticket = Ticket::new(live.clone(), waiter);
            self.sessions.line_up(slot, InLine { held: Vec::new(), since: now, asked: None, kept_idle: false, ticket });
            self.hurry();
        }
        let Some(line) = self.sessions.get_mut(slot).and_then(|entry| entry.in_line.as_mut()) else { return };
        let bytes: usize = line.held.iter().map(|held| held.body.len()).sum();
        if line.held.len() >= MOST.0 || bytes + call.body().len() > MOST.1 {
            return self.refuse(call, Reason::Capacity, "too many prompts wait for their turn in this session", out);
        }
        line.held.push(Held { id: call.id.cloned(), body: call.body().to_vec() });
        if let Some(id) = call.id {
            let purpose = Purpose::InLine(slot);
            self.requests.open(id.clone(), Open { link: NO_LINK, method: call.method, started: now, purpose });
        }
        if new {
            self.ask_for_turn(slot, live);
            self.look_at_line(slot, live, out);
        }
    }

    fn ask_for_turn(&mut self, slot: Slot, live: &Arc<Live>) {
        let (now, bell) = (self.now, self.bell.clone());
        if let Some(line) = self.sessions.get_mut(slot).and_then(|entry| entry.in_line.as_mut()) {
            line.asked = Some(now);
            live.leases().lock(&line.ticket, &bell);
        }
    }

    /// What others are told of this client: they may be other tenants'.
    fn label(&self) -> Arc<str> {
        let tenant = self.guest.as_ref().map_or("", |guest| &*guest.who.tenant);
        format!("{tenant}\n{}", self.caller.address).into()
    }

    /// The store may have answered, or the lock may have come free.
    pub(super) fn look_at_line(&mut self, slot: Slot, live: &Arc<Live>, out: &mut Output) {
        let (now, timeout, rejects) = (self.now, self.shared.settings.lock_timeout, self.rejects_turns());
        let Some(line) = self.sessions.get_mut(slot).and_then(|entry| entry.in_line.as_mut()) else { return };
        let late = now.saturating_duration_since(line.since) >= timeout;
        let answer = line.ticket.take();
        if answer.is_some() {
            line.asked = None;
        }
        match answer {
            Some(Ok(Locked::Held(hold))) => {
                let (client, waiter) = (self.caller.number, line.ticket.waiter());
                live.lease().take_grip(Some(Grip { client, waiter, hold }));
                self.begin_turns(slot, out);
            }
            Some(Ok(Locked::Busy { holder, held_for, ahead })) if late || rejects => {
                let outcome = if late { LockOutcome::TimedOut } else { LockOutcome::Rejected };
                let refusal = self.locked(holder.as_deref(), held_for, ahead);
                self.refuse_line(slot, outcome, &refusal, out);
            }
            Some(Err(error)) => {
                let message = match error {
                    StoreError::Unavailable => "the store that knows whose turn it is does not answer",
                    StoreError::Refused => "the store that knows whose turn it is refused",
                };
                let refusal = Refusal::plain(Reason::StoreUnavailable, message);
                self.refuse_line(slot, LockOutcome::StoreUnavailable, &refusal, out);
            }
            // It stands in line. Whoever rang may have been the lock.
            Some(Ok(Locked::Busy { .. })) => {}
            None if line.asked.is_none() => self.ask_for_turn(slot, live),
            None => {}
        }
    }

    fn rejects_turns(&self) -> bool {
        self.shared.settings.lock == LockPolicy::Reject
    }

    fn begin_turns(&mut self, slot: Slot, out: &mut Output) {
        let Some(line) = self.sessions.leave_line(slot) else { return };
        let waited = self.now.saturating_duration_since(line.since);
        let at_once = waited < Duration::from_millis(1);
        let lifecycle = &self.shared.pool.lifecycle;
        lifecycle.locks.get(if at_once { LockOutcome::Taken } else { LockOutcome::Waited }).inc();
        lifecycle.lock_wait.observe(waited.as_secs_f64());
        self.sessions.grips(slot, true);
        if let Some(entry) = self.sessions.get_mut(slot) {
            (entry.own_turn_awaited, entry.own_turn) = (true, false);
        }
        for held in line.held {
            self.release(&held, out);
        }
        // All of them may have been cancelled meanwhile.
        self.give_back_turn(slot);
    }

    fn refuse_line(&mut self, slot: Slot, outcome: LockOutcome, refusal: &Refusal, out: &mut Output) {
        let Some(line) = self.sessions.leave_line(slot) else { return };
        let idle = line.kept_idle && self.live(slot).is_some_and(|live| !live.is_busy());
        if let Some(session) = self.sessions.get(slot).filter(|_| idle).map(|entry| entry.id.clone()) {
            // Before the refusal: whoever hears that may send the next prompt at once, and this is not its end.
            self.tell_idle(&session, out);
        }
        for held in line.held {
            let open = held.id.as_ref().and_then(|id| self.requests.take(id));
            if let (Some(id), Some(open)) = (&held.id, open) {
                self.shared.pool.lifecycle.locks.get(outcome).inc();
                self.count_refusal(&open, refusal.reason);
                self.tell_refusal(id, refusal, out);
            }
        }
    }

    /// A turn of the session has ended: its client may be another one, which hears of it later by its own link.
    pub(super) fn turn_is_over(&self, slot: Slot, live: &Arc<Live>) {
        if self.shared.settings.lock != LockPolicy::Off {
            live.leases().end_left_turns(self.now);
            if self.sessions.get(slot).is_some_and(|entry| !entry.grips) {
                live.ring();
            }
        }
    }

    /// A client whose prompt waits does not hear that another one's turn has ended or failed: an SDK's `sendAndWait` would take it
    /// for the end of its own. The runtime does the same for prompts in its own queue: one idle for all of them. As its prompt may
    /// be on its way to us, others hear of the end a moment later, and only if no other turn has begun meanwhile.
    pub(super) fn keeps_back_end(&mut self, session: &[u8], kind: &[u8], frame: &Frame<'_>) -> bool {
        let idle = match kind {
            b"session.idle" => true,
            b"session.error" | b"user.message" | b"assistant.turn_start" => false,
            _ => return false,
        };
        let Some(slot) = std::str::from_utf8(session).ok().and_then(|session| self.sessions.find(session)) else {
            return false;
        };
        if !idle && kind != b"session.error" {
            // Another turn: the end of the one before says nothing any more.
            self.sessions.drop_idle(slot);
            return false;
        }
        let at = self.now + SHORTLY;
        let Some(entry) = self.sessions.get_mut(slot) else { return false };
        if let Some(line) = &mut entry.in_line {
            line.kept_idle = idle;
            return true;
        }
        if entry.own_turn_awaited {
            return true;
        }
        let others = idle && !entry.grips && frame.is_whole() && self.orphan.is_none();
        if others {
            self.sessions.keep_idle(slot, at, frame.body().to_vec());
        }
        others
    }

    /// A prompt of this client for that session waits, or went out a moment ago and was not answered yet.
    pub(super) fn awaits_turn(&self, session: &str) -> bool {
        let entry = self.sessions.find(session).and_then(|slot| self.sessions.get(slot));
        entry.is_some_and(|entry| entry.in_line.is_some() || entry.own_turn_awaited)
    }

    /// Who has the lock, and since when; without the name of another tenant.
    fn locked(&self, holder: Option<&str>, held_for: Duration, ahead: u32) -> Refusal {
        let (tenant, address) = holder.and_then(|label| label.split_once('\n')).unwrap_or(("", ""));
        let mine = self.guest.as_ref().is_none_or(|guest| *guest.who.tenant == *tenant);
        let who =
            if mine && !address.is_empty() { format!("the client at {address}") } else { "another client".into() };
        let since = humantime::format_duration(Duration::from_millis(held_for.as_millis() as u64));
        let message = match holder {
            Some(_) => format!("the turn of {who} has been running for {since}"),
            None => format!("{ahead} other clients wait for their turn before this one"),
        };
        let data = json!({
            "holder": if holder.is_some() { json!(who) } else { json!(null) },
            "held_for_ms": held_for.as_millis() as u64,
            "position": ahead + 1,
        });
        Refusal { message: message.into(), data, ..Refusal::plain(Reason::SessionLocked, "") }
    }

    /// This client's turn is over, if it is: the next one in line may have the lock.
    pub(super) fn give_back_turn(&mut self, slot: Slot) {
        let Some(entry) = self.sessions.get(slot).filter(|entry| entry.grips) else { return };
        let over = entry.is_at_rest();
        let Some(live) = self.live(slot).filter(|live| over && !live.is_busy()) else { return };
        let waits = |open: &Open| matches!(&open.purpose, Purpose::Send(of) if *of == slot);
        let held =
            self.sessions.get(slot).and_then(|entry| entry.away.as_ref()).is_some_and(|away| !away.held.is_empty());
        if held || self.requests.iter().any(|(_, open)| waits(open)) {
            return;
        }
        self.sessions.grips(slot, false);
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.own_turn_awaited = false;
        }
        live.leases().unlock(&live, self.caller.number);
    }

    /// Looks at every line that this client stands in, and every lock that it has. With every tick.
    pub(super) fn look_after_turns(&mut self, out: &mut Output) {
        for slot in self.sessions.slots(|entry| entry.grips) {
            self.give_back_turn(slot);
        }
        let now = self.now;
        for slot in self.sessions.slots(|entry| entry.late_idle.as_ref().is_some_and(|late| late.0 <= now)) {
            if let Some(body) = self.sessions.drop_idle(slot) {
                self.tell(&body, out);
            }
        }
        for slot in self.sessions.slots(|entry| entry.in_line.is_some()) {
            let Some(live) = self.live(slot) else {
                let refusal = Refusal::plain(Reason::SessionLost, "the session's backend is gone; resume the session");
                self.refuse_line(slot, LockOutcome::Rejected, &refusal, out);
                continue;
            };
            let rested = |asked: Instant| now.saturating_duration_since(asked) >= AGAIN;
            if let Some(line) = self.sessions.get_mut(slot).and_then(|entry| entry.in_line.as_mut())
                && line.asked.is_none_or(rested)
            {
                line.asked = None;
            }
            self.look_at_line(slot, &live, out);
        }
    }

    /// The client will say nothing more: what waits for its turn is not said.
    pub(super) fn leave_lines(&mut self, out: &mut Output) {
        for slot in self.sessions.slots(|entry| entry.in_line.is_some()) {
            let refusal = Refusal::plain(Reason::SessionLocked, "the client has gone before its turn came");
            self.refuse_line(slot, LockOutcome::TimedOut, &refusal, out);
        }
        // Nor is anything opened for it that it was still waiting for.
        let waits = |entry: &super::sessions::Entry| entry.away.as_ref().is_some_and(|away| away.in_line);
        for slot in self.sessions.slots(waits) {
            let refusal = Refusal::plain(Reason::Capacity, "the client has gone before there was room");
            self.send_away(slot, &refusal, out);
        }
    }

    /// A prompt that waits is not wanted any more. `false`: it does not wait.
    pub(super) fn cancel_in_line(&mut self, slot: Slot, id: &RequestId) -> bool {
        let Some(line) = self.sessions.get_mut(slot).and_then(|entry| entry.in_line.as_mut()) else { return false };
        line.held.retain(|held| held.id.as_ref() != Some(id));
        if line.held.is_empty() {
            self.sessions.leave_line(slot);
        }
        true
    }
}
