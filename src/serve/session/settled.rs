//! Settings of a session that its client made by later calls, and that a runtime forgets when it closes the session: they are
//! made again at the new home.
//!
//! Which ones was measured on 1.0.102: mode, name, plan, agent and reasoning effort are on the disk; these are not.

use std::sync::LazyLock;

use super::{
    away::Asked,
    chunk::Frame,
    client::Client,
    moving::Errand,
    open::{Own, OwnPurpose},
    sessions::Slot,
    workspace::Output,
};
use crate::wire::{MethodIndex, Methods, Scan, edit::replace};

/// The last call of each counts.
const SET: &[&str] = &[
    "session.permissions.setApproveAll",
    "session.permissions.setMode",
    "session.permissions.configure",
    "session.tools.set",
    "session.model.switchTo",
    "session.model.setReasoningEffort",
    "session.queue.setDrainPaused",
];

/// Every call counts.
const ADD: &[&str] = &[
    "session.permissions.modifyRules",
    "session.permissions.paths.add",
    "session.options.update",
    "session.eventLog.registerInterest",
];

/// For each row of the method table whether it is one of them.
static WANTED: LazyLock<Box<[bool]>> =
    LazyLock::new(|| Methods::get().names().iter().map(|name| SET.contains(name) || ADD.contains(name)).collect());

/// More than that are not remembered for one session.
const MOST: usize = 64;

/// A method and the whole call.
type Setting = (&'static str, Box<[u8]>);

/// The calls to make again, in their order.
#[derive(Debug, Default)]
pub struct Settled(Box<[Setting]>);

impl Settled {
    /// Whether a call of this method is to be remembered. One load: it is asked for every call.
    pub fn wants(method: MethodIndex) -> bool {
        WANTED.get(usize::from(method.0)).copied().unwrap_or(false)
    }

    /// A call that a backend has taken.
    pub fn note(&mut self, method: &str, body: &[u8]) {
        let Some(method) = SET.iter().chain(ADD).find(|known| **known == method) else { return };
        let mut all = std::mem::take(&mut self.0).into_vec();
        if SET.contains(method) {
            all.retain(|(known, _)| known != method);
        }
        if all.len() < MOST {
            all.push((method, body.into()));
        }
        self.0 = all.into();
    }

    fn bodies(&self) -> Vec<Box<[u8]>> {
        self.0.iter().map(|(_, body)| body.clone()).collect()
    }
}

impl Client {
    /// Makes the settings of a session again at its new home. `false`: there are none.
    pub(super) fn settle_again(&mut self, slot: Slot, out: &mut Output) -> bool {
        let Some(entry) = self.sessions.get(slot) else { return false };
        let (link, bodies) = (entry.link, entry.settled.bodies());
        let mut waiting = 0;
        for body in bodies {
            let Some(span) = Scan::read(&body).ok().and_then(|scan| scan.id) else { continue };
            let own = self.own.open(Own { link, purpose: OwnPurpose::Move(slot, Errand::Settle) });
            let mut id = Vec::new();
            own.append_json(&mut id);
            self.send(&Frame::of_body(&replace(&body, span, &id)), Some(&own), link, out);
            waiting += 1;
        }
        let until = self.now + self.shared.settings.move_timeout;
        if let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) {
            away.settling = waiting;
            away.asked = (waiting > 0).then_some(Asked { link, until });
        }
        waiting > 0
    }

    /// One of them was made, or could not be.
    pub(super) fn settled_one(&mut self, slot: Slot, link: crate::mux::LinkId, out: &mut Output) {
        let until = self.now + self.shared.settings.move_timeout;
        let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) else { return };
        away.settling = away.settling.saturating_sub(1);
        if away.settling > 0 {
            away.asked = Some(Asked { link, until });
            return;
        }
        self.fetch_missed(slot, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_counts_or_every_one() {
        let mut settled = Settled::default();
        for (method, body) in [
            ("session.model.switchTo", "a"),
            ("session.permissions.paths.add", "b"),
            ("session.model.switchTo", "c"),
            ("session.permissions.paths.add", "d"),
            ("session.name.set", "e"),
        ] {
            settled.note(method, body.as_bytes());
        }
        let bodies: Vec<_> = settled.bodies().iter().map(|body| String::from_utf8(body.to_vec()).unwrap()).collect();
        assert_eq!(bodies, ["b", "c", "d"]);
        let wants = |name| Settled::wants(Methods::get().find(name));
        assert!(SET.iter().chain(ADD).all(|name| wants(name)), "the table knows them all");
        assert!(!wants("session.send") && !wants("session.nope"));
    }
}
