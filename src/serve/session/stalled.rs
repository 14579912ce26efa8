//! A turn of which nothing is heard: its backend is asked whether it runs at all. If it has ended, what was missed of it is
//! told; otherwise it is ended with an error, for nobody would ever hear of it.

use std::time::Instant;

use super::{
    away::Away,
    chunk::Frame,
    client::Client,
    link::Link,
    open::{Own, OwnPurpose},
    sessions::{Entry, Slot},
    workspace::Output,
};
use crate::{
    session::{Live, TurnEnd},
    telemetry::StallEnd,
    wire::reply,
};

/// Pieces of an answer are not noted one by one. Before a turn is called silent they are listened for during this part of the
/// time that it may be silent.
const LISTEN: u32 = 4;

/// When something was last heard of a session.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    at: Instant,
    /// Listens for pieces of an answer, too.
    listening: bool,
    /// Its backend was asked.
    asked: bool,
}

impl Heard {
    /// Now.
    pub fn now(now: Instant) -> Self {
        Self { at: now, listening: false, asked: false }
    }

    /// It is listened to.
    pub fn is_listening(&self) -> bool {
        self.listening
    }
}

impl Client {
    /// Something of a session was heard.
    pub(super) fn heard(&mut self, slot: Slot) {
        let now = self.now;
        let Some(entry) = self.sessions.get_mut(slot) else { return };
        let listened = std::mem::replace(&mut entry.heard, Heard::now(now)).listening;
        if listened {
            self.sessions.stop_listening();
        }
    }

    /// Looks at every turn for silence. Called with every tick.
    pub(super) fn look_at_silence(&mut self, out: &mut Output) {
        let Some(limit) = self.shared.settings.stall_after else { return };
        let now = self.now;
        let since = |heard: &Heard| now.saturating_duration_since(heard.at);
        let silent = self.sessions.slots(|entry| {
            entry.busy
                && entry.sends == 0
                && entry.away.is_none()
                && entry.pending.is_idle()
                && since(&entry.heard) >= limit
        });
        for slot in silent {
            if self.waits_for_client(slot) {
                continue;
            }
            let Some(entry) = self.sessions.get_mut(slot) else { continue };
            if !entry.heard.listening {
                entry.heard.listening = true;
                self.sessions.listen();
            } else if !entry.heard.asked && since(&entry.heard) >= limit + limit / LISTEN {
                entry.heard.asked = true;
                self.ask_activity(slot, OwnPurpose::Activity(slot), out);
            } else if entry.heard.asked
                && since(&entry.heard) >= limit + limit / LISTEN + self.shared.settings.move_timeout
            {
                // It does not even answer that.
                self.end_stalled(slot, out);
            }
        }
    }

    /// A backend waits for an answer of the client on this session's link.
    fn waits_for_client(&self, slot: Slot) -> bool {
        self.sessions.get(slot).is_some_and(|entry| self.asks.is_waiting(entry.link))
    }

    /// The backend said whether the session's turn runs.
    pub(super) fn activity_told(&mut self, slot: Slot, answer: Option<(&[u8], bool)>, out: &mut Output) {
        let Some(entry) = self.sessions.get(slot).filter(|entry| entry.busy && entry.heard.asked) else { return };
        let idle = answer.is_some_and(|(body, ok)| ok && says_idle(body));
        if !idle || entry.away.is_some() {
            return self.end_stalled(slot, out);
        }
        tracing::warn!(conn = self.caller.number, session = &*entry.id, "a turn had ended without a word");
        self.shared.pool.journeys.stalls.get(StallEnd::Finished).inc();
        self.end_unheard(slot, out);
    }

    fn ask_activity(&mut self, slot: Slot, purpose: OwnPurpose, out: &mut Output) {
        let Some(entry) = self.sessions.get(slot) else { return };
        let (link, params) = (entry.link, format!(r#"{{"sessionId":"{}"}}"#, entry.id));
        let own = self.own.open(Own { link, purpose });
        let body = reply::request(&own, "session.metadata.activity", &params);
        self.send(&Frame::of_body(&body), Some(&own), link, out);
    }

    /// Another client's link told of the turn, and is gone: the end may have come on this one when it did not count yet.
    pub(super) fn inherit_turn(&mut self, slot: Slot, live: &Live, out: &mut Output) {
        let Some(entry) = self.sessions.get(slot).filter(|entry| entry.open && entry.away.is_none()) else { return };
        let ready = self.links.get(entry.link as usize).and_then(Option::as_ref).is_some_and(Link::is_ready);
        if ready && live.succeeds(self.caller.number) {
            self.ask_activity(slot, OwnPurpose::Turn(slot), out);
        }
    }

    /// This client is there again. A turn that ran when it was not may have ended meanwhile.
    pub(super) fn check_turn(&mut self, slot: Slot, out: &mut Output) {
        if self.sessions.get(slot).is_some_and(|entry| entry.busy) {
            self.ask_activity(slot, OwnPurpose::Turn(slot), out);
        } else if let Some(live) = self.live(slot) {
            self.inherit_turn(slot, &live, out);
        }
    }

    /// The backend said whether the turn still runs. If so, its end will come behind this answer.
    pub(super) fn turn_told(&mut self, slot: Slot, body: &[u8], ok: bool, out: &mut Output) {
        let over = |entry: &&Entry| ok && says_idle(body) && entry.away.is_none() && entry.sends == 0;
        let Some(entry) = self.sessions.get(slot).filter(over) else { return };
        if entry.busy {
            return self.end_unheard(slot, out);
        }
        let Some(live) = self.live(slot) else { return };
        let ended = live.end_turn(TurnEnd::Idle, self.now);
        if ended.is_some() {
            self.count_turn(slot, ended);
            self.turn_is_over(slot, &live);
        }
    }

    /// A turn has ended, and its client has not heard of it.
    fn end_unheard(&mut self, slot: Slot, out: &mut Output) {
        // From here on like a session that lives again after it was cut off.
        let mut away = Away::new(self.now);
        away.cut_turn(self.now);
        away.finished = true;
        let ended = self.live(slot).and_then(|live| live.end_turn(TurnEnd::Idle, self.now));
        self.count_turn(slot, ended);
        self.sessions.set_away(slot, away);
        self.sessions.withhold(slot);
        self.fetch_missed(slot, out);
    }

    fn end_stalled(&mut self, slot: Slot, out: &mut Output) {
        let Some(entry) = self.sessions.get_mut(slot) else { return };
        let (link, session) = (entry.link, entry.id.clone());
        (entry.sends, entry.doubtful) = (0, None);
        tracing::warn!(conn = self.caller.number, session = &*session, "a turn stood still and was ended");
        self.shared.pool.journeys.stalls.get(StallEnd::Ended).inc();
        let ended = self.live(slot).and_then(|live| live.end_turn(TurnEnd::Stalled, self.now));
        self.count_turn(slot, ended);
        self.heard(slot);
        self.sessions.end_turn(slot);
        self.ask_abort(link, &session, out);
        self.tell_turn_error(&session, "stalled", "nothing was heard of this turn for too long", out);
        self.tell_idle(&session, out);
    }
}

fn says_idle(body: &[u8]) -> bool {
    memchr::memmem::find(body, br#""hasActiveWork":false"#).is_some()
}
