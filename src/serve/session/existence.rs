//! An id that nobody owns may be some backend's session from before this proxy started. Whoever wants to take it for a new
//! session waits until the backends have said that they do not know it; a session that exists is nobody's to take.

use serde_json::Value;

use super::{
    calls::Call,
    chunk::Frame,
    client::Client,
    open::{NO_LINK, Open, Own, OwnPurpose, Purpose},
    workspace::Output,
};
use crate::{
    pool::Verdict,
    store::Who,
    telemetry::Rule,
    tenancy::Held,
    wire::{Methods, Reason, RequestId, Scan, reply},
};

/// Answers for every session, live or on the disk, with a turn or without one (measured on 1.0.102).
const QUESTION: &str = "sessions.getClientMetadata";

/// For CLIs that do not know that: knows sessions after their first turn only.
const QUESTION_OF_OLD: &str = "session.getMetadata";

const QUESTIONS: [&str; 2] = [QUESTION, QUESTION_OF_OLD];

/// How often a backend that was lost is replaced by another one in the asking (on shared storage any can answer).
const TRIES: u8 = 3;

/// One id that backends are asked about.
#[derive(Debug)]
pub struct Probe {
    /// The client's request, which waits.
    id: RequestId,
    /// Its body.
    body: Vec<u8>,
    /// The id that it wants.
    session: String,
    /// Whether it wants a new session, or one that exists.
    wants: Wanted,
    waiting: usize,
    exists: bool,
    failed: bool,
    tries: u8,
}

/// What the request that waits is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// An id that no backend knows.
    New,
    /// A session of that very id: the runtime would also take the beginning of another one's.
    Existing,
}

impl Client {
    /// Asks the backends whether they know `session` before `call` goes on.
    pub(super) fn ask_existence(&mut self, call: &Call<'_>, session: &str, wants: Wanted, out: &mut Output) {
        let Some(id) = call.id.cloned() else { return };
        let (body, session) = (call.body().to_vec(), session.to_owned());
        let probe = Probe { id: id.clone(), body, session, wants, waiting: 0, exists: false, failed: false, tries: 0 };
        let place = self.probes.iter().position(Option::is_none).unwrap_or(self.probes.len());
        if place == self.probes.len() {
            self.probes.push(None);
        }
        self.probes[place] = Some(probe);
        let open = Open { link: NO_LINK, method: call.method, started: self.now, purpose: Purpose::Probe(place) };
        self.requests.open(id, open);
        self.ask(place, out);
    }

