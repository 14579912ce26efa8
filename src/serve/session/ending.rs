//! How things end: errors of ours, deadlines, a lost link, a drain, the client's goodbye. Whatever is open is answered first.

use super::{
    calls::Call,
    client::Client,
    goodbye::Closing,
    inbound::{FLOW_BYTES, Flow},
    open::{NO_LINK, Open, OwnPurpose, Purpose},
    sessions::Slot,
    workspace::{CLIENT, Output},
};
use crate::{
    mux::LinkId,
    session::TurnEnd,
    telemetry::{self, ClientEnd, LinkEnd, Outcome, TurnOutcome},
    wire::{Reason, RequestId, reply},
};

/// The runtime begins a queued turn within milliseconds of the idle event before it (measured on 1.0.102).
const DOUBT: std::time::Duration = std::time::Duration::from_secs(2);

/// A client that was active within this time is not closed in a drain yet.
const DRAIN_GRACE: std::time::Duration = std::time::Duration::from_millis(500);

/// A backend gets this long to close its side after the client has closed its own.
const HALF_CLOSE: std::time::Duration = std::time::Duration::from_secs(10);

impl Client {
    /// Answers a call with an error of ours.
    pub(super) fn refuse(&mut self, call: &Call<'_>, reason: Reason, message: &str, out: &mut Output) {
        let method = self.shared.pool.method(Some(usize::from(call.method.0)));
        method.answered(Outcome::Refused(telemetry::Reason::named(reason.text())), std::time::Duration::ZERO);
        if call.id.is_some() {
            self.answer_error(call.id, reason, message, out);
        }
    }

    /// Answers with an error of ours; `id: None` tells the client that something of its could not be read.
    pub(super) fn answer_error(&mut self, id: Option<&RequestId>, reason: Reason, message: &str, out: &mut Output) {
        self.shared.metrics.errors.get(telemetry::Reason::named(reason.text())).inc();
        tracing::debug!(
            conn = self.caller.number,
            id = id.map(tracing::field::display),
            reason = reason.text(),
            "answered with an error"
        );
        let body = match reason {
            Reason::BackendLost => reply::error_with(id, reason, message, serde_json::json!({ "executed": "unknown" })),
            _ => reply::error(id, reason, message),
        };
        self.tell(&body, out);
    }

    pub(super) fn count_refusal(&self, open: &Open, reason: Reason) {
        let took = self.now.saturating_duration_since(open.started);
        let outcome = Outcome::Refused(telemetry::Reason::named(reason.text()));
        self.shared.pool.method(Some(usize::from(open.method.0))).answered(outcome, took);
    }

    /// Undoes what was noted for a request that will not be answered by its backend.
    pub(super) fn forget_request(&mut self, open: Open) {
        match open.purpose {
            Purpose::Attach { slot, known: false } => self.let_session_go(slot),
            Purpose::Search(search) => {
                if let Some(slot) = search.slot {
                    self.let_session_go(slot);
                }
            }
            Purpose::Probe(place) => self.forget_probe(place),
            Purpose::Send(slot) => {
                if let Some(entry) = self.sessions.get_mut(slot) {
                    entry.sends = entry.sends.saturating_sub(1);
                    entry.own_turn_awaited = false;
                    entry.told.unprompted();
                }
            }
            _ => {}
        }
    }

    /// This client is not attached to the session any more; if it was the last one, the session lives nowhere now.
    pub(super) fn let_session_go(&mut self, slot: Slot) {
        if let Some(attachment) = self.sessions.remove(slot).and_then(|entry| entry.attachment) {
            attachment.detach();
        }
    }

    /// The session ended at its home, for everybody.
    pub(super) fn end_session(&mut self, slot: Slot) {
        if let Some(attachment) = self.sessions.remove(slot).and_then(|entry| entry.attachment) {
            attachment.close();
        }
    }

    /// The same, and the home has answered that it is gone.
    pub(super) fn finish_session(&mut self, slot: Slot) {
        if let Some(attachment) = self.sessions.remove(slot).and_then(|entry| entry.attachment) {
            attachment.end();
        }
    }

