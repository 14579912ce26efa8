//! What arrived, split into frames. Large frames begin to flow as soon as their route is known.

use std::ops::Range;

use super::{
    client::Client,
    inbound::{FLOW_BYTES, FLOW_HEAD, Flow},
    link::State,
    workspace::{CLIENT, Dest, Output, READ_BYTES},
};
use crate::{
    mux::LinkId,
    telemetry::{ClientEnd, LinkEnd, Way},
    wire::{
        Head, Reason, RequestId,
        frame::{read_backend_head, read_head},
        glance::{Glance, glance},
        scan::Span,
    },
};

/// The longest frame of a client that has not shown its token yet: a `connect` has a few hundred bytes, and whoever may do
/// nothing else shall not make us collect megabytes.
const STRANGERS_FRAME: usize = FLOW_BYTES;

/// One frame (or the first part of a large one) where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// The bytes it lies in.
    pub bytes: &'a [u8],
    /// Where it begins.
    pub start: usize,
    /// Where its body begins.
    pub body_at: usize,
    /// Where what is there of it ends.
    pub end: usize,
    /// The length of its whole body.
    pub body_len: usize,
    /// Its head is what we would write.
    pub canonical: bool,
    /// It lies in the read buffer, so it may be passed on where it lies.
    pub in_place: bool,
}

impl<'a> Frame<'a> {
    fn new(bytes: &'a [u8], start: usize, head: Head) -> Self {
        let body_at = start + head.head_len;
        Self {
            bytes,
            start,
            body_at,
            end: bytes.len().min(body_at + head.body_len),
            body_len: head.body_len,
            canonical: head.canonical,
            in_place: true,
        }
    }

    /// A frame that is kept as its body only.
    pub(super) fn of_body(body: &'a [u8]) -> Self {
        Self {
            bytes: body,
            start: 0,
            body_at: 0,
            end: body.len(),
            body_len: body.len(),
            canonical: false,
            in_place: false,
        }
    }

    /// What is there of the body.
    #[inline]
    pub(super) fn body(&self) -> &'a [u8] {
        &self.bytes[self.body_at..self.end]
    }

    /// Whether all of it is there.
    pub(super) fn is_whole(&self) -> bool {
        self.end - self.body_at == self.body_len
    }

    /// Sends it on as it came.
    #[inline]
    pub(super) fn pass(&self, dest: Dest, out: &mut Output) {
        if self.in_place && self.canonical {
            out.pass(dest, self.start..self.end);
        } else {
            out.head(dest, self.body_len);
            self.pass_body(dest, self.body_at..self.end, out);
        }
    }

    /// Sends it on with `span` of the body replaced.
    pub(super) fn pass_edited(&self, dest: Dest, span: Span, new: &[u8], out: &mut Output) {
        out.head(dest, self.body_len - span.len() + new.len());
        self.pass_body(dest, self.body_at..self.body_at + span.start as usize, out);
        out.write(dest, new);
        self.pass_body(dest, self.body_at + span.end as usize..self.end, out);
    }

    fn pass_body(&self, dest: Dest, part: Range<usize>, out: &mut Output) {
        if self.in_place { out.pass(dest, part) } else { out.write(dest, &self.bytes[part]) }
    }
}

impl Client {
    /// Handles bytes of the client.
    pub(super) fn client_chunk(&mut self, read: &[u8], chunk: Range<usize>, out: &mut Output) {
        let bytes = &read[..chunk.end];
        self.meter.bytes_in += self.inbound.take_fresh();
        let mut at = chunk.start;
        if self.inbound.flow.is_some() {
            at += self.client_flow(bytes, at, out);
        }
        let (mut in_head, mut held) = (false, false);
        while at < bytes.len() && self.closing.is_none() {
            let limit = if self.authenticated { usize::MAX } else { STRANGERS_FRAME };
            let head = match read_head(&bytes[at..], self.shared.settings.max_frame.min(limit)) {
                Ok(Some(head)) => head,
                Ok(None) => {
                    in_head = true;
                    break;
                }
                Err(error) => return self.protocol_error(Reason::InvalidFrame, &error.to_string(), out),
            };
            let frame = Frame::new(bytes, at, head);
            if self.holds_back(&frame) {
                held = true;
                break;
            }
            if frame.is_whole() {
                self.inbound.scanner = None;
                self.client_frame(&frame, out);
                at = frame.end;
            } else if head.body_len >= FLOW_BYTES && self.begin_client_flow(&frame, out) {
                at = bytes.len();
            } else {
                break;
            }
        }
        if self.closing.is_some() {
            return self.inbound.keep(&[]);
        }
        let unfinished = !held && at < bytes.len() || self.inbound.flow.is_some();
        if at > chunk.start && in_head {
            // What was unfinished before is through: this header's time begins now.
            self.inbound.waiting_since = None;
        }
        self.inbound.mark(unfinished, in_head, self.now);
        if at < bytes.len() || !self.inbound.carry.is_empty() {
            self.inbound.keep(&bytes[at..]);
        }
    }

