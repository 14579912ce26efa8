//! What backends send: answers go to whoever asked, their own requests get an id of ours, events tell about turns.

use serde::Deserialize;

use super::{
    chunk::Frame,
    client::Client,
    open::{Open, Own, OwnPurpose, Purpose},
    sessions::Slot,
    turnlock::LockPolicy,
    workspace::{CLIENT, Output},
};
use crate::{
    mux::LinkId,
    telemetry::{Dropped, Outcome},
    wire::{
        Methods, RequestId,
        frame::append_frame,
        glance::{Glance, glance},
        scan::Span,
    },
};

/// A server call whose answers come as separate requests that carry no session.
const PROVIDER_CALL: &[u8] = b"llmInference.httpRequestStart";
const CANCEL: &[u8] = b"$/cancelRequest";

impl Client {
    /// One whole frame of a backend.
    #[inline]
    pub(super) fn link_frame(&mut self, link: LinkId, frame: &Frame<'_>, out: &mut Output) {
        match glance(frame.body(), true) {
            Some(seen) => {
                self.link_message(link, frame, seen, out);
            }
            // An answer to nobody (`id: null`) or something unreadable: it cannot be attributed, so it helps nobody.
            None => self.shared.metrics.dropped.get(Dropped::Malformed).inc(),
        }
    }

    /// Handles a message of which at least the first part is there, and sends that on. `false`: it goes nowhere.
    #[inline]
    pub(super) fn link_message(&mut self, link: LinkId, frame: &Frame<'_>, seen: Glance<'_>, out: &mut Output) -> bool {
        match seen {
            Glance::Event { session, kind } => {
                if self.is_apart() && !self.sees_event(link, session) {
                    return false;
                }
                // Deltas are nearly all there is, and nothing but the first of a turn matters.
                if !kind.ends_with(b"_delta") || self.sessions.awaits_delta() {
                    let kept =
                        self.shared.settings.lock != LockPolicy::Off && self.keeps_back_end(session, kind, frame);
                    self.session_event(link, session, kind, frame);
                    if kept || kind == b"session.start" && self.begins_unseen(session) {
                        return false;
                    }
                }
                if self.sessions.withholds() && self.keeps_back(session, frame) {
                    return false;
                }
                if self.orphan.is_some() {
                    self.keep_for_return(session, frame);
                }
                self.pass_to_client(frame, out)
            }
            Glance::Answer { id, ok } => self.answer(link, frame, id, ok, out),
            Glance::Call { id: Some(id), method } => self.backend_call(link, frame, id, method, out),
            Glance::Call { id: None, method } => self.notification(link, frame, method, out),
        }
    }

    /// Whether an answer has to be whole before it is known where it goes.
    pub(super) fn needs_whole(&self, body: &[u8], seen: Glance<'_>) -> bool {
        let id = match seen {
            Glance::Answer { id, .. } => id,
            // Its request id, which the client's answers name, may stand behind a long prompt.
            Glance::Call { method, .. } => return self.is_apart() || method.of(body) == Some(PROVIDER_CALL),
            Glance::Event { .. } => return self.sessions.withholds() || self.orphan.is_some(),
        };
        let Some(id) = id.of(body).and_then(RequestId::read) else { return true };
        let open = self.requests.get(&id);
        if open.is_some_and(|open| self.is_apart() && !Methods::get().row(open.method).result_ids.is_empty()) {
            return true;
        }
        id.own_number().is_some()
            || matches!(
                open.map(|open| &open.purpose),
                Some(Purpose::Search(_) | Purpose::Learn | Purpose::End(_) | Purpose::Delete(..))
            )
    }

    /// Sends a frame on as it came. While another backend's large frame is on its way to the client, this link is not read
    /// (`poll_link`), so it cannot come between.
    #[inline]
    fn pass_to_client(&mut self, frame: &Frame<'_>, out: &mut Output) -> bool {
        self.meter.frames_out += 1;
        frame.pass(CLIENT, out);
        true
    }

    /// A frame of ours to the client.
    pub(super) fn tell(&mut self, body: &[u8], out: &mut Output) {
        self.meter.frames_out += 1;
        if self.flow_from.is_some() {
            append_frame(&mut self.after_flow, body);
        } else {
            out.frame(CLIENT, body);
        }
    }

