//! Sessions are placed here: create, resume, open; the search on local disks.

use std::sync::Arc;

use super::{
    away::Away,
    calls::Call,
    chunk::Frame,
    client::Client,
    existence::Wanted,
    open::{NO_LINK, Open, Purpose, Search},
    remembered::Remembered,
    sessions::Slot,
    workspace::Output,
};
use crate::{
    mux::{LinkId, session_id_of},
    pool::Member,
    session::{Attachment, Claim, is_session_id},
    telemetry::Rule,
    tenancy::{Creation, Held, Over},
    wire::{
        Reason, RequestId, Scan,
        edit::with_session_id,
        scan::{Place, Value},
    },
};

/// What is wrong with a session id that [`is_session_id`] refuses.
const BAD_SESSION_ID: &str = "params.sessionId must be a string of 1 to 128 letters, digits, `_` and `-`";

const BAD_OPTIONS_ID: &str = "params.options.sessionId must be a string of 1 to 128 letters, digits, `_` and `-`";

/// Whether a new session's id is left to us.
fn is_unnamed(call: &Call<'_>, place: Place) -> bool {
    match call.scan.value(place) {
        Value::Absent | Value::Null(_) => true,
        Value::Text(inside) => inside.is_empty(),
        _ => false,
    }
}

/// A resume that goes on to the next disk where the session is not found.
fn search(call: &Call<'_>, session: &str, slot: Slot, rest: Vec<Arc<Member>>) -> Purpose {
    let (body, session) = (call.body().to_vec(), session.to_owned());
    Purpose::Search(Box::new(Search { body, rest, session, attaches: true, slot: Some(slot) }))
}

impl Client {
    /// `session.create`, `session.resume`, `sessions.open`.
    pub(super) fn place(&mut self, call: &Call<'_>, name: &str, out: &mut Output) {
        match name {
            "session.create" => self.create(call, out),
            "session.resume" => match self.named(call, Place::SessionId) {
                Some(session) if !self.may_see(&session) => self.answer_absent(call, &session, out),
                Some(session) => self.attach(call, &session, true, out),
                None => self.refuse(call, Reason::InvalidParams, BAD_SESSION_ID, out),
            },
            _ => self.open_session(call, out),
        }
    }

    fn create(&mut self, call: &Call<'_>, out: &mut Output) {
        if let Some(session) = self.named(call, Place::SessionId) {
            return self.make_if_free(call, &session, out);
        }
        if !is_unnamed(call, Place::SessionId) {
            return self.refuse(call, Reason::InvalidParams, BAD_SESSION_ID, out);
        }
        let session = self.new_session_id();
        if matches!(call.scan.value(Place::Cloud), Value::Object(_)) {
            // A cloud session's id is the service's: it is learnt from the answer.
            return self.learn(call, &session, out);
        }
        let body = with_session_id(call.body(), call.scan, &session);
        let Ok(scan) = Scan::read(&body) else { return };
        let frame = Frame::of_body(&body);
        let claims = !self.may_see(&session);
        self.make(&Call { frame: &frame, scan: &scan, ..*call }, &session, claims, out);
    }

    /// Makes a session under the id that the client wants, if that is its to take.
    fn make_if_free(&mut self, call: &Call<'_>, session: &str, out: &mut Output) {
        let creation = match self.behind_wall() {
            Some((wall, guest)) if self.is_apart() => wall.may_create(&guest.who, session),
            _ => Creation::Yes,
        };
        match creation {
            Creation::Yes => self.make(call, session, false, out),
            Creation::IfAbsent => self.ask_existence(call, session, Wanted::New, out),
            Creation::No => {
                self.count_refusal_of(None, Rule::NewSession);
                self.answer_absent(call, session, out);
            }
        }
    }

    /// An id for a session that its client did not name.
    fn new_session_id(&self) -> String {
        let named = |uuid: String| match self.behind_wall() {
            Some((wall, guest)) => wall.new_session_id(&guest.who, &uuid),
            None => uuid,
        };
        self.shared.router.new_session_id(self.caller.address, named)
    }

