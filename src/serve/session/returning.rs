//! A client comes back for a session that a lost one keeps: it attaches to the living home, is told what it missed, once and
//! in order, and goes on by itself.
//!
//! The lost client's connection still has its tools registered, and the runtime refuses the same tools of a second one
//! ("External tool name clash", measured on 1.0.102). So it attaches without tools first, then the lost one lets go, then
//! its own resume goes out as it came.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    away::Away,
    calls::Call,
    client::Client,
    link::Held,
    moving::Errand,
    open::{NO_LINK, Open, Purpose},
    sessions::Slot,
    workspace::Output,
};
use crate::{
    mux::LinkId,
    session::Live,
    wire::{RequestId, reply},
};

/// If its own link has told nothing for so long since it attached, nothing was told that the lost one's link had not.
const SILENCE: Duration = Duration::from_millis(150);

/// So often.
const TRIES: u8 = 20;

/// The same where the lost client is another proxy's: that one hears of it within half a second, and lets go a second later.
const TRIES_ELSEWHERE: u8 = 100;

/// How far a client is that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returning {
    /// It attaches, without what could clash.
    Attaching,
    /// Both links tell the same: it waits for the first event on its own that the other one had, too.
    Comparing(Instant),
    /// It sends its resume again then.
    Again(Instant),
    /// It has what it missed, and waits until the lost one has let go.
    Waiting,
}

/// The runtime's word for a tool that the lost client's connection still has.
const CLASH: &[u8] = b"tool name clash";

/// The kernel brings it the end of that connection in a moment.
const MOMENT: Duration = Duration::from_millis(50);

/// A resume that may have to be sent again.
#[derive(Debug)]
pub struct Comeback {
    body: Zeroizing<Vec<u8>>,
    tries: u8,
}

impl Client {
    /// Whether a resume was refused only because the lost client's connection has not ended yet.
    pub(super) fn clashes(&self, slot: Slot, body: &[u8]) -> bool {
        let Some(entry) = self.sessions.get(slot) else { return false };
        let again = match &entry.comeback {
            Some(comeback) => comeback.tries > 0,
            // The lost client may be another proxy's.
            None => self.shared.router.registry().leases().is_shared() && entry.params.is_some(),
        };
        again && memchr::memmem::find(body, CLASH).is_some()
    }

    /// Attaches without tools beside a lost client of another proxy, which lets go when it has heard of that; until then the turn
    /// has somebody, and the resume is sent again and again.
    fn come_from_elsewhere(&mut self, id: &RequestId, open: Open, slot: Slot, out: &mut Output) {
        let Some(entry) = self.sessions.get_mut(slot) else { return };
        let Some(params) = entry.params.clone() else { return };
        let (link, body) = (entry.link, params.resume(id));
        let mut away = Away::new(self.now);
        away.returning = Some(Returning::Attaching);
        away.held.push(Held { id: Some(id.clone()), body: body.to_vec() });
        entry.comeback = Some(Box::new(Comeback { body, tries: TRIES_ELSEWHERE }));
        self.requests.open(id.clone(), Open { link: NO_LINK, purpose: Purpose::Held, ..open });
        self.sessions.set_away(slot, away);
        self.sessions.withhold(slot);
        let quiet = params.without_tools();
        let body = |id: &_| Zeroizing::new(reply::request(id, "session.resume", &quiet));
        self.send_errand(slot, link, Errand::Return, body, out);
    }

    /// Sends the resume once more in a moment. `false`: its answer goes nowhere.
    pub(super) fn try_again_soon(&mut self, id: &RequestId, open: Open, slot: Slot, out: &mut Output) -> bool {
        if self.sessions.get(slot).is_some_and(|entry| entry.comeback.is_none()) {
            self.come_from_elsewhere(id, open, slot, out);
            return false;
        }
        let mut away = Away::new(self.now);
        away.returning = Some(Returning::Again(self.now + MOMENT));
        if let Some(comeback) = self.sessions.get_mut(slot).and_then(|entry| entry.comeback.as_mut()) {
            comeback.tries -= 1;
            away.held.push(Held { id: Some(id.clone()), body: comeback.body.to_vec() });
        }
        self.requests.open(id.clone(), Open { link: NO_LINK, purpose: Purpose::Held, ..open });
        self.sessions.set_away(slot, away);
        self.hurry();
        false
    }

