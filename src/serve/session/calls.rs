//! What the client sends: each request goes where its method and its session say.

use std::sync::Arc;

use super::{
    chunk::Frame,
    client::Client,
    link::Held,
    open::{NO_LINK, Open, OwnPurpose, Purpose},
    sessions::Slot,
    settled::Settled,
    turnlock::LockPolicy,
    workspace::Output,
};
use crate::{
    mux::LinkId,
    pool::{Member, Verdict},
    session::is_session_id,
    telemetry::{ClientEnd, Dropped, Rule, Way},
    wire::{
        Method, MethodIndex, Methods, Reason, RequestId, Scan,
        edit::with_immediate_mode,
        id::OWN_PREFIX,
        methods::Route,
        scan::{Place, Value},
    },
};

/// A request or notification of the client.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub frame: &'a Frame<'a>,
    pub scan: &'a Scan,
    pub id: Option<&'a RequestId>,
    pub method: MethodIndex,
    pub row: &'static Method,
}

impl<'a> Call<'a> {
    pub(super) fn body(&self) -> &'a [u8] {
        self.frame.body()
    }
}

/// Ends a session and takes it off the disk.
const DELETE: &str = "session.delete";

/// A request's id for the log; a notification has none.
fn logged(id: Option<&RequestId>) -> Option<tracing::field::DisplayValue<&RequestId>> {
    id.map(tracing::field::display)
}

impl Client {
    /// One whole frame of the client.
    pub(super) fn client_frame(&mut self, frame: &Frame<'_>, out: &mut Output) {
        self.meter.frames_in += 1;
        match Scan::read(frame.body()) {
            // What cannot be read counts against the quota like anything else.
            Err(refused) if !self.is_within_quota(frame.body_len, refused.id.as_ref(), out) => {}
            Err(refused) => {
                let message = refused.error.to_string();
                self.answer_error(refused.id.as_ref(), refused.error.reason(), &message, out);
            }
            Ok(scan) if scan.is_answer => {
                let _ = self.is_within_quota(frame.body_len, None, out);
                self.client_answer(frame, &scan, out);
            }
            Ok(scan) => self.client_call(frame, &scan, out),
        }
    }

    fn client_call(&mut self, frame: &Frame<'_>, scan: &Scan, out: &mut Output) {
        let id = scan.request_id(frame.body());
        let Some(name) = scan.method_name(frame.body()) else { return };
        let method = Methods::get().find(&name);
        let row = Methods::get().row(method);
        let call = Call { frame, scan, id: id.as_ref(), method, row };
        tracing::trace!(
            conn = self.caller.number,
            method = row.name,
            id = logged(id.as_ref()),
            bytes_in = frame.body_len,
            "call"
        );
        if let Some(over) = self.turned_away.take() {
            self.shared.door.refused(self.caller.address.host(), self.now);
            self.refuse_over(&call, &over, Rule::Connections, out);
            return self.close(ClientEnd::Unauthenticated, out);
        }
        if !self.is_within_quota(frame.body_len, call.id, out) {
            return;
        }
        if let Err((reason, message)) = self.may_call(&call) {
            return self.refuse(&call, reason, message, out);
        }
        if self.is_refused_entry(&call, out) || !self.passes_wall(&call, &name, out) {
            return;
        }
        if id.is_none() && !matches!(row.route, Route::Cancel) && method == Methods::UNKNOWN {
            return self.shared.metrics.dropped.get(Dropped::UnknownNotification).inc();
        }
        match row.route {
            Route::Connect => self.connect(&call, out),
            Route::Cancel => self.cancel(&call, out),
            Route::Shutdown if !self.shared.settings.allow_shutdown => {
                let message = "runtime.shutdown would stop a backend for everybody; this proxy does not pass it on";
                self.refuse(&call, Reason::MethodNotFound, message, out);
            }
            Route::Setup => self.set_up(&call, &name, out),
            Route::ProviderReply => self.provider_reply(&call, out),
            Route::Place => self.place(&call, &name, out),
            Route::Gather => self.gather(&call, out),
            Route::Fork | Route::Session | Route::Send | Route::Detach | Route::End => {
                self.route_to_session(&call, out)
            }
            Route::Anywhere | Route::Shutdown => self.route_to_known_session_or_general(&call, out),
        }
    }