    fn ask(&mut self, place: usize, out: &mut Output) {
        let Some(Some(probe)) = self.probes.get_mut(place) else { return };
        probe.tries += 1;
        let session = serde_json::Value::from(probe.session.as_str()).to_string();
        let links = if self.shared.router.is_local() {
            let everyone = self.shared.router.everyone();
            let all = everyone.len();
            let alive = everyone.into_iter().filter(|member| member.verdict() != Verdict::Down);
            let links: Vec<_> = alive.collect::<Vec<_>>().iter().filter_map(|member| self.link_to(member)).collect();
            if links.len() < all {
                // A disk that cannot be looked at may hold it.
                self.fail_probe(place);
            }
            links
        } else {
            self.general_link().into_iter().collect()
        };
        if links.is_empty() {
            self.fail_probe(place);
        }
        for link in links {
            for method in QUESTIONS {
                let own = self.own.open(Own { link, purpose: OwnPurpose::Exists(place) });
                let params = match method {
                    QUESTION_OF_OLD => format!(r#"{{"sessionId":{session}}}"#),
                    _ => format!(r#"{{"sessionIds":[{session}]}}"#),
                };
                let body = reply::request(&own, method, &params);
                self.send(&Frame::of_body(&body), Some(&own), link, out);
                if let Some(Some(probe)) = self.probes.get_mut(place) {
                    probe.waiting += 1;
                }
            }
        }
        self.finish_probe(place, out);
    }

    fn fail_probe(&mut self, place: usize) {
        if let Some(Some(probe)) = self.probes.get_mut(place) {
            probe.failed = true;
        }
    }

    /// A backend said whether it knows the id; `None`: it will not say.
    pub(super) fn existence_told(&mut self, place: usize, answer: Option<(&[u8], bool)>, out: &mut Output) {
        let Some(Some(probe)) = self.probes.get_mut(place) else { return };
        probe.waiting = probe.waiting.saturating_sub(1);
        match answer {
            Some((body, ok)) => probe.exists |= says_it_exists(body, ok, &probe.session),
            None => probe.failed = true,
        }
        self.finish_probe(place, out);
    }

    /// The request that waited is not waited for any more.
    pub(super) fn forget_probe(&mut self, place: usize) {
        if let Some(probe) = self.probes.get_mut(place) {
            *probe = None;
        }
    }

    fn finish_probe(&mut self, place: usize, out: &mut Output) {
        let Some(Some(probe)) = self.probes.get_mut(place) else { return };
        if probe.waiting > 0 {
            return;
        }
        if probe.failed && !probe.exists && probe.tries < TRIES && !self.shared.router.is_local() {
            probe.failed = false;
            return self.ask(place, out);
        }
        let Some(probe) = self.probes[place].take() else { return };
        let Some(open) = self.requests.take(&probe.id) else { return };
        let Ok(scan) = Scan::read(&probe.body) else { return };
        let frame = Frame::of_body(&probe.body);
        let row = Methods::get().row(open.method);
        let call = Call { frame: &frame, scan: &scan, id: Some(&probe.id), method: open.method, row };
        let session = &probe.session;
        match (probe.exists, probe.wants) {
            (false, _) if probe.failed => {
                self.refuse(&call, Reason::NoBackend, "no backend could say whether this session exists", out);
            }
            (false, Wanted::New) => self.make(&call, session, true, out),
            (true, Wanted::Existing) => self.attach(&call, session, true, out),
            _ => self.answer_absent(&call, session, out),
        }
    }

    /// Records a new id as this client's. `false`: somebody else was first.
    pub(super) fn claim_free(&self, session: &str) -> bool {
        self.behind_wall().is_none_or(|(wall, guest)| wall.claim_free(&guest.who, session))
    }

    /// A session was deleted: its id is nobody's again.
    pub(super) fn forget_owner(&self, session: &str) {
        if let Some(wall) = &self.shared.wall {
            if let Some(owner) = wall.owners().find(session) {
                let who = Who { tenant: owner.tenant, user: owner.user };
                self.shared.router.registry().leases().disown(session, who);
            }
            wall.forget(session);
        }
    }

    /// Makes a session whose id is this client's to take. `claims`: its id does not say so, and it has to be recorded.
    pub(super) fn make(&mut self, call: &Call<'_>, session: &str, claims: bool, out: &mut Output) {
        let new = self.sessions.find(session).is_none();
        let lives = self.shared.router.find(session, self.now).is_some();
        if new && (!lives && self.has_no_place(call, out) || self.is_over_creates(call, out)) {
            return; // What is refused is not recorded, either.
        }
        if claims && !self.claim_free(session) {
            return self.answer_absent(call, session, out);
        }
        self.attach(call, session, false, out);
        if claims {
            self.note_claim(session);
        }
    }

    /// Remembers that a record stands and falls with the session's making.
    fn note_claim(&mut self, session: &str) {
        let slot = self.sessions.find(session);
        match slot.and_then(|slot| self.sessions.get_mut(slot)) {
            Some(entry) => entry.claimed = true,
            None => self.forget_owner(session),
        }
    }

    /// Whether the tenant has as many live sessions as it may have. `true`: the call, which makes one more, was answered.
    pub(super) fn has_no_place(&mut self, call: &Call<'_>, out: &mut Output) -> bool {
        match self.hold(Held::Session) {
            Err(over) => {
                self.refuse_over(call, &over, Rule::Sessions, out);
                true
            }
            Ok(_) => false,
        }
    }

    /// Takes a new session out of the tenant's quota. `true`: it is over it, and the call was answered.
    pub(super) fn is_over_creates(&mut self, call: &Call<'_>, out: &mut Output) -> bool {
        let guest = self.guest.as_ref().filter(|_| !self.repeating);
        let over = guest.and_then(|guest| guest.tenant.quota.take_create(self.now).err());
        match over {
            Some(over) => {
                self.refuse_over(call, &over, Rule::Creates, out);
                true
            }
            None => false,
        }
    }
}

/// Whether an answer to our questions says that the session exists. What cannot be read says so too: nothing is given away
/// on a guess.
fn says_it_exists(body: &[u8], ok: bool, session: &str) -> bool {
    let has = |text: &[u8]| memchr::memmem::find(body, text).is_some();
    if !ok {
        // An older CLI without the method cannot say; the other question does.
        return !has(b"-32601") && !has(b"ot found");
    }
    let Ok(Answer { result }) = serde_json::from_slice::<Answer>(body) else { return true };
    match result {
        Value::Array(entries) => entries.iter().any(|one| one["sessionId"] == session && one["status"] != "notFound"),
        Value::Object(members) => members.contains_key("session") || has(session.as_bytes()),
        _ => true,
    }
}

#[derive(serde::Deserialize)]
struct Answer {
    result: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_backends_say_of_an_id() {
        let says = |body: &str, ok| says_it_exists(body.as_bytes(), ok, "s-1");
        let answers =
            |result: &str| says(&format!(r#"{{"jsonrpc":"2.0","id":"pilotfish-1","result":{result}}}"#), true);
        assert!(!answers("{}"));
        assert!(!answers(r#"[{"sessionId":"s-1","status":"notFound"}]"#));
        assert!(!answers("[]"));
        assert!(!answers(r#"{"success":true}"#), "no word about it");
        assert!(answers(r#"{"session":{"sessionId":"s-1"}}"#));
        assert!(answers(r#"{"metadata":{"id":"s-1"}}"#));
        assert!(answers(r#"[{"sessionId":"s-1","status":"ok","metadata":{}}]"#));
        assert!(answers("null"), "what we do not understand is no yes");
        assert!(!says(r#"{"jsonrpc":"2.0","id":"pilotfish-1","error":{"code":-32601,"message":"x"}}"#, false));
        assert!(says(r#"{"jsonrpc":"2.0","id":"pilotfish-1","error":{"code":-32603,"message":"x"}}"#, false));
    }
}
