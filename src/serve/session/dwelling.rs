//! A client whose identity has a backend of its own: it enters it before it says anything to it, waits while it is started, and
//! leaves it when nothing of it is there any more. So it can be stopped under clients that are idle.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    calls::Call, chunk::Frame, client::Client, parked::farewell, settings::Shared, workspace::Output,
    workspace::Workspace,
};
use crate::{
    model::Identity,
    pool::Member,
    route::{Entry, Instance, Occupancy, Phase},
    wire::{Reason, Scan, frame::read_head, scan::Place},
};

/// A process that did not answer a dial is dialled again after this, if it is still the same.
const RETRY: Duration = Duration::from_secs(1);

/// Where a client lives that has a backend of its own.
#[derive(Debug)]
pub(super) struct Dwelling {
    instance: Arc<Instance>,
    inside: Option<Occupancy>,
    /// Since when what the client said waits at the gate.
    waits: Option<Instant>,
    /// Requests that were handled already as far as they could be: its `connect`, and what could not be sent.
    held: Vec<Vec<u8>>,
    /// The process that did not answer a dial, and when: it has ended, and whoever watches over it is about to notice.
    dead: Option<(u64, Instant)>,
    /// What it says is refused, and why.
    refusal: Option<(Reason, String)>,
}

impl Dwelling {
    #[inline]
    fn is_inside(&self) -> bool {
        self.inside.is_some() && self.dead.is_none() && self.instance.is_open() && self.instance.is_reachable()
    }

    /// Asks to be let in.
    fn knock(&mut self, now: Instant) -> Entry {
        let process = self.instance.incarnation();
        self.dead = self.dead.filter(|(dead, at)| *dead == process && now.saturating_duration_since(*at) < RETRY);
        let ended = self.dead.is_some() || (self.instance.is_open() && !self.instance.is_healthy());
        if ended { Entry::Wait } else { self.instance.enter(now) }
    }
}

impl Shared {
    /// The same listener, before the backend of one identity.
    fn at(&self, instance: &Instance) -> Self {
        Self { router: instance.router().clone(), ..self.clone() }
    }
}

impl Client {
    /// The client is known now: where identities have backends of their own, it turns to its.
    pub(super) fn move_in(&mut self, who: &Identity) {
        let Some(quarters) = &self.shared.quarters else { return };
        let instance = quarters.of(who);
        self.shared = Arc::new(self.shared.at(&instance));
        instance.router().registry().enter(&self.bell);
        self.dwelling = Some(Box::new(Dwelling {
            instance,
            inside: None,
            waits: None,
            held: Vec::new(),
            dead: None,
            refusal: None,
        }));
    }

    /// Whether a frame of the client has to wait until its backend serves.
    #[inline]
    pub(super) fn holds_back(&mut self, frame: &Frame<'_>) -> bool {
        self.dwelling.is_some() && !(frame.is_whole() && self.is_farewell(frame)) && !self.is_let_in()
    }

    fn is_let_in(&mut self) -> bool {
        match &mut self.dwelling {
            None => true,
            Some(dwelling) if dwelling.is_inside() => {
                dwelling.refusal = None;
                true
            }
            Some(_) => self.knocks(),
        }
    }

    /// Something of the client waits at the gate.
    pub(super) fn is_at_gate(&self) -> bool {
        self.dwelling.as_ref().is_some_and(|dwelling| dwelling.waits.is_some())
    }

    fn knocks(&mut self) -> bool {
        let patience = self.shared.quarters.as_ref().map(|quarters| quarters.patience()).unwrap_or_default();
        let now = self.now;
        let Some(dwelling) = &mut self.dwelling else { return true };
        dwelling.refusal = None;
        match dwelling.knock(now) {
            Entry::In(inside) => {
                // Somebody who was in it when it was lost is counted once.
                dwelling.inside = Some(inside);
            }
            Entry::Refused(trouble) => dwelling.refusal = Some((Reason::NoBackend, trouble.message.clone())),
            Entry::Wait => {
                let since = *dwelling.waits.get_or_insert(now);
                if now.saturating_duration_since(since) < patience {
                    return false;
                }
                dwelling.refusal = Some(too_late(&dwelling.instance.phase()));
            }
        }
        dwelling.waits = None;
        true
    }

    /// Handles what waited at the gate, if it may be handled now. `true`: it was.
    pub(super) fn passes_gate(&mut self, workspace: &mut Workspace) -> bool {
        if !self.is_at_gate() || !self.is_let_in() {
            return false;
        }
        let held = self.dwelling.as_mut().map(|dwelling| std::mem::take(&mut dwelling.held)).unwrap_or_default();
        held.iter().for_each(|body| self.hand_in(body, &mut workspace.out));
        let chunk = self.inbound.take_carry(workspace);
        self.client_chunk(&workspace.read, chunk, &mut workspace.out);
        true
    }

