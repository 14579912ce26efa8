//! A client whose identity has a backend of its own: it enters it before it says anything to it, waits while it is started, and
//! leaves it when nothing of it is there any more. So it can be stopped under clients that are idle.

use std::{sync::Arc, time::Instant};

use super::{calls::Call, chunk::Frame, client::Client, settings::Shared, workspace::Output, workspace::Workspace};
use crate::{
    model::Identity,
    route::{Entry, Instance, Occupancy, Phase},
    wire::{Reason, Scan, scan::Place},
};

/// Where a client lives that has a backend of its own.
#[derive(Debug)]
pub(super) struct Dwelling {
    instance: Arc<Instance>,
    inside: Option<Occupancy>,
    /// Since when what the client said waits at the gate.
    waits: Option<Instant>,
    /// Its `connect`, which waits there, too.
    connect: Option<Vec<u8>>,
    /// What it says is refused, and why.
    refusal: Option<(Reason, String)>,
}

impl Dwelling {
    #[inline]
    fn is_inside(&self) -> bool {
        self.inside.is_some() && self.instance.is_open()
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
        self.dwelling = Some(Box::new(Dwelling { instance, inside: None, waits: None, connect: None, refusal: None }));
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
        match dwelling.instance.enter(now) {
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
        if let Some(body) = self.dwelling.as_mut().and_then(|dwelling| dwelling.connect.take()) {
            (self.judging, self.repeating) = (true, true);
            self.client_frame(&Frame::of_body(&body), &mut workspace.out);
            (self.judging, self.repeating) = (false, false);
        }
        let chunk = self.inbound.take_carry(workspace);
        self.client_chunk(&workspace.read, chunk, &mut workspace.out);
        true
    }

    /// The client has just logged in by `connect`. `true`: that has to wait, or was refused.
    pub(super) fn connects_later(&mut self, call: &Call<'_>, out: &mut Output) -> bool {
        if !self.is_let_in() {
            if let Some(dwelling) = &mut self.dwelling {
                dwelling.connect = Some(call.body().to_vec());
            }
            self.hurry();
            return true;
        }
        self.is_refused_entry(call, out)
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
        let farewell = scan
            .method_name(frame.body())
            .is_some_and(|name| matches!(&*name, "session.detach" | "session.destroy" | "sessions.close"));
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
