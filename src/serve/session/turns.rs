//! What events tell of a session's turn, and of its end.

use super::{
    chunk::Frame,
    client::Client,
    open::{Open, Purpose},
    sessions::Slot,
};
use crate::{
    mux::LinkId,
    session::{Ended, EventKind, TurnEnd},
    telemetry::TurnOutcome,
};

impl Client {
    pub(super) fn session_event(&mut self, link: LinkId, session: &[u8], kind: &[u8], frame: &Frame<'_>) {
        let Ok(session) = std::str::from_utf8(session) else { return };
        let Some(slot) = self.sessions.find(session) else { return };
        let Some(entry) = self.sessions.get_mut(slot).filter(|entry| entry.link == link) else { return };
        entry.pending.note(kind, frame.body(), frame.is_whole());
        if entry.fresh.is_none() {
            entry.told.note(kind, frame.body(), frame.is_whole());
        }
        self.heard(slot);
        let Some(kind) = EventKind::of(kind) else { return };
        let now = self.now;
        let Some(entry) = self.sessions.get_mut(slot) else { return };
        if kind == EventKind::Started {
            entry.doubtful = None;
        }
        let Some(live) = entry.attachment.as_ref().map(|attachment| attachment.live().clone()) else { return };
        if kind == EventKind::Idle && entry.own_turn_awaited {
            // It is the end of the turn that this client had waited for.
            return;
        }
        if kind == EventKind::Idle && entry.sends > 0 {
            // An answer to a prompt is still open: most likely the idle that came is an earlier turn's.
            entry.doubtful = Some(now);
            return;
        }
        let (first_delta, ended) = live.event(self.caller.number, kind, self.now);
        if let Some(after) = first_delta {
            self.shared.pool.first_delta.observe(after.as_secs_f64());
        }
        self.count_turn(slot, ended);
        if ended.is_some() {
            self.turn_is_over(slot, &live);
        }
        match kind {
            EventKind::Started => self.sessions.confirm_turn(slot),
            EventKind::Delta => self.sessions.delta_came(slot),
            EventKind::Idle => {
                if let Some(entry) = self.sessions.get_mut(slot) {
                    entry.told.rested();
                }
                self.sessions.end_turn(slot);
                self.give_back_turn(slot);
                self.leave_drained_home(slot, &live);
            }
            // The session ended at its home; whoever resumes it is placed anew. One that this client ends itself is still
            // there until that is answered (15 to 47 ms later, measured on 1.0.102).
            EventKind::Shutdown => match self.is_being_ended(slot) {
                true => self.sessions.shut_down(slot),
                false => {
                    self.spare(&live);
                    self.end_session(slot);
                }
            },
            EventKind::Failed | EventKind::Aborted => {}
        }
    }

    pub(super) fn count_turn(&self, slot: Slot, ended: Option<Ended>) {
        let (Some(ended), Some(entry)) = (ended, self.sessions.get(slot)) else { return };
        let outcome = match ended.end {
            TurnEnd::Idle => TurnOutcome::Idle,
            TurnEnd::Error => TurnOutcome::Error,
            TurnEnd::Aborted => TurnOutcome::Aborted,
            TurnEnd::BackendLost => TurnOutcome::BackendLost,
            TurnEnd::ClientLost => TurnOutcome::ClientLost,
            TurnEnd::Stalled => TurnOutcome::Stalled,
        };
        self.shared.backend(&entry.home.name).turns.get(outcome).inc();
        self.shared.pool.turn_duration.observe(ended.took.as_secs_f64());
    }

    pub(super) fn has_shut_down(&self, slot: Slot) -> bool {
        self.sessions.get(slot).is_some_and(|entry| entry.shut_down)
    }

    fn is_being_ended(&self, slot: Slot) -> bool {
        let ends = |open: &Open| match &open.purpose {
            Purpose::Detach(of) | Purpose::End(of) | Purpose::Delete(Some(of), _) => *of == slot,
            _ => false,
        };
        self.requests.iter().any(|(_, open)| ends(open))
    }

    /// A prompt was answered: queued, or refused, in which case no turn comes of it; one that runs already goes on.
    pub(super) fn sent(&mut self, slot: Slot, ok: bool) {
        let Some(entry) = self.sessions.get_mut(slot) else { return };
        entry.sends = entry.sends.saturating_sub(1);
        entry.own_turn_awaited = false;
        entry.own_turn |= ok;
        entry.confirmed |= ok;
        if !ok {
            entry.told.unprompted();
        }
        if entry.confirmed || entry.sends > 0 {
            return;
        }
        let ended = entry.attachment.as_ref().and_then(|held| held.live().end_turn(TurnEnd::Error, self.now));
        self.count_turn(slot, ended);
        self.sessions.end_turn(slot);
    }
}
