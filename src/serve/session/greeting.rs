//! `connect`, set-up that belongs to the whole connection, and how a new link learns both.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::{
    calls::Call,
    chunk::Frame,
    client::Client,
    guest::{Delayed, TurnedAway},
    link::{Held, State},
    open::{Open, Own, OwnPurpose, Purpose},
    workspace::Output,
};
use crate::{
    model::Secret,
    mux::LinkId,
    telemetry::{ClientEnd, Rule},
    wire::{Methods, Reason, RequestId, Scan, connect::ConnectParams, scan::Place},
};

/// Wrong tokens are borne this often; the runtime bears any number.
const TRIES: u8 = 3;

impl Client {
    /// The client's `connect`: its token ends here; the rest goes to the first link, whose answer is the backend's own.
    pub(super) fn connect(&mut self, call: &Call<'_>, out: &mut Output) {
        if self.is_delayed(call, out) {
            return;
        }
        let Some((params, token)) = ConnectParams::read(call.body()) else {
            return self.refuse(call, Reason::InvalidParams, "the params of connect cannot be read", out);
        };
        if !self.is_welcome(token.as_ref()) {
            return self.turn_away(call, out);
        }
        match self.admit(token.as_ref()) {
            Ok(()) => {}
            Err(TurnedAway::Unknown) => return self.turn_away(call, out),
            Err(TurnedAway::Full(over)) => {
                // It is known, and one too many.
                self.waits = None;
                self.shared.door.refused(self.caller.address.host(), self.now);
                self.refuse_over(call, &over, Rule::Connections, out);
                return self.close(ClientEnd::Unauthenticated, out);
            }
        }
        (self.authenticated, self.waits) = (true, None);
        if self.connects_later(call, out) {
            return;
        }
        self.setup.set_connect(params);
        match call.id {
            Some(id) => self.connect_general(id, out),
            None => self.refuse(call, Reason::InvalidRequest, "connect needs an id", out),
        }
    }

    /// An address that showed wrong tokens waits before it is judged again, whatever it shows now; other addresses do not
    /// notice. `true`: this call waits, or is one too many while another one does.
    fn is_delayed(&mut self, call: &Call<'_>, out: &mut Output) -> bool {
        if self.judging {
            return false;
        }
        if self.delayed.is_some() {
            self.turn_away(call, out);
            return true;
        }
        let delay = if self.authenticated { Duration::ZERO } else { self.delay() };
        if !delay.is_zero() {
            self.delayed = Some(Delayed { until: self.now + delay, body: call.body().to_vec() });
            self.hurry();
        }
        !delay.is_zero()
    }

    /// Judges the `connect` that waited, once its time has come.
    pub(super) fn judge_delayed(&mut self, out: &mut Output) {
        if self.delayed.as_ref().is_some_and(|delayed| delayed.until <= self.now)
            && let Some(delayed) = self.delayed.take()
        {
            self.judging = true;
            self.client_frame(&Frame::of_body(&delayed.body), out);
            self.judging = false;
        }
    }

    /// A wrong token: answered as the runtime does it, but not borne for ever.
    fn turn_away(&mut self, call: &Call<'_>, out: &mut Output) {
        self.failed_tries = self.failed_tries.saturating_add(1);
        self.shared.patience.failed(self.caller.address.host(), self.now);
        self.shared.door.refused(self.caller.address.host(), self.now);
        self.count_refusal_of(Some((call, None)), Rule::Login);
        self.refuse(call, Reason::AuthenticationFailed, "AUTHENTICATION_FAILED", out);
        if self.failed_tries >= TRIES {
            self.close(ClientEnd::Unauthenticated, out);
        }
    }

    /// Sends the client's `connect` over its general link: as that link's greeting if it is new.
    fn connect_general(&mut self, id: &RequestId, out: &mut Output) {
        let Some(link) = self.general_link() else {
            return self.answer_error(Some(id), Reason::NoBackend, "no healthy backend in the pool", out);
        };
        let method = Methods::get().find("connect");
        self.requests.open(id.clone(), Open { link, method, started: self.now, purpose: Purpose::Connect });
        let Some(Some(link_state)) = self.links.get_mut(link as usize) else { return };
        let token = link_state.member.token(self.shared.settings.backend_token.as_ref());
        let Some(body) = self.setup.connect().map(|connect| connect.body(id, token)) else { return };
        match link_state.state {
            State::Ready => self.say(link, &body, out),
            State::Dialing(_) if link_state.greeted_by.is_none() => link_state.greeted_by = Some(id.clone()),
            _ => link_state.held.push(Held { id: Some(id.clone()), body }),
        }
    }

    fn is_welcome(&self, token: Option<&Secret>) -> bool {
        if self.shared.login.is_some() {
            return true; // That is `admit`'s to say.
        }
        let Some(wanted) = &self.shared.settings.token else { return true };
        token
            .is_some_and(|token| verify_slices_are_equal(wanted.expose().as_bytes(), token.expose().as_bytes()).is_ok())
    }