    /// Tries to let a large frame of the client flow. `false`: its bytes are kept, for now or until it is whole.
    fn begin_client_flow(&mut self, frame: &Frame<'_>, out: &mut Output) -> bool {
        let body = frame.body();
        if body.len() < FLOW_HEAD {
            return false;
        }
        let mut scanner = self.inbound.scanner.take().unwrap_or_default();
        if let Err(error) = scanner.feed(&body[scanner.offset()..]) {
            let id = scanner.certain_id(body);
            // The rest of it is skipped: the frame's end is known, so the connection goes on behind it.
            self.answer_error(id.as_ref(), error.reason(), &error.to_string(), out);
            return self.discard(frame);
        }
        if let Some(fault) = scanner.fault() {
            self.answer_error(scanner.certain_id(body).as_ref(), fault.reason(), &fault.to_string(), out);
            return self.discard(frame);
        }
        let id = scanner.certain_id(body);
        if id.is_some() && !scanner.scan().is_answer && self.is_over_early(frame.body_len, id.as_ref(), out) {
            return self.discard(frame);
        }
        match self.route_large(frame, scanner.scan(), out) {
            Some(link) => {
                if let Some(Some(link)) = self.links.get_mut(link as usize) {
                    link.taking_flow = true;
                }
                let left = frame.body_len - body.len();
                let request = scanner.scan().request_id(body);
                self.inbound.flow = Some(Flow { dest: Some(link), left, scanner: Some(scanner), request });
                true
            }
            None => {
                self.inbound.scanner = Some(scanner);
                if frame.end - frame.start > READ_BYTES / 2 || self.routed_whole(frame) {
                    self.inbound.whole = Some(frame.body_at - frame.start + frame.body_len);
                }
                false
            }
        }
    }

    /// With this much of it there, a frame that has no route yet will not get one before it is whole.
    fn routed_whole(&self, frame: &Frame<'_>) -> bool {
        frame.end - frame.body_at >= FLOW_BYTES
    }

    fn discard(&mut self, frame: &Frame<'_>) -> bool {
        let left = frame.body_len - (frame.end - frame.body_at);
        self.inbound.flow = Some(Flow { dest: None, left, scanner: None, request: None });
        true
    }

    /// The next bytes of a large frame of the client; gives back how many belonged to it. They go on only after they were
    /// scanned, the last ones only after the whole was: an unfinished frame is never acted on, so cutting the link is a veto.
    fn client_flow(&mut self, bytes: &[u8], at: usize, out: &mut Output) -> usize {
        let Some(flow) = &mut self.inbound.flow else { return 0 };
        let take = flow.left.min(bytes.len() - at);
        flow.left -= take;
        let ends = flow.left == 0;
        let dest = flow.dest;
        let checked = match &mut flow.scanner {
            Some(scanner) => {
                let fed = scanner.feed(&bytes[at..at + take]);
                let fault = scanner.fault();
                fed.and(fault.map_or(Ok(()), Err)).and_then(|()| if ends { scanner.finish() } else { Ok(()) })
            }
            None => Ok(()),
        };
        match (checked, dest) {
            (Err(error), dest) => self.veto(error, dest, out),
            (Ok(()), Some(dest)) => out.pass(dest, at..at + take),
            (Ok(()), None) => {}
        }
        if ends {
            self.inbound.flow = None;
            if let Some(link) = dest {
                self.end_client_flow(link, out);
            }
        }
        take
    }

    /// The large frame that was on its way to `link` is through (or cut): what waited for that goes now.
    fn end_client_flow(&mut self, link: LinkId, out: &mut Output) {
        if let Some(Some(link_state)) = self.links.get_mut(link as usize) {
            link_state.taking_flow = false;
            let after = std::mem::take(&mut link_state.after);
            if !after.is_empty() {
                out.write(link, &after);
            }
        }
    }

    /// A large frame turned out bad while it flowed: its link is cut before the last byte.
    fn veto(&mut self, error: crate::wire::ScanError, dest: Option<Dest>, out: &mut Output) {
        if let Some(flow) = &mut self.inbound.flow {
            (flow.dest, flow.scanner) = (None, None);
            let id = flow.request.take();
            if let Some(open) = id.as_ref().and_then(|id| self.requests.take(id)) {
                self.forget_request(open);
            }
            self.answer_error(id.as_ref(), error.reason(), &error.to_string(), out);
        }
        if let Some(link) = dest {
            self.lose_link(link, LinkEnd::Cut, out);
        }
    }