    fn open_session(&mut self, call: &Call<'_>, out: &mut Output) {
        let kind = call.scan.text(call.body(), Place::Kind).unwrap_or_default();
        let named = match &*kind {
            "create" => self.named(call, Place::OptionsSessionId),
            "resume" | "attach" => self.named(call, Place::SessionId),
            "handoff" => self.named(call, Place::MetadataSessionId),
            _ => None,
        };
        match named {
            Some(session) if &*kind == "create" => self.make_if_free(call, &session, out),
            Some(session) if !self.may_see(&session) => self.answer_absent(call, &session, out),
            Some(session) if self.is_apart() && !self.is_live(&session) => {
                // The runtime takes the beginning of an id, too: another tenant's, for all we know.
                self.ask_existence(call, &session, Wanted::Existing, out);
            }
            Some(session) if &*kind == "resume" && !self.is_live(&session) => {
                // A resume may name a prefix: what it found is in the answer.
                self.learn(call, &session, out);
            }
            Some(session) => self.attach(call, &session, false, out),
            None if &*kind == "create" && !is_unnamed(call, Place::OptionsSessionId) => {
                self.refuse(call, Reason::InvalidParams, BAD_OPTIONS_ID, out);
            }
            None if self.is_apart() && &*kind != "create" => {
                self.refuse(
                    call,
                    Reason::ParamDenied,
                    "params.kind: only sessions that are named can be opened here",
                    out,
                );
            }
            None => {
                let key = self.new_session_id();
                self.learn(call, &key, out);
            }
        }
    }

    fn is_live(&self, session: &str) -> bool {
        self.sessions.find(session).is_some() || self.shared.router.find(session, self.now).is_some()
    }

    /// A valid session id at `place`.
    fn named(&self, call: &Call<'_>, place: Place) -> Option<String> {
        let text = call.scan.text(call.body(), place)?;
        is_session_id(&text).then(|| text.into_owned())
    }

    /// Sends a call that makes or finds a session whose id is in the answer to where `key` would be placed.
    fn learn(&mut self, call: &Call<'_>, key: &str, out: &mut Output) {
        let avoid = self.avoided();
        // The claim is dropped at once: only the place is wanted.
        let home = self.shared.router.claim(key, (self.caller, &self.bell), self.now, &avoid).map(|claim| {
            let home = claim.attachment.live().home();
            claim.attachment.detach();
            home
        });
        if self.has_no_place(call, out) || self.is_over_creates(call, out) {
            return;
        }
        match home {
            Some(home) => self.route_to_member(call, &home, Purpose::Learn, out),
            None => self.refuse(call, Reason::NoBackend, "no healthy backend in the pool", out),
        }
    }

    /// Claims the session for this client and sends the call to its home.
    pub(super) fn attach(&mut self, call: &Call<'_>, session: &str, resumes: bool, out: &mut Output) {
        if let Some(slot) = self.sessions.find(session)
            && let Some(entry) = self.sessions.get(slot).filter(|entry| entry.attachment.is_some())
        {
            let (link, known, away, parked) = (entry.link, entry.open, entry.away.is_some(), entry.parked);
            self.remember(slot, call);
            if away {
                return self.hold_call(call, slot, out);
            }
            if parked {
                return self.call_parked(call, slot, out);
            }
            let rest = self.sessions.get_mut(slot).map(|entry| std::mem::take(&mut entry.rest)).unwrap_or_default();
            let purpose = if known || rest.is_empty() {
                Purpose::Attach { slot, known }
            } else {
                search(call, session, slot, rest.into_vec())
            };
            return self.open_on(call, link, purpose, out);
        }
        let avoid = self.avoided();
        let router = &self.shared.router;
        // A pin that lingers at a home which cannot be reached holds nothing any more.
        if let Some(live) = router.find(session, self.now)
            && avoid.contains(&live.home().name)
        {
            router.registry().forget_unheld(&live);
        }
        let searches = resumes && router.is_local();
        let mut rest = if searches { self.places_to_look(session) } else { Vec::new() };
        let router = &self.shared.router;
        let claim = if searches {
            rest.pop().and_then(|first| router.claim_at(session, &self.bell, self.now, &first))
        } else {
            router.claim(session, (self.caller, &self.bell), self.now, &avoid)
        };
        let Some(Claim { attachment, fresh, full }) = claim else {
            return self.refuse_unplaced(call, session, out);
        };
        if let Err(over) = self.charge(&attachment) {
            attachment.detach();
            return self.refuse_over(call, &over, Rule::Sessions, out);
        }
        let live = attachment.live().clone();
        let on_its_way = live.is_under_way();
        // Where it lived last does not matter to one that is on its way.
        let link = if on_its_way { Some(NO_LINK) } else { self.link_home(&live) };
        let Some(link) = link else {
            return self.refuse(call, Reason::NoBackend, "the session's backend has no address at the moment", out);
        };
        let kept = attachment.live().is_kept();
        let slot = self.sessions.insert(session, attachment, link);
        self.borrows |= !self.may_end(session);
        self.remember(slot, call);
        self.note_kind(slot, call, fresh && !resumes);
        if kept && !on_its_way {
            return self.come_back(call, slot, link, out);
        }
        if on_its_way {
            // It attaches where the session arrives.
            self.sessions.set_away(slot, Away::new(self.now));
            return self.hold_call(call, slot, out);
        }
        if full.is_some() || self.live(slot).is_some_and(|live| live.leases().is_shared()) {
            if let Some(entry) = self.sessions.get_mut(slot).filter(|_| fresh) {
                entry.rest = rest.into();
            }
            return self.stand_in_line(call, slot, out);
        }
        let purpose = if fresh && !rest.is_empty() {
            search(call, session, slot, rest)
        } else {
            Purpose::Attach { slot, known: false }
        };
        self.open_on(call, link, purpose, out);
    }

