//! What a lost link had not delivered of a session: persisted events are fetched and delivered once, in their order, and
//! a turn that was cut gets its end.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    away::Away,
    chunk::Frame,
    client::Client,
    moving::Errand,
    open::{Own, OwnPurpose},
    sessions::Slot,
    workspace::Output,
};
use crate::wire::{
    glance::{Glance, glance},
    reply,
};

/// The runtime gives at most so many at once.
const MOST: usize = 1000;

/// What of a session's lasting events this client was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// The id of the last one whose id is known.
    id: Option<[u8; 36]>,
    /// Those that came after it.
    after: u32,
    /// The last one was the end of a turn.
    turn_end: bool,
    /// A turn of it was told: it is on the disk.
    spoken: bool,
    /// Prompts of this client of which it has not been told that a turn took them up.
    prompts: u32,
}

impl Told {
    /// An event of which `body` is there was sent. Its id is among its last keys (measured on 1.0.102: `id`, `timestamp`,
    /// `parentId`); of a large one that flows the end is not there yet.
    pub fn note(&mut self, kind: &[u8], body: &[u8], whole: bool) {
        self.spoken |= kind == b"assistant.turn_end";
        if kind == b"user.message" {
            self.prompts = self.prompts.saturating_sub(1);
        }
        if !whole {
            (self.after, self.turn_end) = (self.after + 1, false);
        } else if let Some(id) = lasting_id(body) {
            let turn_end = kind == b"assistant.turn_end";
            *self = Self { id: Some(id), after: 0, turn_end, ..*self };
        }
    }

    /// Whether a turn of it was told to its end.
    pub fn has_spoken(&self) -> bool {
        self.spoken
    }

    /// A prompt goes to the backend.
    pub fn prompted(&mut self) {
        self.prompts += 1;
    }

    /// One was refused, or its end is told by its answer.
    pub fn unprompted(&mut self) {
        self.prompts = self.prompts.saturating_sub(1);
    }

    /// The session is idle: no prompt waits, whatever became of each.
    pub fn rested(&mut self) {
        self.prompts = 0;
    }
}