    /// A link ended: everything that was open on it is answered at once, turns end, the client stays.
    pub(super) fn lose_link(&mut self, id: LinkId, why: LinkEnd, out: &mut Output) {
        let Some(mut link) = self.links.get_mut(id as usize).and_then(Option::take) else { return };
        if !link.is_ready() {
            // Nothing but the greeting was sent: what waits may go elsewhere.
            self.links[id as usize] = Some(link);
            return self.fail_link(id, out);
        }
        self.ending.push(id);
        // After the client's half-close the backend's own is its consequence.
        let why = if self.client_eof.is_some() { LinkEnd::Client } else { why };
        link.metrics.closed.get(why).inc();
        if self.client_eof.is_none() && why != LinkEnd::Cut {
            self.suspect(&link);
            tracing::info!(conn = self.caller.number, backend = %link.member.name, reason = ?why, "link lost");
        }
        if self.general == Some(id) {
            self.general = None;
        }
        self.end_flows_of(id, link.inbound.flow.take(), out);
        for (request, open) in self.requests.take_where(|open| open.link == id) {
            self.count_refusal(&open, Reason::BackendLost);
            self.forget_request(open);
            let message = "the backend was lost while this request was open; it may have run";
            self.answer_error(Some(&request), Reason::BackendLost, message, out);
        }
        let asked = self.own.take_where(|own| own.link == id);
        for number in self.asks.forget_link(id) {
            self.tell_cancel(number, out);
        }
        self.provider_calls.retain(|_, link| *link != id);
        // Before what was asked for them: whoever hears that it failed looks where the session is now.
        self.forget_sessions_of(id, true, out);
        for own in asked {
            self.missed(own, out);
        }
        self.ending.retain(|ending| *ending != id);
    }

    pub(super) fn suspect(&self, link: &super::link::Link) {
        if self.shared.settings.passive_health {
            link.member.suspect.notify_one();
        }
    }

    /// Large frames that were on their way from or to a link that is gone.
    fn end_flows_of(&mut self, id: LinkId, flow: Option<Flow>, out: &mut Output) {
        if self.flow_from == Some(id) {
            // The client was promised so many bytes: without them it could not read on. It will refuse the body, and the
            // request's own error follows: it was taken for answered when its answer began.
            let Flow { left, request, .. } = flow.unwrap_or(Flow { dest: None, left: 0, scanner: None, request: None });
            (self.padding, self.flow_from) = (left, Some(NO_LINK));
            if request.is_some() {
                let message = "the backend was lost in the middle of its answer";
                self.answer_error(request.as_ref(), Reason::BackendLost, message, out);
            }
        }
        if let Some(flow) = &mut self.inbound.flow
            && flow.dest == Some(id)
        {
            (flow.dest, flow.scanner) = (None, None);
        }
    }

    /// Blanks for what is missing of a cut large frame, no more at once than the client takes. `true`: something was written.
    pub(super) fn pad(&mut self, out: &mut Output) -> bool {
        if self.flow_from != Some(NO_LINK) || self.outbox.len() > self.shared.settings.high_watermark {
            return false;
        }
        let count = self.padding.min(FLOW_BYTES);
        out.write(CLIENT, &[b' '; FLOW_BYTES][..count]);
        self.padding -= count;
        if self.padding == 0 {
            self.end_link_flow(out);
        }
        true
    }

    /// Sessions whose link is gone. `lost`: they were live; they are opened elsewhere, or the client is told how their turns
    /// ended.
    pub(super) fn forget_sessions_of(&mut self, id: LinkId, lost: bool, out: &mut Output) {
        for slot in self.sessions.slots(|entry| entry.link == id && entry.attachment.is_some()) {
            if self.sessions.get(slot).is_some_and(|entry| entry.away.is_some()) {
                // It was on its way already; a new home that is lost, too, was told with what was asked there.
                self.lose_home(slot, out);
            } else if lost && self.may_rehome(slot) {
                self.rehome(slot, out);
            } else {
                self.forget_session(slot, lost, out);
            }
        }
    }

    fn forget_session(&mut self, slot: Slot, lost: bool, out: &mut Output) {
        let Some(entry) = self.sessions.get_mut(slot) else { return };
        let Some(attachment) = entry.attachment.take() else { return };
        let (session, busy) = (entry.id.clone(), entry.busy);
        if lost {
            self.spare(attachment.live());
        }
        // A second client's link may still hold the session up; its turn is that client's to end.
        if attachment.live().clients() == 1 {
            let ended = attachment.live().end_turn(TurnEnd::BackendLost, self.now);
            self.count_turn(slot, ended);
        }
        attachment.lapse();
        self.sessions.end_turn(slot);
        if lost && busy {
            self.tell_turn_error(&session, "backend_lost", "the backend was lost in the middle of this turn", out);
            self.tell_idle(&session, out);
        }
        if !lost {
            self.sessions.remove(slot);
        }
    }

    /// Tells the client that a turn failed, the way the runtime does.
    pub(super) fn tell_turn_error(&mut self, session: &str, reason: &str, message: &str, out: &mut Output) {
        let data = serde_json::json!({ "errorType": reason, "message": message });
        self.tell_made_up(session, "session.error", &data, out);
    }

    /// Tells the client that a turn has ended.
    pub(super) fn tell_idle(&mut self, session: &str, out: &mut Output) {
        self.tell_made_up(session, "session.idle", &serde_json::json!({}), out);
    }