    /// Keeps what is needed to open the session once more.
    fn remember(&mut self, slot: Slot, call: &Call<'_>) {
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.params = Some(Arc::new(Remembered::of(call, &entry.id)));
        }
    }

    /// With a disk for each backend, a session that is not live is looked for along the hash order.
    pub(super) fn search(&mut self, call: &Call<'_>, session: &str, out: &mut Output) {
        let mut rest = self.places_to_look(session);
        let Some(first) = rest.pop() else {
            return self.refuse(call, Reason::NoBackend, "no healthy backend in the pool", out);
        };
        let (body, session) = (call.body().to_vec(), session.to_owned());
        let search = Search { body, rest, session, attaches: false, slot: None };
        self.route_to_member(call, &first, Purpose::Search(Box::new(search)), out);
    }

    /// Where a session may be on disk, the first place last.
    fn places_to_look(&mut self, session: &str) -> Vec<Arc<Member>> {
        let avoid = self.avoided();
        let mut order = self.shared.router.search_order(session, self.caller.address);
        order.retain(|member| !avoid.contains(&member.name));
        order.reverse();
        order
    }

    /// Nothing was found there: asks the next one. Gives the search back if there is none left.
    pub(super) fn search_on(
        &mut self,
        id: &RequestId,
        open: &mut Open,
        mut search: Box<Search>,
        out: &mut Output,
    ) -> Option<Box<Search>> {
        while let Some(member) = search.rest.pop() {
            let Some(link) = self.link_to(&member) else { continue };
            if search.attaches {
                let params =
                    search.slot.and_then(|slot| self.sessions.get(slot)).and_then(|entry| entry.params.clone());
                if let Some(slot) = search.slot {
                    self.end_session(slot);
                }
                let claim = self.shared.router.claim_at(&search.session, &self.bell, self.now, &member)?;
                let slot = self.sessions.insert(&search.session, claim.attachment, link);
                if let Some(entry) = self.sessions.get_mut(slot) {
                    entry.params = params;
                }
                search.slot = Some(slot);
            }
            let body = std::mem::take(&mut search.body);
            let frame = Frame::of_body(&body);
            self.send(&frame, Some(id), link, out);
            search.body = body;
            open.link = link;
            open.purpose = Purpose::Search(search);
            return None;
        }
        Some(search)
    }

    /// Counts a session against its tenant, if nobody is counted for it yet.
    fn charge(&self, attachment: &Attachment) -> Result<(), Over> {
        if self.guest.is_some() && !attachment.live().is_charged() {
            attachment.live().charge(self.hold(Held::Session)?);
        }
        Ok(())
    }

    /// A session that a backend made or found for this client.
    pub(super) fn learnt(&mut self, body: &[u8], link: LinkId) {
        let Some(session) = session_id_of(body).filter(|id| is_session_id(id)) else { return };
        // The runtime made this id for this client; one that is somebody else's is not shown (`sees_answer`).
        if self.is_apart() && !self.may_see(&session) && !self.claim_free(&session) {
            return;
        }
        let Some(Some(link_state)) = self.links.get(link as usize) else { return };
        let home = link_state.member.clone();
        if self.sessions.find(&session).is_some() {
            return;
        }
        if let Some(claim) = self.shared.router.claim_at(&session, &self.bell, self.now, &home) {
            if self.guest.is_some() && !claim.attachment.live().is_charged() {
                // It lives already: it counts, even where that is one more than the tenant may have.
                let hold = self.guest.as_ref().map(|guest| guest.tenant.quota.hold_anyway(Held::Session));
                claim.attachment.live().charge(hold);
            }
            self.seat_anyway(claim.attachment.live(), &home);
            self.hold_anyway(claim.attachment.live(), &home);
            let slot = self.sessions.insert(&session, claim.attachment, link);
            if let Some(entry) = self.sessions.get_mut(slot) {
                entry.params = Some(Arc::new(Remembered::bare(&session)));
            }
            self.attached(slot);
        }
    }

    pub(super) fn attached(&mut self, slot: Slot) {
        if let Some(entry) = self.sessions.get_mut(slot) {
            (entry.open, entry.comeback) = (true, None);
            entry.attachment.iter().for_each(|attachment| attachment.live().set_open(true));
        }
        self.settle_kind(slot);
    }
}