/// The id of an event that is kept in the history.
fn lasting_id(body: &[u8]) -> Option<[u8; 36]> {
    const KEY: &[u8] = br#""id":""#;
    let at = memchr::memmem::rfind(body, KEY)?;
    let start = at + KEY.len();
    let id: [u8; 36] = body.get(start..start + 36)?.try_into().ok()?;
    // It stands before the id, or right behind the type.
    let ephemeral = br#""ephemeral":true,"#;
    let kind_end = memchr::memmem::find(body, br#""event":{"type":""#)
        .and_then(|at| memchr::memmem::find(&body[at + 17..], br#"","#).map(|end| at + 17 + end + 2));
    let first = kind_end.is_some_and(|at| body[at..].starts_with(ephemeral));
    let uuid = id.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    (uuid && !first && !body[..at].ends_with(ephemeral)).then_some(id)
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Log<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    #[serde(default)]
    cursor_status: Option<&'a str>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

/// What the log says after the last event that the client was sent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Missed<'a> {
    /// In their order.
    events: Vec<&'a str>,
    /// The last of them ends a turn, or, where there are none, the last one that was sent does if any does.
    ended: bool,
}

/// Reads the answer to `session.eventLog.read`. `after`: so many were sent that came behind the cursor. `until`: the first event
/// that is not wanted, instead of the one that says that the session lives again.
fn read_log(body: &[u8], after: usize, until: Option<[u8; 36]>) -> Missed<'_> {
    let Ok(Answer { result: log }) = serde_json::from_slice::<Answer<'_>>(body) else { return Missed::default() };
    // With a cursor that it does not know the runtime begins at the begin: then nothing that lasts is newer than what was sent.
    if log.cursor_status != Some("ok") {
        return Missed::default();
    }
    let kind =
        |event: &RawValue| serde_json::from_str::<Kind<'_>>(event.get()).map_or("", |event| event.kind).to_owned();
    let old = log.events.iter().take_while(|event| match until {
        Some(id) => memchr::memmem::find(event.get().as_bytes(), &id).is_none(),
        None => !matches!(&*kind(event), "session.resume" | "session.shutdown"),
    });
    let old: Vec<&RawValue> = old.copied().collect();
    let last = old.last().map(|event| kind(event));
    let events = old.into_iter().skip(after).map(RawValue::get).collect();
    Missed { events, ended: last.is_none_or(|kind| kind == "assistant.turn_end") }
}

impl Client {
    /// The session lives again. If a turn of it was cut, what was not delivered is asked for; what comes meanwhile waits.
    pub(super) fn fetch_missed(&mut self, slot: Slot, out: &mut Output) {
        let Some(entry) = self.sessions.get(slot) else { return };
        let cut = entry.away.as_ref().is_some_and(|away| away.cut.is_some() || away.spared);
        let (link, session) = (entry.link, entry.id.clone());
        let Some(id) = entry.told.id.filter(|_| cut) else { return self.finish_cut(slot, false, out) };
        let cursor = String::from_utf8_lossy(&id);
        let params =
            format!(r#"{{"sessionId":"{session}","cursor":"{cursor}","includeEphemeral":false,"max":{MOST}}}"#);
        let own = self.own.open(Own { link, purpose: OwnPurpose::Move(slot, Errand::Missed) });
        let until = self.now + self.shared.settings.move_timeout;
        if let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) {
            away.asked = Some(super::away::Asked { link, until });
        }
        let body = reply::request(&own, "session.eventLog.read", &params);
        self.send(&Frame::of_body(&body), Some(&own), link, out);
    }

    /// The log was read: what was missed is delivered, then the turn gets its end.
    pub(super) fn missed_told(&mut self, slot: Slot, answer: Option<(&[u8], bool)>, out: &mut Output) {
        let Some(entry) = self.sessions.get(slot) else { return };
        let (session, told) = (entry.id.clone(), entry.told);
        let waits = entry.away.as_ref().is_some_and(|away| away.cut.is_some());
        // What came since this client is there again lies here already: from its first event on.
        let spared = entry.away.as_ref().is_some_and(|away| away.spared);
        let first = entry.fresh.iter().flatten().find_map(|body| lasting_id(body)).filter(|_| spared);
        let missed = match answer {
            Some((body, true)) => read_log(body, told.after as usize, first),
            _ => Missed::default(),
        };
        self.shared.pool.journeys.missed.inc_by(missed.events.len() as u64);
        for event in &missed.events {
            let body = format!(
                r#"{{"jsonrpc":"2.0","method":"session.event","params":{{"sessionId":"{session}","event":{event}}}}}"#
            );
            self.tell_event(slot, body.as_bytes(), out);
        }
        // A turn that ended before its home was lost ends as it would have.
        // One that nobody took up, or of which nothing is on the disk, has not.
        let unheard = self.sessions.get(slot).is_some_and(|entry| entry.told.prompts > 0);
        let ended = missed.ended && !unheard && (!missed.events.is_empty() || told.turn_end);
        if waits {
            return self.finish_cut(slot, ended, out);
        }
        self.finish_fresh(slot, out);
        self.advance(slot, out);
    }

    /// Keeps an event back that has to wait for others. `true`: kept.
    pub(super) fn keeps_back(&mut self, session: &[u8], frame: &Frame<'_>) -> bool {
        let slot = std::str::from_utf8(session).ok().and_then(|session| self.sessions.find(session));
        let fresh = slot.and_then(|slot| self.sessions.get_mut(slot)).and_then(|entry| entry.fresh.as_mut());
        match fresh {
            Some(fresh) => {
                fresh.push(frame.body().to_vec());
                true
            }
            None => false,
        }
    }

    /// Events that were kept back are told.
    pub(super) fn finish_fresh(&mut self, slot: Slot, out: &mut Output) {
        let Some(fresh) = self.sessions.take_fresh(slot) else { return };
        for body in fresh {
            self.tell_event(slot, &body, out);
        }
    }

    /// Tells an event that lay here.
    pub(super) fn tell_event(&mut self, slot: Slot, body: &[u8], out: &mut Output) {
        if let (Some(Glance::Event { kind, .. }), Some(entry)) = (glance(body, true), self.sessions.get_mut(slot)) {
            entry.told.note(kind, body, true);
        }
        self.tell(body, out);
    }

    /// The end of a cut turn, if one waits for it; then what came from the new home meanwhile.
    fn finish_cut(&mut self, slot: Slot, ended: bool, out: &mut Output) {
        let away = self.sessions.take_away(slot);
        self.tell_end_of_cut(slot, away.as_deref(), ended, out);
        if let Some(mut away) = away {
            away.cut = None;
            self.sessions.set_away(slot, *away);
        }
        self.finish_fresh(slot, out);
        self.advance(slot, out);
    }

    /// Tells the end of a cut turn that waited long enough for what was missed.
    pub(super) fn tell_late_cut(&mut self, slot: Slot, out: &mut Output) {
        let away = self.sessions.get(slot).and_then(|entry| entry.away.as_ref());
        if away.and_then(|away| away.cut).is_some_and(|until| until <= self.now) {
            self.finish_cut_late(slot, out);
        }
    }

    fn finish_cut_late(&mut self, slot: Slot, out: &mut Output) {
        let Some(mut away) = self.sessions.take_away(slot) else { return };
        self.tell_end_of_cut(slot, Some(&away), false, out);
        away.cut = None;
        self.sessions.set_away(slot, *away);
    }

    /// Ends the turn of a session that was away, as the runtime would have.
    pub(super) fn tell_end_of_cut(&mut self, slot: Slot, away: Option<&Away>, ended: bool, out: &mut Output) {
        let Some(away) = away.filter(|away| away.cut.is_some()) else { return };
        let ended = ended || away.finished;
        let Some(session) = self.sessions.get(slot).map(|entry| entry.id.clone()) else { return };
        self.sessions.end_turn(slot);
        if !ended {
            self.tell_turn_error(&session, "backend_lost", "the backend was lost in the middle of this turn", out);
        }
        self.tell_idle(&session, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8f2b3c7e-1111-4222-8333-444455556666";

    fn event(rest: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","method":"session.event","params":{{"sessionId":"s","event":{{"type":"x",{rest},"timestamp":"t","parentId":null}}}}}}"#
        )
    }

    #[test]
    fn only_lasting_events_are_noted() {
        let id = |text: String| lasting_id(text.as_bytes()).map(|id| String::from_utf8(id.to_vec()).unwrap());
        assert_eq!(id(event(&format!(r#""data":{{"id":"other"}},"id":"{ID}""#))).as_deref(), Some(ID));
        assert_eq!(id(event(&format!(r#""data":{{}},"ephemeral":true,"id":"{ID}""#))), None);
        assert_eq!(id(event(&format!(r#""ephemeral":true,"data":{{}},"id":"{ID}""#))), None);
        assert_eq!(id("{}".into()), None);
        let mut told = Told::default();
        told.note(b"x", event(&format!(r#""data":{{}},"id":"{ID}""#)).as_bytes(), true);
        told.note(b"x", b"{\"jsonrpc\"", false);
        assert_eq!((told.id.is_some(), told.after), (true, 1));
    }

    #[test]
    fn prompts_are_unheard_until_a_turn_takes_them_up() {
        let mut told = Told::default();
        let body = event(&format!(r#""data":{{}},"id":"{ID}""#));
        told.prompted();
        told.prompted();
        told.note(b"assistant.turn_end", body.as_bytes(), true);
        assert_eq!((told.prompts, told.turn_end), (2, true));
        told.note(b"user.message", body.as_bytes(), true);
        assert_eq!(told.prompts, 1);
        told.unprompted();
        told.unprompted();
        assert_eq!(told.prompts, 0);
        told.prompted();
        told.rested();
        assert_eq!(told.prompts, 0);
    }

    #[test]
    fn the_log_after_the_cursor_is_what_was_missed() {
        let log = |events: &str, status: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":"pilotfish-1","result":{{"events":[{events}],"cursor":"c","hasMore":false,"cursorStatus":"{status}"}}}}"#
            )
        };
        let text = log(
            r#"{"type":"assistant.message","id":"1"},{"type":"assistant.turn_end","id":"2"},{"type":"session.resume","id":"3"}"#,
            "ok",
        );
        let missed = read_log(text.as_bytes(), 0, None);
        assert_eq!((missed.events.len(), missed.ended), (2, true));
        assert_eq!(read_log(text.as_bytes(), 1, None).events.len(), 1);
        let text = log(r#"{"type":"assistant.message","id":"1"}"#, "ok");
        assert!(!read_log(text.as_bytes(), 0, None).ended);
        assert_eq!(read_log(log(r#"{"type":"x"}"#, "expired").as_bytes(), 0, None), Missed::default());
        assert_eq!(read_log(b"garbage", 0, None), Missed::default());
    }
}
