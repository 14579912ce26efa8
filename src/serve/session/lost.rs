//! A session that cannot be had any more: its client is told, and what waits for it is answered.

use super::{client::Client, sessions::Slot, workspace::Output};
use crate::{telemetry::LinkEnd, wire::Reason};

impl Client {
    /// It cannot be had any more. One that was at home until now is another proxy's: nothing may be said to it from here.
    pub(super) fn leave_lost(&mut self, slot: Slot, out: &mut Output) {
        let Some(entry) = self.sessions.get(slot) else { return };
        let (link, at_home, busy, session) = (entry.link, entry.away.is_none(), entry.busy, entry.id.clone());
        self.lose_session(slot, out);
        if at_home {
            if busy {
                self.sessions.end_turn(slot);
                self.tell_turn_error(&session, "session_lost", "another proxy has this session now; resume it", out);
                self.tell_idle(&session, out);
            }
            self.lose_link(link, LinkEnd::Cut, out);
        }
    }

    /// It cannot be had any more: what waits for it is told so; a resume places it anew.
    pub(super) fn lose_session(&mut self, slot: Slot, out: &mut Output) {
        let away = self.sessions.take_away(slot);
        self.tell_end_of_cut(slot, away.as_deref(), false, out);
        if let Some(attachment) = self.sessions.get_mut(slot).and_then(|entry| entry.attachment.take()) {
            self.spare(attachment.live());
            // Others may be attached where this client could not follow.
            if attachment.live().clients() > 1 && attachment.live().cause().is_some() && !attachment.live().is_lost() {
                attachment.detach();
            } else {
                attachment.close();
            }
        }
        for held in away.into_iter().flat_map(|away| away.held) {
            let open = held.id.as_ref().and_then(|id| self.requests.take(id));
            if let (Some(id), Some(open)) = (&held.id, open) {
                self.count_refusal(&open, Reason::SessionLost);
                let message = "the session's backend is gone, and no other one could open it; resume the session";
                self.answer_error(Some(id), Reason::SessionLost, message, out);
            }
        }
    }
}