    /// Attaches to a session that a lost client keeps; `call` goes on when that is done.
    pub(super) fn come_back(&mut self, call: &Call<'_>, slot: Slot, link: LinkId, out: &mut Output) {
        let mut away = Away::new(self.now);
        away.returning = Some(Returning::Attaching);
        self.sessions.set_away(slot, away);
        self.sessions.withhold(slot);
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.comeback = Some(Box::new(Comeback { body: call.body().to_vec().into(), tries: TRIES }));
        }
        let params =
            self.sessions.get(slot).and_then(|entry| entry.params.as_ref().map(|params| params.without_tools()));
        let Some(params) = params else { return };
        tracing::debug!(conn = self.caller.number, "back for a session that a lost client keeps");
        let body = |id: &_| Zeroizing::new(reply::request(id, "session.resume", &params));
        self.send_errand(slot, link, Errand::Return, body, out);
        self.hold_call(call, slot, out);
    }

    /// It is attached, or cannot be.
    pub(super) fn returned(&mut self, slot: Slot, live: &Arc<Live>, ok: bool, out: &mut Output) {
        let now = self.now;
        if let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) {
            away.returning = ok.then_some(Returning::Comparing(now));
        }
        if ok && live.is_busy() {
            self.sessions.confirm_turn(slot);
        }
        self.advance(slot, out);
    }

    /// The next step of a client that comes back. `true`: it is not through yet.
    pub(super) fn go_on_returning(&mut self, slot: Slot, live: &Arc<Live>, out: &mut Output) -> bool {
        let returning = |client: &Self| client.sessions.get(slot)?.away.as_ref()?.returning;
        if let Some(Returning::Comparing(since)) = returning(self) {
            self.compare(slot, live, since);
        }
        let now = self.now;
        let free = match returning(self) {
            Some(Returning::Waiting) => !live.is_kept(),
            Some(Returning::Again(at)) => at <= now,
            _ => false,
        };
        if free {
            if let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) {
                away.returning = None;
            }
            self.come_home(slot, out);
        }
        returning(self).is_some()
    }

    fn compare(&mut self, slot: Slot, live: &Arc<Live>, since: Instant) {
        let Some(entry) = self.sessions.get_mut(slot) else { return };
        let Some(fresh) = &mut entry.fresh else { return };
        let first = fresh.iter().find_map(|event| event_id(event));
        let silent = self.now.saturating_duration_since(since) >= SILENCE;
        let missed = live.backlog(|backlog| {
            let met = first.and_then(|id| backlog.position(id));
            let others = backlog.is_taken();
            (met.is_some() || silent || others).then(|| {
                let mut events = backlog.take();
                events.truncate(met.unwrap_or(usize::MAX));
                events
            })
        });
        // `None`: the lost one is gone already, and what it had with it.
        let Some(mut missed) = missed.unwrap_or_else(|| Some(Vec::new())) else { return };
        missed.retain(|event| event_id(event).is_none_or(|id| !fresh.iter().any(|other| event_id(other) == Some(id))));
        let all = missed.into_iter().map(Vec::from).chain(fresh.drain(..)).collect();
        *fresh = all;
        if let Some(away) = &mut entry.away {
            away.returning = Some(Returning::Waiting);
        }
        live.ring();
    }
}

/// An event's own id: the last of that name (measured: `id`, `timestamp`, `parentId` stand at the end).
fn event_id(body: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = br#""id":""#;
    let start = memchr::memmem::rfind(body, KEY)? + KEY.len();
    body.get(start..start + 36)
}

/// Params of a resume without what a second connection of one session may not have, or would have twice.
pub(super) fn quiet_params(params: &str) -> Option<Zeroizing<String>> {
    let mut params: serde_json::Map<String, Value> = serde_json::from_str(params).ok()?;
    for key in ["tools", "hooks", "requestUserInput", "requestPermission", "requestElicitation", "continuePendingWork"]
    {
        params.remove(key);
    }
    params.insert("disableResume".into(), Value::Bool(true));
    Some(Zeroizing::new(Value::Object(params).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_stay_out_and_the_provider_stays_in() {
        let params = r#"{"sessionId":"s","tools":[{"name":"a"}],"provider":{"apiKey":"k"},"hooks":true}"#;
        let quiet: Value = serde_json::from_str(&quiet_params(params).unwrap()).unwrap();
        assert_eq!(quiet, serde_json::json!({"sessionId": "s", "provider": {"apiKey": "k"}, "disableResume": true}));
    }
}
