//! What this client may do: every call of a client behind a wall passes here before it goes anywhere. A session of somebody
//! else, one that is nobody's and one that does not exist are answered alike, and no backend is asked.

use super::{calls::Call, client::Client, sessions::Slot, workspace::Output};
use crate::{
    mux::Asked,
    telemetry::{self, Outcome, Rule},
    tenancy::{Access, Denied, Held, Hold, Look, Over, ends, ids::IdPlaces, ids::ids_at, is_sensitive},
    wire::{
        Methods, Reason, RequestId,
        edit::replace,
        methods::Route,
        reply,
        scan::{Place, Value},
    },
};

impl Client {
    /// Whether the pool keeps tenants apart and this client is one of them.
    #[inline]
    pub(super) fn is_apart(&self) -> bool {
        self.guest.as_ref().is_some_and(|guest| guest.apart)
    }

    /// Whether a call may go on to its route. `false`: it was answered.
    #[inline]
    pub(super) fn passes_wall(&mut self, call: &Call<'_>, name: &str, out: &mut Output) -> bool {
        let Some(guest) = &self.guest else { return true };
        match guest.tenant.look(call.method) {
            Look::Session => true,
            Look::Body if guest.tenant.guards.passes_at_once(call.body()) => true,
            _ => self.passes_every_look(call, name, out),
        }
    }

    fn passes_every_look(&mut self, call: &Call<'_>, name: &str, out: &mut Output) -> bool {
        let Some(guest) = &self.guest else { return true };
        let (allowed, apart) = (guest.tenant.policy.allows(call.method, name), guest.apart);
        let guarded = guest.tenant.guards.guards(call.method);
        if !allowed {
            self.deny_method(call, out);
            return false;
        }
        if is_sensitive(call.method) {
            self.audit_sensitive(call);
        }
        let places = IdPlaces::of(call.method);
        !apart || self.passes_ids(call, places, out) && (!guarded || self.passes_guards(call, out))
    }

    fn audit_sensitive(&self, call: &Call<'_>) {
        self.audit(&call.row.name, named(call).as_deref(), "sensitive", "asked");
    }

    /// Whether a frame that is not whole yet may begin to flow: nothing of it has to be looked at behind its first part.
    pub(super) fn passes_wall_unseen(&self, call: &Call<'_>) -> bool {
        let Some(guest) = &self.guest else { return true };
        let allowed = || call.method != Methods::UNKNOWN && guest.tenant.policy.allows(call.method, &call.row.name);
        guest.tenant.look(call.method) == Look::Session || !guest.apart && allowed()
    }

    fn deny_method(&mut self, call: &Call<'_>, out: &mut Output) {
        self.count_refusal_of(Some((call, named(call).as_deref())), Rule::Method);
        self.refuse(call, Reason::MethodNotFound, "this method is not allowed here", out);
    }

    /// Every id of the params that routing does not look at itself.
    fn passes_ids(&mut self, call: &Call<'_>, places: &'static IdPlaces, out: &mut Output) -> bool {
        if call.row.route == Route::Gather {
            return true; // Foreign ids are taken out of its arrays, see `without_foreign`.
        }
        let unrouted =
            matches!(call.row.route, Route::Anywhere | Route::Shutdown | Route::Setup | Route::ProviderReply);
        let wanted = if unrouted || call.method == Methods::UNKNOWN { &places.all } else { &places.others };
        for at in wanted {
            // Where a session is made, the id at this place is the new one's; `create` and `open_session` judge it.
            if *at == (Place::OptionsSessionId, crate::tenancy::ids::Form::One) && call.row.route == Route::Place {
                continue;
            }
            let ids = match ids_at(call.scan, call.body(), *at) {
                Ok(ids) => ids,
                Err(no_ids) => {
                    let message = format!("params.{} is not what the method takes", no_ids.0.path());
                    self.refuse(call, Reason::InvalidParams, &message, out);
                    return false;
                }
            };
            if let Some(foreign) = ids.into_iter().find(|id| !self.may_see(id)) {
                self.answer_absent_at(call, at.0, &foreign, out);
                return false;
            }
        }
        true
    }