    fn answer(&mut self, link: LinkId, frame: &Frame<'_>, token: Span, ok: bool, out: &mut Output) -> bool {
        let id = token.of(frame.body()).and_then(RequestId::read);
        let Some(id) = id else {
            self.shared.metrics.dropped.get(Dropped::Malformed).inc();
            return false;
        };
        if let Some(number) = id.own_number() {
            self.own_answer(link, number, frame, ok, out);
            return false;
        }
        // Only the link that holds the request may answer it.
        if self.requests.get(&id).is_none_or(|open| open.link != link) {
            self.shared.metrics.dropped.get(Dropped::StrayAnswer).inc();
            return false;
        }
        let Some(mut open) = self.requests.take(&id) else { return false };
        tracing::trace!(conn = self.caller.number, %id, ok, bytes_out = frame.body_len, "answer");
        match std::mem::replace(&mut open.purpose, Purpose::Plain) {
            Purpose::Plain | Purpose::On(_) => {}
            Purpose::Search(search) => match self.found_or_on(&id, &mut open, search, frame.body(), ok, out) {
                true => {}
                false => {
                    self.requests.open(id, open);
                    return false;
                }
            },
            Purpose::Attach { slot, known: false } if !ok && self.clashes(slot, frame.body()) => {
                return self.try_again_soon(&id, open, slot, out);
            }
            purpose => {
                let attached = if let Purpose::Attach { slot, .. } = &purpose { Some(*slot) } else { None };
                self.settle(purpose, link, frame.body(), ok, out);
                if let Some(slot) =
                    attached.filter(|slot| self.sessions.get(*slot).is_some_and(|of| of.fresh.is_some()))
                {
                    // What waits for it comes behind its answer.
                    self.count_answer(&open, ok);
                    self.tell(frame.body(), out);
                    self.finish_fresh(slot, out);
                    return false;
                }
            }
        }
        self.count_answer(&open, ok);
        if ok && !self.sees_answer(&open, frame.body()) {
            return self.hide_answer(&id, &open, out);
        }
        self.pass_to_client(frame, out)
    }

    /// What an answer means for the sessions of this client.
    fn settle(&mut self, purpose: Purpose, link: LinkId, body: &[u8], ok: bool, out: &mut Output) {
        match purpose {
            Purpose::Connect if self.links[link as usize].as_ref().is_some_and(|link| !link.is_ready()) => {
                self.greeted(link, out);
            }
            Purpose::Send(slot) => self.sent(slot, ok),
            Purpose::Attach { slot, known } => {
                self.attach_answered(slot, known, ok);
                self.note_workspace(slot, body);
            }
            Purpose::Detach(slot) if ok => self.let_session_go(slot),
            // It had ended by itself meanwhile.
            Purpose::Detach(slot) | Purpose::End(slot) | Purpose::Delete(Some(slot), _) if self.has_shut_down(slot) => {
                self.finish_session(slot);
            }
            Purpose::End(slot) if ok && was_done(body) => self.finish_session(slot),
            Purpose::Delete(slot, session) if ok && was_done(body) => {
                slot.into_iter().for_each(|slot| self.finish_session(slot));
                self.forget_owner(&session);
            }
            Purpose::Learn if ok => self.learnt(body, link),
            Purpose::Setting(slot, call) if ok => {
                if let Some(entry) = self.sessions.get_mut(slot) {
                    entry.settled.note(&Methods::get().row(call.0).name, &call.1);
                }
            }
            _ => {}
        }
    }

    fn attach_answered(&mut self, slot: Slot, known: bool, ok: bool) {
        if ok {
            self.attached(slot);
        } else if !known {
            let entry = self.sessions.get(slot).filter(|entry| entry.claimed);
            if let Some(id) = entry.map(|entry| entry.id.clone()) {
                self.forget_owner(&id);
            }
            self.let_session_go(slot);
        }
    }

    /// `true`: the search has ended and its answer is the client's.
    fn found_or_on(
        &mut self,
        id: &RequestId,
        open: &mut Open,
        search: Box<super::open::Search>,
        body: &[u8],
        ok: bool,
        out: &mut Output,
    ) -> bool {
        let search = if is_miss(body, ok) {
            match self.search_on(id, open, search, out) {
                Some(search) => search,
                None => return false,
            }
        } else {
            search
        };
        if let Some(slot) = search.slot {
            self.attach_answered(slot, false, ok);
        }
        true
    }

    fn own_answer(&mut self, link: LinkId, number: u64, frame: &Frame<'_>, ok: bool, out: &mut Output) {
        let Some(own) = self.own.take(number) else {
            return self.shared.metrics.dropped.get(Dropped::LateAnswer).inc();
        };
        match own.purpose {
            // -32601: an old server without `connect`; it needs none.
            OwnPurpose::Connect if ok || memchr::memmem::find(frame.body(), b"-32601").is_some() => {
                self.greeted(link, out)
            }
            OwnPurpose::Connect => {
                tracing::warn!(conn = self.caller.number, "a backend refused our connect");
                self.fail_link(link, out);
            }
            OwnPurpose::Setup => {}
            OwnPurpose::Exists(place) => self.existence_told(place, Some((frame.body(), ok)), out),
            OwnPurpose::Move(slot, errand) => self.errand_done(slot, errand, link, Some((frame.body(), ok)), out),
            OwnPurpose::Yield(slot) => self.yielded(slot),
            OwnPurpose::Activity(slot) => self.activity_told(slot, Some((frame.body(), ok)), out),
            OwnPurpose::Turn(slot) => self.turn_told(slot, frame.body(), ok, out),
            OwnPurpose::Gather(place) => {
                if let Some(Some(gather)) = self.gathers.get_mut(place) {
                    gather.answered(frame.body(), ok);
                }
                self.finish_gather(place, out);
            }
        }
    }