    /// The link's socket is open: greets it with the client's own `connect`, or with one of ours.
    pub(super) fn greet(&mut self, id: LinkId, out: &mut Output) {
        let Some(Some(link)) = self.links.get_mut(id as usize) else { return };
        let token = link.member.token(self.shared.settings.backend_token.as_ref()).cloned();
        let client_id = link.greeted_by.clone();
        let body = match (&client_id, self.setup.connect()) {
            (Some(client_id), Some(params)) => params.body(client_id, token.as_ref()),
            (_, params) if params.is_some() || token.is_some() => {
                let own = Own { link: id, purpose: OwnPurpose::Connect };
                let own = self.own.open(own);
                self.setup.connect().cloned().unwrap_or_default().body(&own, token.as_ref())
            }
            // A client that never said `connect`, to backends that do not ask for it.
            _ => return self.greeted(id, out),
        };
        self.say(id, &body, out);
    }

    /// The backend answered the greeting: the set-up is replayed, then what waited goes.
    pub(super) fn greeted(&mut self, id: LinkId, out: &mut Output) {
        self.opened(id);
        let Some(Some(link)) = self.links.get_mut(id as usize) else { return };
        link.state = State::Ready;
        let own_connect = link.greeted_by.take().is_none();
        let held = std::mem::take(&mut link.held);
        let calls: Vec<Vec<u8>> =
            if own_connect { self.setup.calls().map(<[u8]>::to_vec).collect() } else { Vec::new() };
        for body in calls {
            self.replay(id, &body, out);
        }
        for frame in held {
            self.say(id, &frame.body, out);
        }
    }

    fn replay(&mut self, id: LinkId, body: &[u8], out: &mut Output) {
        let own = self.own.open(Own { link: id, purpose: OwnPurpose::Setup });
        let Some(span) = Scan::read(body).ok().and_then(|scan| scan.id) else { return };
        let mut json = Vec::new();
        own.append_json(&mut json);
        self.say(id, &crate::wire::edit::replace(body, span, &json), out);
    }

    /// Set-up of the whole connection: answered by the client's own backend, told to every other link, kept for later ones.
    pub(super) fn set_up(&mut self, call: &Call<'_>, name: &str, out: &mut Output) {
        if !self.setup.note(name, call.body()) {
            return self.refuse(call, Reason::Capacity, "too many set-up calls on one connection", out);
        }
        self.route_to_general(call, Purpose::Plain, out);
        let others: Vec<LinkId> = (0..self.links.len() as LinkId)
            .filter(|id| Some(*id) != self.general)
            .filter(|id| self.links[*id as usize].as_ref().is_some_and(super::link::Link::is_ready))
            .collect();
        for link in others {
            self.replay(link, call.body(), out);
        }
    }

    /// An answer to a provider call: to the backend that asked.
    pub(super) fn provider_reply(&mut self, call: &Call<'_>, out: &mut Output) {
        let asked = call.scan.text(call.body(), Place::RequestId).unwrap_or_default();
        // The last chunk says so. Inside of a string the quotes would be escaped, so this is the key.
        let last = memchr::memmem::find(call.body(), b"\"end\":true").is_some();
        let link = if last { self.provider_calls.remove(&*asked) } else { self.provider_calls.get(&*asked).copied() };
        match link {
            Some(link) if self.links.get(link as usize).is_some_and(Option::is_some) => {
                self.open_on(call, link, Purpose::Plain, out);
            }
            _ => self.route_to_general(call, Purpose::Plain, out),
        }
    }

    /// The link cannot be made: what waited for it is placed again elsewhere, for nothing of it was sent.
    pub(super) fn fail_link(&mut self, id: LinkId, out: &mut Output) {
        let Some(link) = self.links.get_mut(id as usize).and_then(Option::take) else { return };
        self.ending.push(id);
        self.suspect(&link);
        self.avoid.push((link.member.clone(), self.now));
        if self.general == Some(id) {
            self.general = None;
        }
        let greeting = link.greeted_by.clone();
        let connect = greeting
            .as_ref()
            .and_then(|id| Some(Held { id: Some(id.clone()), body: self.setup.connect()?.body(id, None) }));
        self.forget_sessions_of(id, false, out);
        let gathers = self.own.take_where(|own| own.link == id);
        let mut unsent = Vec::new();
        for held in connect.into_iter().chain(link.held) {
            if let Some(open) = held.id.as_ref().and_then(|id| self.requests.take(id)) {
                self.forget_request(open);
                unsent.push(held.body);
            }
        }
        if !self.waits_for_next(&link.member, &mut unsent) {
            unsent.iter().for_each(|body| self.again(body, out));
        }
        for own in gathers {
            self.missed(own, out);
        }
        self.ending.retain(|ending| *ending != id);
    }

    /// Handles a request that was not sent anywhere yet once more.
    pub(super) fn again(&mut self, body: &[u8], out: &mut Output) {
        self.meter.frames_in = self.meter.frames_in.saturating_sub(1);
        let repeating = std::mem::replace(&mut self.repeating, true);
        match connect_id(body) {
            // Its token was right the first time.
            Some(id) => self.connect_general(&id, out),
            None => self.client_frame(&Frame::of_body(body), out),
        }
        self.repeating = repeating;
    }
}

/// The id of a `connect`; `None` for other calls.
fn connect_id(body: &[u8]) -> Option<RequestId> {
    let scan = Scan::read(body).ok()?;
    (scan.method_name(body)? == "connect").then(|| scan.request_id(body)).flatten()
}