    fn passes_guards(&mut self, call: &Call<'_>, out: &mut Output) -> bool {
        let Some((_, guest)) = self.behind_wall() else { return true };
        let session = call.scan.text(call.body(), Place::SessionId);
        let entry = session.and_then(|id| self.sessions.get(self.sessions.find(&id)?));
        let workspace = entry.and_then(|entry| entry.workspace.as_deref());
        match guest.tenant.guards.check(call.method, call.body(), workspace) {
            Ok(()) => true,
            Err(denied) => {
                self.deny_param(call, &denied, out);
                false
            }
        }
    }

    fn deny_param(&mut self, call: &Call<'_>, denied: &Denied, out: &mut Output) {
        self.count_refusal_of(None, Rule::Param);
        self.audit(&call.row.name, named(call).as_deref(), &format!("param: {}", denied.rule), "refused");
        let message = format!("{} is not allowed here: {}", denied.key, denied.hint);
        self.refuse(call, Reason::ParamDenied, &message, out);
    }

    /// Whether this client may know of a session.
    pub(super) fn may_see(&self, session: &str) -> bool {
        if !self.is_apart() {
            return true;
        }
        self.behind_wall().is_some_and(|(wall, guest)| wall.may_see(&guest.who, session))
    }

    /// Whether this client may end a session for everybody, which a share does not include.
    pub(super) fn may_end(&self, session: &str) -> bool {
        if !self.is_apart() {
            return true;
        }
        self.behind_wall().is_some_and(|(wall, guest)| wall.access(&guest.who, session) == Access::Own)
    }

    /// Whether a call on a session that this client may see ends it, and this client may not do that. `true`: answered.
    pub(super) fn is_denied_end(&mut self, call: &Call<'_>, session: &str, out: &mut Output) -> bool {
        if !ends(call.method) || self.may_end(session) || !self.may_see(session) {
            return false;
        }
        self.count_refusal_of(Some((call, Some(session))), Rule::Session);
        self.refuse(call, Reason::MethodNotFound, "only its owner may end a shared session", out);
        true
    }

    /// Whether a call that names no session although it has to is answered here. `true`: it was.
    pub(super) fn is_without_session(&mut self, call: &Call<'_>, out: &mut Output) -> bool {
        let named = !matches!(call.scan.value(Place::SessionId), Value::Absent | Value::Null(_));
        if named || !self.is_apart() || !IdPlaces::of(call.method).needs_session {
            return false;
        }
        self.count_method_as(call, telemetry::Reason::InvalidParams);
        if let Some(id) = call.id {
            let name = call.scan.method_name(call.body()).unwrap_or_default();
            let body = reply::missing(id, &name);
            self.tell(&body, out);
        }
        true
    }

    /// Answers a call as the runtime answers one about a session that does not exist.
    pub(super) fn answer_absent(&mut self, call: &Call<'_>, session: &str, out: &mut Output) {
        self.note_absent(call, session);
        if let Some(id) = call.id {
            self.tell_absent(id, call, session, out);
        }
    }

    fn note_absent(&self, call: &Call<'_>, session: &str) {
        self.count_refusal_of(Some((call, Some(session))), Rule::Session);
        self.count_method_as(call, telemetry::Reason::SessionNotFound);
        self.shared.metrics.errors.get(telemetry::Reason::SessionNotFound).inc();
    }

    /// The same for an id at some place of the params: a plan's base is told of in other words.
    fn answer_absent_at(&mut self, call: &Call<'_>, place: Place, session: &str, out: &mut Output) {
        if place != Place::InheritPlan {
            return self.answer_absent(call, session, out);
        }
        self.note_absent(call, session);
        if let Some(id) = call.id {
            self.tell(&reply::absent_base(id, &call.row.name, session), out);
        }
    }

    fn tell_absent(&mut self, id: &RequestId, call: &Call<'_>, session: &str, out: &mut Output) {
        let name = call.scan.method_name(call.body()).unwrap_or_default();
        let body = reply::absent(id, call.row, &name, session);
        self.tell(&body, out);
    }

    fn count_method_as(&self, call: &Call<'_>, reason: telemetry::Reason) {
        let method = self.shared.pool.method(Some(usize::from(call.method.0)));
        method.answered(Outcome::Refused(reason), std::time::Duration::ZERO);
    }

    /// Counts a call that we refused for this reason.
    pub(super) fn count_method(&self, call: &Call<'_>, reason: Reason) {
        self.count_method_as(call, telemetry::Reason::named(reason.text()));
    }