    fn tell_made_up(&mut self, session: &str, kind: &str, data: &serde_json::Value, out: &mut Output) {
        if self.awaits_turn(session) {
            return; // It was another client's turn.
        }
        let timestamp = humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string();
        let event_id = uuid::Uuid::new_v4().to_string();
        let body = reply::event(session, kind, data, &event_id, &timestamp);
        if self.orphan.is_some()
            && let Some(live) = self.sessions.find(session).and_then(|slot| self.live(slot))
        {
            self.keep_told(&live, &body);
        }
        self.tell(&body, out);
    }

    pub(super) fn answer_all_open(&mut self, reason: Reason, message: &str, out: &mut Output) {
        for (id, open) in self.requests.take_where(|_| true) {
            self.count_refusal(&open, reason);
            self.forget_request(open);
            self.answer_error(Some(&id), reason, message, out);
        }
    }

    /// Begins the end of the connection: what is gathered and waits is written, then our side is closed.
    pub(super) fn close(&mut self, why: ClientEnd, out: &mut Output) {
        if self.closing.is_some() {
            return;
        }
        if let Some(delayed) = self.delayed.take() {
            let id = crate::wire::Scan::read(&delayed.body).ok().and_then(|scan| scan.request_id(&delayed.body));
            self.answer_error(id.as_ref(), Reason::AuthenticationFailed, "AUTHENTICATION_FAILED", out);
        }
        self.answer_at_gate(out);
        if why != ClientEnd::Protocol {
            self.answer_all_open(Reason::Draining, "the connection is being closed", out);
        }
        self.closing = Some(Closing { why, since: self.now, written: None, said_goodbye: false });
        self.hurry();
    }