    fn may_call(&self, call: &Call<'_>) -> Result<(), (Reason, &'static str)> {
        if let Some(id) = call.id {
            if self.requests.contains(id) {
                return Err((Reason::DuplicateId, "a request with this id is still open"));
            }
            if id.as_text().is_some_and(|text| text.starts_with(OWN_PREFIX)) {
                return Err((Reason::InvalidRequest, "ids that begin with `pilotfish-` are the proxy's"));
            }
            if self.requests.len() >= self.shared.settings.max_in_flight {
                return Err((Reason::Capacity, "too many requests of this client are open"));
            }
        }
        if !self.authenticated && call.row.route != Route::Connect {
            return Err((Reason::AuthenticationRequired, "AUTHENTICATION_REQUIRED"));
        }
        if self.draining && (call.row.route == Route::Place || call.row.route == Route::Send) {
            return Err((Reason::Draining, "the proxy is going away and takes no new sessions or prompts"));
        }
        Ok(())
    }

    /// To the backend where the session lives.
    fn route_to_session(&mut self, call: &Call<'_>, out: &mut Output) {
        if self.is_without_session(call, out) {
            return;
        }
        let session = match call.scan.value(Place::SessionId) {
            Value::Absent => return self.route_to_general(call, Purpose::Plain, out),
            _ => call.scan.text(call.body(), Place::SessionId),
        };
        let Some(session) = session else {
            return self.refuse(call, Reason::InvalidParams, "params.sessionId must be a string", out);
        };
        if self.is_apart() && self.is_denied_end(call, &session, out) {
            return;
        }
        if call.row.route == Route::Fork && self.is_over_creates(call, out) {
            return;
        }
        if let Some(slot) = self.sessions.find(&session)
            && self.route_to_own_session(call, slot, out)
        {
            return;
        }
        if !is_session_id(&session) {
            return self.refuse(call, Reason::InvalidParams, "params.sessionId is not a session id", out);
        }
        if !self.may_see(&session) {
            return self.answer_absent(call, &session, out);
        }
        if call.row.route == Route::Send && self.shared.settings.lock != LockPolicy::Off {
            let message = "the turns of sessions are locked here: resume the session before you send prompts";
            return self.refuse(call, Reason::SessionLocked, message, out);
        }
        if let Some(live) = self.shared.router.find(&session, self.now) {
            return self.route_to_member(call, &live.home(), self.purpose(call, None), out);
        }
        if self.shared.router.is_local() {
            return self.search(call, &session, out);
        }
        match self.shared.router.guess(&session, self.caller.address) {
            Some(member) => self.route_to_member(call, &member, self.purpose(call, None), out),
            None => self.route_to_general(call, self.purpose(call, None), out),
        }
    }

    /// To a session of this client's table. `false`: it is lost, and the request may go anywhere.
    fn route_to_own_session(&mut self, call: &Call<'_>, slot: Slot, out: &mut Output) -> bool {
        let Some(entry) = self.sessions.get(slot) else { return false };
        if entry.attachment.is_none() {
            if matches!(call.row.route, Route::Detach | Route::End) {
                self.sessions.remove(slot);
                return false;
            }
            let message = "the session's backend is gone; resume the session";
            self.refuse(call, Reason::SessionLost, message, out);
            return true;
        }
        if entry.away.is_some() {
            self.hold_call(call, slot, out);
            return true;
        }
        if entry.parked {
            self.call_parked(call, slot, out);
            return true;
        }
        if entry.attachment.as_ref().is_some_and(|attachment| !attachment.live().touch(self.now)) {
            let message = "this proxy's hold on the session is over; it asks for it again";
            self.refuse(call, Reason::StoreUnavailable, message, out);
            return true;
        }
        let link = entry.link;
        if call.row.route == Route::Send && call.id.is_some() {
            if !self.may_begin_turn(call, slot, out) {
                return true;
            }
            let steering = self.steers(slot).then(|| with_immediate_mode(call.body(), call.scan)).flatten();
            if !self.begin_turn(call, slot, out) {
                return true;
            }
            self.heard(slot);
            if let Some(body) = steering {
                let purpose = self.purpose(call, Some(slot));
                let frame = Frame::of_body(&body);
                self.open_on(&Call { frame: &frame, ..*call }, link, purpose, out);
                return true;
            }
        }
        let purpose = self.purpose(call, Some(slot));
        self.open_on(call, link, purpose, out);
        true
    }