    /// Handles bytes of a backend.
    pub(super) fn link_chunk(&mut self, id: LinkId, read: &[u8], chunk: Range<usize>, out: &mut Output) {
        let bytes = &read[..chunk.end];
        let Some(Some(link)) = self.links.get_mut(id as usize) else { return };
        link.metrics.bytes.get(Way::In).inc_by(link.inbound.take_fresh());
        let mut at = chunk.start;
        if link.inbound.flow.is_some() {
            at += self.link_flow(id, bytes, at, out);
        }
        let mut frames = 0;
        while at < bytes.len() {
            let head = match read_backend_head(&bytes[at..], self.shared.settings.max_backend_frame) {
                Ok(Some(head)) => head,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(conn = self.caller.number, reason = %error, "a backend sent what is no frame");
                    return self.lose_link(id, LinkEnd::Protocol, out);
                }
            };
            let frame = Frame::new(bytes, at, head);
            if frame.is_whole() {
                self.link_frame(id, &frame, out);
                at = frame.end;
                // A refused greeting ends the link; its place may be another one's by now, which is still dialling.
                if self.links[id as usize].as_ref().is_none_or(|link| link.socket.is_none()) {
                    return;
                }
            } else if head.body_len >= FLOW_BYTES && self.begin_link_flow(id, &frame, out) {
                at = bytes.len();
            } else {
                break;
            }
            frames += 1;
        }
        if let Some(Some(link)) = self.links.get_mut(id as usize) {
            link.metrics.frames.get(Way::In).inc_by(frames);
            let unfinished = at < bytes.len() || link.inbound.flow.is_some();
            link.inbound.mark(unfinished, false, self.now);
            if at < bytes.len() || !link.inbound.carry.is_empty() {
                link.inbound.keep(&bytes[at..]);
            }
        }
    }

    fn begin_link_flow(&mut self, id: LinkId, frame: &Frame<'_>, out: &mut Output) -> bool {
        let body = frame.body();
        let ready = self.links[id as usize].as_ref().is_some_and(|link| matches!(link.state, State::Ready));
        let seen = if body.len() < FLOW_HEAD || !ready { None } else { glance(body, false) };
        let seen = seen.filter(|seen| !self.needs_whole(body, *seen));
        let answers = match seen {
            Some(Glance::Answer { id, .. }) => id.of(body).and_then(RequestId::read),
            _ => None,
        };
        let passes = seen.is_some_and(|seen| self.link_message(id, frame, seen, out));
        let Some(Some(link)) = self.links.get_mut(id as usize) else { return true };
        let left = frame.body_len - body.len();
        if passes {
            link.inbound.flow = Some(Flow { dest: Some(CLIENT), left, scanner: None, request: answers });
            self.flow_from = Some(id);
        } else if seen.is_some() {
            // What was decided of it in advance: it goes nowhere.
            link.inbound.flow = Some(Flow { dest: None, left, scanner: None, request: None });
        } else {
            if body.len() >= FLOW_BYTES {
                link.inbound.whole = Some(frame.body_at - frame.start + frame.body_len);
            }
            return false;
        }
        true
    }

    fn link_flow(&mut self, id: LinkId, bytes: &[u8], at: usize, out: &mut Output) -> usize {
        let Some(Some(link)) = self.links.get_mut(id as usize) else { return 0 };
        let Some(flow) = &mut link.inbound.flow else { return 0 };
        let take = flow.left.min(bytes.len() - at);
        flow.left -= take;
        let (ends, dest) = (flow.left == 0, flow.dest);
        if ends {
            link.inbound.flow = None;
        }
        if let Some(dest) = dest {
            out.pass(dest, at..at + take);
            if ends {
                self.end_link_flow(out);
            }
        }
        take
    }

    /// The large frame that was on its way to the client is through: what waited for that goes now.
    pub(super) fn end_link_flow(&mut self, out: &mut Output) {
        self.flow_from = None;
        let after = std::mem::take(&mut self.after_flow);
        if !after.is_empty() {
            out.write(CLIENT, &after);
        }
    }

    /// What the client sent cannot be read on: everything open is answered, then it is closed.
    pub(super) fn protocol_error(&mut self, reason: Reason, message: &str, out: &mut Output) {
        self.answer_all_open(reason, message, out);
        self.answer_error(None, reason, message, out);
        self.close(ClientEnd::Protocol, out);
    }
}