    /// A request of ours will not be answered.
    pub(super) fn missed(&mut self, own: Own, out: &mut Output) {
        match own.purpose {
            OwnPurpose::Gather(place) => {
                if let Some(Some(gather)) = self.gathers.get_mut(place) {
                    gather.missed();
                }
                self.finish_gather(place, out);
            }
            OwnPurpose::Exists(place) => self.existence_told(place, None, out),
            OwnPurpose::Move(slot, errand) => self.errand_done(slot, errand, own.link, None, out),
            OwnPurpose::Yield(slot) => self.yielded(slot),
            // Its link is gone, and the session with it.
            OwnPurpose::Activity(_) | OwnPurpose::Turn(_) => {}
            OwnPurpose::Connect | OwnPurpose::Setup => {}
        }
    }

    /// A backend's request: to the client under an integer of ours.
    fn backend_call(&mut self, link: LinkId, frame: &Frame<'_>, id: Span, method: Span, out: &mut Output) -> bool {
        let body = frame.body();
        let (Some(token), Some(name)) = (id.of(body), method.of(body)) else { return false };
        if self.is_apart() && !self.sees_request(link, frame, id, method, out) {
            return false;
        }
        if name == PROVIDER_CALL {
            self.note_provider_call(link, body);
        }
        let number = self.asks.open(link, token).to_string();
        self.meter.frames_out += 1;
        frame.pass_edited(CLIENT, id, number.as_bytes(), out);
        true
    }

    fn note_provider_call(&mut self, link: LinkId, body: &[u8]) {
        #[derive(Deserialize)]
        struct Called {
            params: CalledParams,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct CalledParams {
            request_id: String,
        }
        if let Ok(called) = serde_json::from_slice::<Called>(body) {
            self.provider_calls.insert(called.params.request_id, link);
        }
    }

    fn notification(&mut self, link: LinkId, frame: &Frame<'_>, method: Span, out: &mut Output) -> bool {
        let body = frame.body();
        match method.of(body) {
            Some(CANCEL) => self.backend_cancel(link, body, out),
            Some(_) if self.is_apart() && !self.sees_notification(body) => {
                self.shared.metrics.dropped.get(Dropped::Filtered).inc();
                false
            }
            Some(b"session.event") => {
                // Not in the usual shape: read it the slow way.
                if let Some((session, kind)) = read_event(body) {
                    self.session_event(link, session.as_bytes(), kind.as_bytes(), frame);
                    if self.sessions.withholds() && self.keeps_back(session.as_bytes(), frame) {
                        return false;
                    }
                }
                self.pass_to_client(frame, out)
            }
            Some(_) => self.pass_to_client(frame, out),
            None => false,
        }
    }

    pub(super) fn count_answer(&self, open: &Open, ok: bool) {
        let outcome = if ok { Outcome::Ok } else { Outcome::Error };
        let took = self.now.saturating_duration_since(open.started);
        self.shared.pool.method(Some(usize::from(open.method.0))).answered(outcome, took);
    }
}

/// The runtime's word for "there was nothing to end" is a result too.
fn was_done(body: &[u8]) -> bool {
    memchr::memmem::find(body, b"\"success\":false").is_none()
}

/// Whether an answer says that the session is not on that backend's disk. Tried on the runtime 1.0.102: resume and
/// getMessages answer an error, getMetadata `{}`, delete and destroy `success: false`.
fn is_miss(body: &[u8], ok: bool) -> bool {
    let says = |text: &[u8]| memchr::memmem::find(body, text).is_some();
    if ok {
        body.len() < 300 && (body.ends_with(br#""result":{}}"#) || says(b"\"success\":false"))
    } else {
        says(b"ession not found") || says(b"file not found")
    }
}

fn read_event(body: &[u8]) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Message {
        params: EventParams,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct EventParams {
        session_id: String,
        event: Event,
    }
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "type")]
        kind: String,
    }
    let message: Message = serde_json::from_slice(body).ok()?;
    Some((message.params.session_id, message.params.event.kind))
}