    pub(super) fn purpose(&self, call: &Call<'_>, slot: Option<Slot>) -> Purpose {
        match (call.row.route, slot) {
            (Route::End, _) if call.row.name == DELETE && self.guest.is_some() => {
                let session = call.scan.text(call.body(), Place::SessionId).unwrap_or_default();
                Purpose::Delete(slot, session.into())
            }
            (Route::Fork, _) => Purpose::Learn,
            (Route::Send, Some(slot)) => Purpose::Send(slot),
            (Route::Detach, Some(slot)) => Purpose::Detach(slot),
            (Route::End, Some(slot)) => Purpose::End(slot),
            (_, Some(slot)) if Settled::wants(call.method) => {
                Purpose::Setting(slot, Box::new((call.method, call.body().to_vec())))
            }
            (_, Some(slot)) => Purpose::On(slot),
            _ => Purpose::Plain,
        }
    }

    /// Methods that name a session but belong to the whole process: to its home if it is live.
    fn route_to_known_session_or_general(&mut self, call: &Call<'_>, out: &mut Output) {
        let named = call.scan.text(call.body(), Place::SessionId);
        let home = named.and_then(|session| self.shared.router.find(&session, self.now)).map(|live| live.home());
        let purpose = if call.row.result_ids.is_empty() { Purpose::Plain } else { Purpose::Learn };
        let purpose = if call.row.class == "session_create" { purpose } else { Purpose::Plain };
        match home {
            Some(home) => self.route_to_member(call, &home, purpose, out),
            None => self.route_to_general(call, purpose, out),
        }
    }

    /// To the client's own backend for requests without a session.
    pub(super) fn route_to_general(&mut self, call: &Call<'_>, purpose: Purpose, out: &mut Output) {
        match self.general_link() {
            Some(link) => self.open_on(call, link, purpose, out),
            None => self.refuse(call, Reason::NoBackend, "no healthy backend in the pool", out),
        }
    }

    /// One backend for the client as long as it lives, so that a client reads what it wrote.
    pub(super) fn general_link(&mut self) -> Option<LinkId> {
        // A hung backend keeps its links; what can go elsewhere does.
        let alive = |id: &LinkId| {
            let link = self.links.get(*id as usize).and_then(Option::as_ref);
            link.is_some_and(|link| {
                link.member.verdict() != Verdict::Down && !link.member.is_draining() && !link.is_outlived()
            })
        };
        if let Some(link) = self.general.filter(alive) {
            return Some(link);
        }
        let avoid = self.avoided();
        let member = self.shared.router.any(self.caller, &avoid)?;
        self.general = self.link_to(&member);
        self.general
    }

    pub(super) fn route_to_member(
        &mut self,
        call: &Call<'_>,
        member: &Arc<Member>,
        purpose: Purpose,
        out: &mut Output,
    ) {
        match self.link_to(member) {
            Some(link) => self.open_on(call, link, purpose, out),
            None => self.refuse(call, Reason::NoBackend, "the session's backend has no address at the moment", out),
        }
    }

    /// Notes the request and sends its frame.
    pub(super) fn open_on(&mut self, call: &Call<'_>, link: LinkId, purpose: Purpose, out: &mut Output) {
        let open = Open { link, method: call.method, started: self.now, purpose };
        if !self.links.get(link as usize).is_some_and(Option::is_some) {
            // It is being given up at this moment: nobody would answer.
            self.forget_request(open);
            return self.refuse(call, Reason::BackendLost, "the session's backend was lost at this moment", out);
        }
        if let Some(id) = call.id {
            self.requests.open(id.clone(), open);
        }
        self.send(call.frame, call.id, link, out);
    }

    /// Sends a frame of the client over a link, or keeps it until the link is ready.
    pub(super) fn send(&mut self, frame: &Frame<'_>, id: Option<&RequestId>, link_id: LinkId, out: &mut Output) {
        let Some(Some(link)) = self.links.get_mut(link_id as usize) else { return };
        link.metrics.frames.get(Way::Out).inc();
        if link.is_ready() {
            frame.pass(link_id, out);
        } else {
            link.held.push(Held { id: id.cloned(), body: frame.body().to_vec() });
        }
    }

    /// A frame of ours over a link that is ready (or is being greeted).
    pub(super) fn say(&mut self, link_id: LinkId, body: &[u8], out: &mut Output) {
        let Some(Some(link)) = self.links.get_mut(link_id as usize) else { return };
        link.metrics.frames.get(Way::Out).inc();
        if link.taking_flow {
            crate::wire::frame::append_frame(&mut link.after, body);
        } else {
            out.frame(link_id, body);
        }
    }