    /// Whether a call about a list of sessions comes without one, which is answered here. `true`: it was.
    pub(super) fn lacks_its_list(&mut self, call: &Call<'_>, out: &mut Output) -> bool {
        let places = &IdPlaces::of(call.method).all;
        let lacking = places.iter().find(|(place, _)| !matches!(call.scan.value(*place), Value::Array(_)));
        let Some((place, _)) = lacking.filter(|_| self.is_apart()) else { return false };
        let message = format!("missing or non-array parameter '{}'", place.path());
        self.refuse(call, Reason::InvalidParams, &message, out);
        true
    }

    /// The body of a gathered call without the ids that this client may not see, and all that were asked about: for it
    /// those do not exist. `None`: it names no list of ids. Whoever deletes needs to be the owner.
    pub(super) fn without_foreign(&mut self, call: &Call<'_>) -> Option<(Vec<u8>, Vec<Asked>)> {
        if !self.is_apart() {
            return None;
        }
        let deletes = call.row.merge == Some(crate::wire::methods::Merge::Freed);
        for place in [Place::SessionIds, Place::Sessions] {
            let Value::Array(span) = call.scan.value(place) else { continue };
            let Some(mut asked) = span.of(call.body()).and_then(read_asked) else { continue };
            for one in &mut asked {
                one.hidden = if deletes { !self.may_end(&one.id) } else { !self.may_see(&one.id) };
            }
            if let Some(foreign) = asked.iter().find(|one| one.hidden) {
                self.count_refusal_of(Some((call, Some(&foreign.id))), Rule::Session);
            }
            let kept: Vec<&str> = asked.iter().filter(|one| !one.hidden).map(|one| &*one.raw).collect();
            return Some((replace(call.body(), span, format!("[{}]", kept.join(",")).as_bytes()), asked));
        }
        None
    }

    /// Takes a place for a live session out of the tenant's quota. `Ok(None)`: nobody counts.
    pub(super) fn hold(&self, what: Held) -> Result<Option<Hold>, Over> {
        self.guest.as_ref().map(|guest| guest.tenant.quota.hold(what)).transpose()
    }

    /// Begins the turn of a prompt, within the tenant's quota. A session that is in a turn already only queues.
    pub(super) fn begin_turn(&mut self, call: &Call<'_>, slot: Slot, out: &mut Output) -> bool {
        let entry = self.sessions.get(slot).and_then(|entry| Some((entry.busy, entry.attachment.as_ref()?.live())));
        let Some((busy, live)) = entry else { return true };
        match if busy { Ok(None) } else { self.hold(Held::Turn) } {
            Ok(hold) => live.begin_turn_under(hold, self.now),
            Err(over) if !live.is_busy() => {
                self.refuse_over(call, &over, Rule::Turns, out);
                return false;
            }
            Err(_) => {}
        }
        self.sessions.begin_turn(slot);
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.sends += 1;
            entry.told.prompted();
        }
        true
    }
}

/// The session that a call names, for the record.
fn named<'a>(call: &Call<'a>) -> Option<std::borrow::Cow<'a, str>> {
    call.scan.text(call.body(), Place::SessionId)
}

/// Ids, or records with an id each, as they stand in an array. What is neither is nobody's: its id is empty.
fn read_asked(raw: &[u8]) -> Option<Vec<Asked>> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Record {
        session_id: String,
    }
    let items: Vec<&serde_json::value::RawValue> = serde_json::from_slice(raw).ok()?;
    let read = |item: &str| {
        let text = serde_json::from_str::<String>(item);
        text.or_else(|_| serde_json::from_str::<Record>(item).map(|record| record.session_id)).unwrap_or_default()
    };
    let asked = items.into_iter().map(|item| Asked { id: read(item.get()), raw: item.get().into(), hidden: true });
    Some(asked.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_say_no_id_are_nobody_s() {
        let asked = read_asked(br#"["a",{"sessionId":"b","x":1},5,{"sessionid":"c"},["e"]]"#).unwrap();
        let ids: Vec<_> = asked.iter().map(|one| one.id.as_str()).collect();
        // An array that a derived reader takes for a record is a record to us too, so that nobody reads more than we do.
        assert_eq!(ids, ["a", "b", "", "", "e"]);
    }
}
