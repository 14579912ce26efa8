//! Lists and look-ups over several backends: each is asked, and the answers become one.

use std::sync::Arc;

use super::{
    calls::Call,
    chunk::Frame,
    client::Client,
    open::{NO_LINK, Open, Own, OwnPurpose, Purpose},
    workspace::Output,
};
use crate::{
    mux::{Gather, Limit, Pick},
    pool::Member,
    wire::{
        Reason, RequestId, Scan,
        edit::replace,
        methods::Merge,
        scan::{Place, Value},
    },
};

impl Client {
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
            let home = self.shared.router.find(&id, self.now).map_or_else(|| general.clone(), |live| live.home());
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
                if gather.has_deleted() {
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