    /// The client's answer to a backend's request: back over the link that it came from, under its own id.
    fn client_answer(&mut self, frame: &Frame<'_>, scan: &Scan, out: &mut Output) {
        let Some(RequestId::Number(number)) = scan.request_id(frame.body()) else {
            return self.shared.metrics.dropped.get(Dropped::StrayAnswer).inc();
        };
        match (self.asks.answered(number), scan.id) {
            (Some(ask), Some(span)) if self.link_is_ready(ask.link) => {
                self.count_frame_to(ask.link);
                frame.pass_edited(ask.link, span, &ask.token, out);
            }
            _ => self.shared.metrics.dropped.get(Dropped::StrayAnswer).inc(),
        }
    }

    fn count_frame_to(&self, link: LinkId) {
        if let Some(Some(link)) = self.links.get(link as usize) {
            link.metrics.frames.get(Way::Out).inc();
        }
    }

    fn link_is_ready(&self, link: LinkId) -> bool {
        self.links.get(link as usize).and_then(Option::as_ref).is_some_and(super::link::Link::is_ready)
    }

    /// The route of a large frame from what is there of it; `None` where it has to be whole first.
    pub(super) fn route_large(&mut self, frame: &Frame<'_>, scan: &Scan, out: &mut Output) -> Option<LinkId> {
        if scan.is_answer {
            let Some(RequestId::Number(number)) = scan.request_id(frame.body()) else { return None };
            let (ask, span) = (self.asks.answered(number)?, scan.id?);
            self.meter.frames_in += 1;
            self.count_frame_to(ask.link);
            frame.pass_edited(ask.link, span, &ask.token, out);
            return Some(ask.link);
        }
        let name = scan.method_name(frame.body())?;
        let id = scan.request_id(frame.body())?;
        let method = Methods::get().find(&name);
        let row = Methods::get().row(method);
        if !matches!(row.route, Route::Session | Route::Send) {
            return None;
        }
        let call = Call { frame, scan, id: Some(&id), method, row };
        if !self.passes_wall_unseen(&call) {
            return None;
        }
        let slot = self.sessions.find(&scan.text(frame.body(), Place::SessionId)?)?;
        let entry = self.sessions.get(slot).filter(|entry| entry.attachment.is_some() && entry.away.is_none())?;
        let link = entry.link;
        // Whether it is its turn is asked for whole frames.
        if row.route == Route::Send && self.shared.settings.lock != LockPolicy::Off {
            return None;
        }
        if !self.link_is_ready(link) || self.may_call(&call).is_err() || self.meter_frame(frame.body_len).is_err() {
            return None;
        }
        self.meter.frames_in += 1;
        self.route_to_own_session(&call, slot, out).then_some(link)
    }

    /// `$/cancelRequest`: to whoever holds the request.
    fn cancel(&mut self, call: &Call<'_>, out: &mut Output) {
        let target = match call.scan.value(Place::Id) {
            Value::Text(span) => crate::wire::text::unescape(span.of(call.body()).unwrap_or_default(), span.escaped)
                .map(|text| RequestId::text(&text)),
            Value::Number(span) => span.of(call.body()).and_then(RequestId::read),
            _ => None,
        };
        let Some(open) = target.as_ref().and_then(|id| self.requests.get(id)) else { return };
        match (&open.purpose, open.link) {
            (Purpose::Gather(gather), _) => {
                let wanted = *gather;
                let parts = self.own.find(|own| matches!(own.purpose, OwnPurpose::Gather(part) if part == wanted));
                let parts: Vec<(LinkId, RequestId)> = parts.into_iter().map(|(id, own)| (own.link, id)).collect();
                for (link, id) in parts {
                    let mut body = br#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"#.to_vec();
                    id.append_json(&mut body);
                    body.extend_from_slice(b"}}");
                    self.say(link, &body, out);
                }
            }
            (Purpose::InLine(slot), _) => {
                let (slot, target) = (*slot, target.clone());
                if let Some(id) = target.filter(|id| self.cancel_in_line(slot, id))
                    && let Some(open) = self.requests.take(&id)
                {
                    self.count_refusal(&open, Reason::Cancelled);
                    self.answer_error(Some(&id), Reason::Cancelled, "cancelled while it waited for its turn", out);
                }
            }
            (_, NO_LINK) => {}
            (_, link) => self.send(call.frame, None, link, out),
        }
    }
}
