//! Sessions that end with their clients, and those that do not.

use super::{calls::Call, client::Client, sessions::Slot, workspace::Output};
use crate::{
    session::Live,
    wire::{Reason, scan::Place},
};

impl Client {
    /// Whether a session that is created under `id` ends with its clients.
    pub(super) fn is_ephemeral(&self, id: &str) -> bool {
        self.shared.settings.ephemeral.covers(id, |uuid| match self.behind_wall() {
            Some((wall, guest)) => wall.new_session_id(&guest.who, uuid),
            None => uuid.to_owned(),
        })
    }

    /// A create or resume goes out. `places`: the session lived nowhere. Only one that this create makes may be ephemeral.
    pub(super) fn note_kind(&mut self, slot: Slot, call: &Call<'_>, places: bool) {
        let creates = match &*call.row.name {
            "session.create" => places,
            "sessions.open" => places && call.scan.text(call.body(), Place::Kind).is_some_and(|kind| kind == "create"),
            _ => false,
        };
        let ephemeral = creates && self.sessions.get(slot).is_some_and(|entry| self.is_ephemeral(&entry.id));
        if let Some(entry) = self.sessions.get_mut(slot) {
            entry.makes_ephemeral = ephemeral;
        }
    }

    /// It was made. Not before: a create that is refused may have named a session that is there.
    pub(super) fn settle_kind(&mut self, slot: Slot) {
        let Some(entry) = self.sessions.get_mut(slot) else { return };
        if std::mem::take(&mut entry.makes_ephemeral)
            && let Some(held) = &entry.attachment
        {
            held.live().set_ephemeral(true);
        }
    }

    /// A session ended at its home or cannot be had. While its client is there it may be resumed at any time, however long
    /// after: it stays.
    pub(super) fn spare(&self, live: &Live) {
        let gone = self.client_eof.is_some() || self.closing.is_some() || self.orphan.is_some();
        if !gone {
            live.set_ephemeral(false);
        }
    }

    /// Nobody took a session.
    pub(super) fn refuse_unplaced(&mut self, call: &Call<'_>, session: &str, out: &mut Output) {
        if self.shared.router.registry().is_condemned(session) {
            return self.refuse(call, Reason::SessionLocked, "the session is being deleted at this moment", out);
        }
        self.refuse(call, Reason::NoBackend, "no healthy backend in the pool", out);
    }
}