    /// Nothing of this client is running, nor was a moment ago: it may be closed in a drain. Right after its turn an SDK
    /// detaches its sessions and says goodbye itself, and a call that meets a closed connection never comes back to its caller.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_running() && self.now.saturating_duration_since(self.last_active) >= DRAIN_GRACE
    }

    /// A turn runs, a request is open or a frame is on its way.
    pub(super) fn is_running(&self) -> bool {
        self.sessions.busy() > 0
            || !self.requests.is_empty()
            || self.inbound.waiting_since.is_some()
            || self.is_at_gate()
    }

    /// The drain's deadline: what is left is answered and cut.
    pub(super) fn cut_at_deadline(&mut self, out: &mut Output) {
        for slot in self.sessions.slots(|entry| entry.busy) {
            if let Some(entry) = self.sessions.get(slot) {
                let session = entry.id.clone();
                self.tell_turn_error(&session, "draining", "the proxy stopped before this turn had ended", out);
                self.tell_idle(&session, out);
                self.sessions.end_turn(slot);
            }
        }
        self.answer_all_open(Reason::Draining, "the proxy stopped before this request was answered", out);
        if let Some(from) = self.flow_from.filter(|from| *from != NO_LINK) {
            // All that was just said stands behind a large frame, which may never end by itself.
            self.lose_link(from, LinkEnd::Cut, out);
        }
        self.close(ClientEnd::Deadline, out);
    }

    pub(super) fn has_deadlines(&self) -> bool {
        !self.requests.is_empty()
            || self.inbound.waiting_since.is_some()
            || !self.authenticated
            || self.closing.is_some()
            || self.client_eof.is_some()
            || !self.own.is_empty()
            || self.sessions.busy() > 0
            || self.draining
            || self.flow_from.is_some()
            || self.paused_until.is_some()
            || self.delayed.is_some()
            || self.is_at_gate()
            || self.borrows
            || self.sessions.has_aways()
            || self.sessions.has_locks()
            || self.orphan.is_some()
            || self.shared.settings.cut_when_down
    }

    /// Looks at every deadline. Called about once a second while there are any.
    pub(super) fn check_deadlines(&mut self, out: &mut Output) {
        self.paused_until = self.paused_until.filter(|until| *until > self.now);
        self.judge_delayed(out);
        self.review_shares(out);
        let (now, settings) = (self.now, &self.shared.settings);
        let since = |at| now.saturating_duration_since(at);
        if !self.authenticated && since(self.accepted) >= settings.auth_timeout {
            return self.close(ClientEnd::Unauthenticated, out);
        }
        let allowed = if self.inbound.in_head { settings.header_timeout } else { settings.body_timeout };
        // While we do not read, the client cannot be blamed.
        if self.inbound.waiting_since.is_some_and(|at| since(at) >= allowed) && self.closing.is_none() {
            let blocked = self.is_backend_full();
            if !blocked {
                self.answer_all_open(Reason::InvalidFrame, "a frame did not arrive in time", out);
                self.answer_error(None, Reason::InvalidFrame, "a frame did not arrive in time", out);
                return self.close(ClientEnd::Timeout, out);
            }
        }
        self.look_after_orphan(out);
        if self.orphan.is_none() && self.client_eof.is_some_and(|at| since(at) >= HALF_CLOSE) {
            self.close(ClientEnd::Client, out);
        }
        self.look_after_aways(out);
        self.look_after_turns(out);
        self.look_at_silence(out);
        self.end_doubtful_turns();
        self.time_out_links(out);
        self.time_out_requests(out);
    }

    /// An idle event that came while a prompt was not answered yet was either an earlier turn's, or the prompt's own turn
    /// had ended at once. If no turn has begun since, it was the latter.
    fn end_doubtful_turns(&mut self) {
        let now = self.now;
        let old = |at: std::time::Instant| now.saturating_duration_since(at) >= DOUBT;
        for slot in self.sessions.slots(|entry| entry.busy && entry.sends == 0 && entry.doubtful.is_some_and(old)) {
            let Some(entry) = self.sessions.get_mut(slot) else { continue };
            entry.doubtful = None;
            let ended = entry.attachment.as_ref().and_then(|held| held.live().end_turn(TurnEnd::Idle, now));
            self.count_turn(slot, ended);
            self.sessions.end_turn(slot);
        }
    }

    fn time_out_links(&mut self, out: &mut Output) {
        let (now, settings) = (self.now, &self.shared.settings);
        let late = |link: &super::link::Link| {
            let greeting =
                !link.is_ready() && now.saturating_duration_since(link.since) >= settings.connect_timeout * 2;
            // Its large frame blocks everything else for this client.
            let stuck = link.inbound.flow.is_some()
                && self.outbox.is_empty()
                && link
                    .inbound
                    .waiting_since
                    .is_some_and(|at| now.saturating_duration_since(at) >= settings.body_timeout);
            let down = settings.cut_when_down && link.member.verdict() == crate::pool::Verdict::Down;
            greeting || stuck || down
        };
        let late: Vec<LinkId> =
            (0..self.links.len() as LinkId).filter(|id| self.links[*id as usize].as_ref().is_some_and(late)).collect();
        for id in late {
            self.lose_link(id, LinkEnd::Timeout, out);
        }
    }

    fn time_out_requests(&mut self, out: &mut Output) {
        let (now, settings) = (self.now, self.shared.settings.clone());
        let table = crate::wire::Methods::get();
        let late = |open: &Open| {
            if matches!(open.purpose, Purpose::InLine(_)) {
                // It has a deadline of its own.
                return false;
            }
            let patience = settings.patience(table.row(open.method).timeout);
            // What waits for a place at a backend has a deadline of its own, and an answer that says more.
            let waits =
                if matches!(open.purpose, Purpose::Held) { settings.queue_timeout } else { std::time::Duration::ZERO };
            now.saturating_duration_since(open.started) >= patience + waits
        };
        let gathers: Vec<usize> = self
            .requests
            .iter()
            .filter(|(_, open)| late(open))
            .filter_map(|(_, open)| if let Purpose::Gather(place) = open.purpose { Some(place) } else { None })
            .collect();
        for place in gathers {
            // Those who answered in time are merged; the flag says that it is not all.
            let late = |own: &super::open::Own| matches!(own.purpose, OwnPurpose::Gather(of) if of == place);
            for own in self.own.take_where(late) {
                self.missed(own, out);
            }
        }
        let gathers = |open: &Open| matches!(open.purpose, Purpose::Gather(_));
        for (id, open) in self.requests.take_where(|open| !gathers(open) && late(open)) {
            self.count_refusal(&open, Reason::Timeout);
            self.forget_request(open);
            let message = "the backend did not answer within the deadline of this class of request";
            self.answer_error(Some(&id), Reason::Timeout, message, out);
        }
    }

    /// The client is gone: its holds are given back, its links are closed.
    pub(super) fn leave(&mut self) {
        let why = if self.draining { LinkEnd::Drained } else { LinkEnd::Client };
        for link in self.links.iter_mut().filter_map(Option::take) {
            if link.is_ready() {
                link.metrics.closed.get(why).inc();
            }
        }
        if self.orphan.is_some() {
            self.shared.pool.journeys.orphans.dec();
        }
        for slot in self.sessions.slots(|_| true) {
            if let Some(live) = self.live(slot).filter(|_| self.orphan.is_some()) {
                live.unkeep(self.caller.number);
            }
            let Some(entry) = self.sessions.get_mut(slot) else { continue };
            let Some(attachment) = entry.attachment.take() else { continue };
            if attachment.live().clients() == 1
                && let Some(ended) = attachment.live().end_turn(TurnEnd::ClientLost, self.now)
            {
                self.shared.backend(&attachment.live().home().name).turns.get(TurnOutcome::ClientLost).inc();
                self.shared.pool.turn_duration.observe(ended.took.as_secs_f64());
            }
        }
    }
}
