//! Sessions are placed here: create, resume, open; the search on local disks; lists over several backends.

use std::sync::Arc;

use super::{
    calls::Call,
    chunk::Frame,
    client::Client,
    existence::Wanted,
    open::{NO_LINK, Open, Own, OwnPurpose, Purpose, Search},
    sessions::Slot,
    workspace::Output,
};
use crate::{
    mux::{Gather, Limit, LinkId, Pick, session_id_of},
    pool::Member,
    session::{Attachment, Claim, is_session_id},
    telemetry::Rule,
    tenancy::{Creation, Held, Over},
    wire::{
        Reason, RequestId, Scan,
        edit::{replace, with_session_id},
        methods::Merge,
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
        let home = self.shared.router.claim(key, self.caller, self.now, &avoid).map(|claim| {
            let home = claim.attachment.live().home().clone();
            claim.attachment.detach();
            home
        });
        if self.is_over_creates(call, out) {
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
            let (link, known) = (entry.link, entry.open);
            return self.open_on(call, link, Purpose::Attach { slot, known }, out);
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
            rest.pop().and_then(|first| router.claim_at(session, self.caller, self.now, &first))
        } else {
            router.claim(session, self.caller, self.now, &avoid)
        };
        let Some(Claim { attachment, fresh }) = claim else {
            return self.refuse(call, Reason::NoBackend, "no healthy backend in the pool", out);
        };
        if let Err(over) = self.charge(&attachment) {
            attachment.detach();
            return self.refuse_over(call, &over, Rule::Sessions, out);
        }
        let home = attachment.live().home().clone();
        let Some(link) = self.link_to(&home) else {
            return self.refuse(call, Reason::NoBackend, "the session's backend has no address at the moment", out);
        };
        let slot = self.sessions.insert(session, attachment, link);
        self.borrows |= !self.may_end(session);
        let purpose = if fresh && !rest.is_empty() {
            let (body, session) = (call.body().to_vec(), session.to_owned());
            Purpose::Search(Box::new(Search { body, rest, session, attaches: true, slot: Some(slot) }))
        } else {
            Purpose::Attach { slot, known: false }
        };
        self.open_on(call, link, purpose, out);
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
                if let Some(slot) = search.slot {
                    self.end_session(slot);
                }
                let claim = self.shared.router.claim_at(&search.session, self.caller, self.now, &member)?;
                search.slot = Some(self.sessions.insert(&search.session, claim.attachment, link));
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
        if let Some(claim) = self.shared.router.claim_at(&session, self.caller, self.now, &home) {
            if self.guest.is_some() && !claim.attachment.live().is_charged() {
                // It lives already: it counts, even where that is one more than the tenant may have.
                let hold = self.guest.as_ref().map(|guest| guest.tenant.quota.hold_anyway(Held::Session));
                claim.attachment.live().charge(hold);
            }
            let slot = self.sessions.insert(&session, claim.attachment, link);
            self.attached(slot);
        }
    }

    pub(super) fn attached(&mut self, slot: Slot) {
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.open = true;
        }
    }

    /// Lists and look-ups. On shared storage every backend reads the same disk, so the client's own is enough, but for
    /// deletions, which have to reach the home of what is live. Local disks are all asked.
    pub(super) fn gather(&mut self, call: &Call<'_>, out: &mut Output) {
        let (Some(id), Some(merge)) = (call.id, call.row.merge) else { return };
        if self.lacks_its_list(call, out) {
            return;
        }
        let pick = if self.is_apart() { Pick::read(&call.row.name, call.body()) } else { None };
        let gather = Gather::new(id.clone(), merge, 0).picking(pick);
        if self.is_apart()
            && let Some((limit, body)) = Limit::take(&call.row.name, call.body())
        {
            let Ok(scan) = Scan::read(&body) else { return };
            let (gather, frame) = (gather.limited(Some(limit)), Frame::of_body(&body));
            return self.gather_into(gather, &Call { frame: &frame, scan: &scan, ..*call }, merge, out);
        }
        if let Some((body, asked)) = self.without_foreign(call) {
            let Ok(scan) = Scan::read(&body) else { return };
            let frame = Frame::of_body(&body);
            return self.gather_into(gather.about(asked), &Call { frame: &frame, scan: &scan, ..*call }, merge, out);
        }
        self.gather_into(gather, call, merge, out);
    }

    fn gather_into(&mut self, mut gather: Gather, call: &Call<'_>, merge: Merge, out: &mut Output) {
        let mut parts = if self.shared.router.is_local() {
            self.parts_for_everyone(call, merge)
        } else if merge == Merge::Freed {
            self.parts_by_home(call)
        } else {
            Vec::new()
        };
        if parts.is_empty()
            && self.is_apart()
            && let Some(Some(link)) = self.general_link().map(|link| self.links[link as usize].as_ref())
        {
            // What one backend says is filtered like what several say.
            parts = vec![(link.member.clone(), self.asked(call, merge))];
        }
        if parts.len() <= 1 && !self.is_apart() {
            return match parts.into_iter().next() {
                Some((member, _)) => self.route_to_member(call, &member, Purpose::Plain, out),
                None => self.route_to_general(call, Purpose::Plain, out),
            };
        }
        let place = self.gathers.iter().position(Option::is_none).unwrap_or(self.gathers.len());
        if place == self.gathers.len() {
            self.gathers.push(None);
        }
        gather.wait_for(parts.len());
        let id = gather.id().clone();
        let mut sent = Vec::new();
        for (member, body) in parts {
            match self.link_to(&member).filter(|_| member.verdict() != crate::pool::Verdict::Down) {
                Some(link) => sent.push((link, body)),
                None => gather.missed(),
            }
        }
        self.gathers[place] = Some(gather);
        let open = Open { link: NO_LINK, method: call.method, started: self.now, purpose: Purpose::Gather(place) };
        self.requests.open(id, open);
        for (link, body) in sent {
            let own = self.own.open(Own { link, purpose: OwnPurpose::Gather(place) });
            let Some(body) = with_own_id(&body, &own) else { continue };
            self.send(&Frame::of_body(&body), Some(&own), link, out);
        }
        self.finish_gather(place, out);
    }

    /// What a backend is asked in the place of a look-up over several.
    fn asked(&self, call: &Call<'_>, merge: Merge) -> Vec<u8> {
        match merge {
            // The newest of all is found in the merged list; behind a wall every look-up is.
            _ if matches!(merge, Merge::Last) || merge == Merge::Found && self.is_apart() => {
                br#"{"jsonrpc":"2.0","id":0,"method":"session.list","params":{}}"#.to_vec()
            }
            _ => call.body().to_vec(),
        }
    }

    fn parts_for_everyone(&self, call: &Call<'_>, merge: Merge) -> Vec<(Arc<Member>, Vec<u8>)> {
        let body = self.asked(call, merge);
        self.shared.router.everyone().into_iter().map(|member| (member, body.clone())).collect()
    }

    /// `sessions.bulkDelete` on shared storage: each id to where it is live, the others to the client's own backend.
    fn parts_by_home(&mut self, call: &Call<'_>) -> Vec<(Arc<Member>, Vec<u8>)> {
        let Value::Array(span) = call.scan.value(Place::SessionIds) else { return Vec::new() };
        let ids: Vec<String> =
            span.of(call.body()).and_then(|raw| serde_json::from_slice(raw).ok()).unwrap_or_default();
        let Some(general) = self.general_link().and_then(|link| self.links[link as usize].as_ref()) else {
            return Vec::new();
        };
        let general = general.member.clone();
        let mut homes: Vec<(Arc<Member>, Vec<String>)> = Vec::new();
        for id in crate::session::distinct(ids) {
            let home =
                self.shared.router.find(&id, self.now).map_or_else(|| general.clone(), |live| live.home().clone());
            match homes.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &home)) {
                Some((_, ids)) => ids.push(id),
                None => homes.push((home, vec![id])),
            }
        }
        let with = |ids: Vec<String>| replace(call.body(), span, serde_json::Value::from(ids).to_string().as_bytes());
        homes.into_iter().map(|(home, ids)| (home, with(ids))).collect()
    }

    /// A gathering that waits for nobody is answered.
    pub(super) fn finish_gather(&mut self, place: usize, out: &mut Output) {
        let complete = self.gathers.get(place).and_then(Option::as_ref).is_some_and(Gather::is_complete);
        let Some(gather) = complete.then(|| self.gathers[place].take()).flatten() else { return };
        let Some(open) = self.requests.take(gather.id()) else { return };
        match gather.finish(&|session| self.may_see(session)) {
            Some(body) => {
                if gather.is_deletion() {
                    gather.asked().for_each(|session| self.forget_owner(session));
                }
                self.count_answer(&open, true);
                self.tell(&body, out);
            }
            None => {
                self.count_refusal(&open, Reason::NoBackend);
                self.answer_error(Some(gather.id()), Reason::NoBackend, "no backend of the pool answered", out);
            }
        }
    }
}

fn with_own_id(body: &[u8], id: &RequestId) -> Option<Vec<u8>> {
    let scan = Scan::read(body).ok()?;
    let mut json = Vec::new();
    id.append_json(&mut json);
    Some(replace(body, scan.id?, &json))
}