    /// Handles once more what could not be sent.
    fn hand_in(&mut self, body: &[u8], out: &mut Output) {
        if let Some((reason, message)) = self.dwelling.as_ref().and_then(|dwelling| dwelling.refusal.clone()) {
            let id = Scan::read(body).ok().and_then(|scan| scan.request_id(body));
            return self.answer_error(id.as_ref(), reason, &message, out);
        }
        if self.setup.connect().is_some() {
            return self.again(body, out);
        }
        (self.judging, self.repeating) = (true, true);
        self.client_frame(&Frame::of_body(body), out);
        (self.judging, self.repeating) = (false, false);
    }

    /// The client has just logged in by `connect`. `true`: that has to wait, or was refused.
    pub(super) fn connects_later(&mut self, call: &Call<'_>, out: &mut Output) -> bool {
        if !self.is_let_in() {
            if let Some(dwelling) = &mut self.dwelling {
                dwelling.held.push(call.body().to_vec());
            }
            self.hurry();
            return true;
        }
        self.is_refused_entry(call, out)
    }

    /// A backend of its own could not be dialled: what was not sent waits for the next one. `false`: others may take it.
    pub(super) fn waits_for_next(&mut self, member: &Member, unsent: &mut Vec<Vec<u8>>) -> bool {
        let now = self.now;
        let Some(dwelling) = &mut self.dwelling else { return false };
        dwelling.dead = Some((member.incarnation(), now));
        dwelling.waits.get_or_insert(now);
        dwelling.held.append(unsent);
        self.hurry();
        true
    }

    /// The connection ends: what waited at the gate is answered.
    pub(super) fn answer_at_gate(&mut self, out: &mut Output) {
        if !self.is_at_gate() {
            return;
        }
        let Some(dwelling) = &mut self.dwelling else { return };
        dwelling.waits = None;
        let held = std::mem::take(&mut dwelling.held);
        let (carry, most) = (std::mem::take(&mut self.inbound.carry), self.shared.settings.max_frame);
        let mut bodies: Vec<&[u8]> = held.iter().map(Vec::as_slice).collect();
        let mut rest = &carry[..];
        while let Ok(Some(head)) = read_head(rest, most) {
            let Some(body) = rest.get(head.head_len..head.head_len + head.body_len) else { break };
            bodies.push(body);
            rest = &rest[head.head_len + head.body_len..];
        }
        for body in bodies {
            let id = Scan::read(body).ok().filter(|scan| !scan.is_answer).and_then(|scan| scan.request_id(body));
            if id.is_some() {
                self.answer_error(id.as_ref(), Reason::Draining, "the connection is being closed", out);
            }
        }
    }

    /// Its backend cannot be had: the call is answered with the reason. `true`: it was.
    pub(super) fn is_refused_entry(&mut self, call: &Call<'_>, out: &mut Output) -> bool {
        let refusal = self.dwelling.as_ref().and_then(|dwelling| dwelling.refusal.clone());
        let Some((reason, message)) = refusal else { return false };
        self.refuse(call, reason, &message, out);
        true
    }

    /// What a client says of a parked session that it lets go needs no backend.
    fn is_farewell(&self, frame: &Frame<'_>) -> bool {
        if self.dwelling.as_ref().is_some_and(|dwelling| dwelling.is_inside()) {
            return false;
        }
        let Ok(scan) = Scan::read(frame.body()) else { return false };
        let farewell = scan.method_name(frame.body()).is_some_and(|name| farewell(&name).is_some());
        let named = || scan.text(frame.body(), Place::SessionId).and_then(|session| self.sessions.find(&session));
        farewell && named().and_then(|slot| self.sessions.get(slot)).is_some_and(|entry| entry.parked)
    }

    /// Its backend is asked to rest: links that nothing needs are closed, whoever takes over.
    pub(super) fn is_asked_to_leave(&self) -> bool {
        self.dwelling.as_ref().is_some_and(|dwelling| dwelling.inside.is_some() && dwelling.instance.is_resting())
    }

    /// Leaves its backend if nothing of it is there any more.
    pub(super) fn leave_if_done(&mut self) {
        let nothing = self.links.iter().all(Option::is_none)
            && self.requests.is_empty()
            && self.inbound.waiting_since.is_none()
            && !self.sessions.has_aways();
        if nothing && let Some(dwelling) = &mut self.dwelling {
            dwelling.inside = None;
        }
    }

    /// For whoever decides which backends may stop.
    #[inline]
    pub(super) fn note_life(&mut self, runs: bool) {
        let (active, now) = (self.meter.frames_in > 0, self.now);
        if let Some(inside) = self.dwelling.as_mut().and_then(|dwelling| dwelling.inside.as_mut()) {
            inside.note(runs, active, now);
        }
    }
}

fn too_late(phase: &Phase) -> (Reason, String) {
    match phase {
        Phase::Queued => (Reason::Capacity, "all places for CLIs are taken by busy ones; try again".into()),
        _ => (Reason::NoBackend, "the CLI of this identity did not start in time; try again".into()),
    }
}
