//! What this client gets to see of what its backends send: only what is about sessions of its own, or shared with it.

use std::borrow::Cow;

use serde::Deserialize;

use super::{chunk::Frame, client::Client, open::Open, sessions::Slot, workspace::Output};
use crate::{
    mux::LinkId,
    telemetry::Dropped,
    wire::{Methods, RequestId, reply, scan::Span},
};

/// Requests of a backend to whoever took over a part of the whole process, by the method that does that.
const TAKEN_OVER: &[(&str, &str)] = &[
    ("llmInference.", "llmInference.setProvider"),
    ("sessionFs.", "sessionFs.setProvider"),
    ("extensionLaunchProvider.", "registerExtensionLaunchProvider"),
];

/// A request that names no session but the registration that this very connection made.
const BY_REGISTRATION: &str = "gitHubToken.getToken";

/// The places where a notification or request of a backend names a session.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told<'a> {
    #[serde(borrow)]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<Nested<'a>>,
    #[serde(borrow)]
    event: Option<Nested<'a>>,
}

/// What some methods nest an id in is in others a text or anything else.
#[derive(Deserialize)]
#[serde(untagged)]
enum Nested<'a> {
    Ids(#[serde(borrow)] Inner<'a>),
    Other(serde::de::IgnoredAny),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Inner<'a> {
    #[serde(borrow, rename = "sessionId")]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "session_id")]
    other_spelling: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    params: Option<Told<'a>>,
}

impl Told<'_> {
    fn ids(&self) -> impl Iterator<Item = &str> {
        let nested = [&self.input, &self.event].into_iter().flatten();
        let nested = nested.flat_map(|nested| match nested {
            Nested::Ids(inner) => [inner.session_id.as_deref(), inner.other_spelling.as_deref()],
            Nested::Other(_) => [None, None],
        });
        std::iter::once(self.session_id.as_deref()).chain(nested).flatten()
    }
}

/// What an answer says about sessions, outside of lists.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Found<'a> {
    #[serde(borrow)]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    session: Option<Named<'a>>,
    #[serde(borrow)]
    metadata: Option<Named<'a>>,
    #[serde(borrow)]
    workspace_path: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Named<'a> {
    #[serde(borrow)]
    session_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    result: Option<Found<'a>>,
}

impl Client {
    /// Whether an event of `session` is for this client. Consecutive events are mostly of one session, so the last one that
    /// was is remembered with its link.
    #[inline]
    pub(super) fn sees_event(&mut self, id: LinkId, session: &[u8]) -> bool {
        let Some(Some(link)) = self.links.get(id as usize) else { return false };
        *link.seen == *session || self.sees_other_event(id, session)
    }

    fn sees_other_event(&mut self, link: LinkId, session: &[u8]) -> bool {
        let seen = std::str::from_utf8(session).is_ok_and(|id| self.may_see(id));
        match self.links.get_mut(link as usize) {
            Some(Some(link)) if seen => link.seen = session.into(),
            _ => self.shared.metrics.dropped.get(Dropped::Filtered).inc(),
        }
        seen
    }

    /// Whether a notification of a backend is for this client: it names sessions, and this client may see all of them.
    pub(super) fn sees_notification(&self, body: &[u8]) -> bool {
        let Ok(Envelope { params: Some(told) }) = serde_json::from_slice::<Envelope<'_>>(body) else { return false };
        let mut ids = told.ids().peekable();
        ids.peek().is_some() && ids.all(|id| self.may_see(id))
    }

    /// Whether a backend's request is for this client. `false`: the backend was told so.
    pub(super) fn sees_request(
        &mut self,
        link: LinkId,
        frame: &Frame<'_>,
        id: Span,
        method: Span,
        out: &mut Output,
    ) -> bool {
        let body = frame.body();
        let name = method.of(body).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        let told = serde_json::from_slice::<Envelope<'_>>(body).ok().and_then(|envelope| envelope.params);
        let told = told.unwrap_or_default();
        let visible = told.ids().all(|id| self.may_see(id));
        let named = told.session_id.is_some() || name == BY_REGISTRATION;
        if visible && (self.took_over(name).unwrap_or(named)) {
            return true;
        }
        self.shared.metrics.dropped.get(Dropped::Filtered).inc();
        if let Some(token) = id.of(body) {
            let answer = reply::refuse_backend(token, -32601, "no client of this session answers this");
            self.say(link, &answer, out);
        }
        false
    }

    /// For requests to whoever took over a part of the process: whether this client's tenant may have done so.
    fn took_over(&self, name: &str) -> Option<bool> {
        let (_, taking) = TAKEN_OVER.iter().find(|(prefix, _)| name.starts_with(prefix))?;
        let (_, guest) = self.behind_wall()?;
        Some(guest.tenant.policy.allows(Methods::get().find(taking), taking))
    }

    /// Notes the folder of a session behind a wall: files there may be attached to its messages.
    pub(super) fn note_workspace(&mut self, slot: Slot, body: &[u8]) {
        if !self.is_apart() {
            return;
        }
        let found = serde_json::from_slice::<Answer<'_>>(body).ok().and_then(|answer| answer.result?.workspace_path);
        if let (Some(entry), Some(path)) = (self.sessions.get_mut(slot), found) {
            entry.workspace = Some(path.into());
        }
    }

    /// An answer about a session that is not this client's: it gets what it would get if there were none.
    pub(super) fn hide_answer(&mut self, id: &RequestId, open: &Open, out: &mut Output) -> bool {
        let row = Methods::get().row(open.method);
        self.shared.metrics.dropped.get(Dropped::Filtered).inc();
        let body = reply::absent(id, row, &row.name, "");
        self.tell(&body, out);
        false
    }

    /// Whether an answer is about sessions that this client may see; answers that are lists are merged and filtered.
    pub(super) fn sees_answer(&self, open: &Open, body: &[u8]) -> bool {
        if !self.is_apart() || Methods::get().row(open.method).result_ids.is_empty() {
            return true;
        }
        let Ok(Answer { result }) = serde_json::from_slice::<Answer<'_>>(body) else { return false };
        let Some(found) = result else { return true };
        let nested =
            [&found.session, &found.metadata].into_iter().flatten().filter_map(|named| named.session_id.as_deref());
        found.session_id.as_deref().into_iter().chain(nested).all(|id| self.may_see(id))
    }
}
