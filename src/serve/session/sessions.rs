//! The sessions of one client: where each message goes is found here, without a lock.

use std::{sync::Arc, time::Instant};

use ahash::AHashMap;

use super::{
    away::Away, missed::Told, pending::Pending, remembered::Remembered, returning::Comeback, settled::Settled,
    stalled::Heard, turnlock::InLine,
};
use crate::{mux::LinkId, pool::Member, session::Attachment};

/// A session's place in the table; the serial tells a reused place apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    index: u32,
    serial: u32,
}

/// One session as its client sees it.
#[derive(Debug)]
pub struct Entry {
    /// The session's id.
    pub id: Arc<str>,
    /// The hold on the pin; `None` once the session is lost.
    pub attachment: Option<Attachment>,
    /// The backend it lives on.
    pub home: Arc<Member>,
    /// The link to it.
    pub link: LinkId,
    /// Its id was recorded for this client by the create that is not answered yet.
    pub claimed: bool,
    /// The create that is not answered yet makes a session that ends with its clients.
    pub makes_ephemeral: bool,
    /// The session's own folder on the backend's host, as its create or resume was answered.
    pub workspace: Option<Box<str>>,
    /// A create or resume was answered with a result: the session is live for this client.
    pub open: bool,
    /// A turn runs, as far as this client's link has told.
    pub busy: bool,
    /// The backend has said so itself: by an event or by taking a prompt.
    pub confirmed: bool,
    /// `session.send` requests that nobody has answered: an idle event that overtakes them ends an earlier turn.
    pub sends: u32,
    /// When an idle event came that an open prompt put in doubt.
    pub doubtful: Option<Instant>,
    /// The turn has no visible piece of an answer yet.
    pub awaits_delta: bool,
    /// What its create or resume said, to open it once more elsewhere.
    pub params: Option<Arc<Remembered>>,
    /// Its home has said that it ended; the answer to what ended it is still to come.
    pub shut_down: bool,
    /// It begins once more at its next home, unseen: no disk has it.
    pub reborn: bool,
    /// Since when it is known that clients of other proxies hold it, too, while this client is lost.
    pub shared_since: Option<Instant>,
    /// Where else it may be on disk, while it waits to be let in.
    pub rest: Box<[Arc<Member>]>,
    /// It lives nowhere until this client or another one needs it.
    pub parked: bool,
    /// Prompts that wait for another client's turn to end. Changed by [`Sessions::line_up`] and [`Sessions::leave_line`].
    pub in_line: Option<Box<InLine>>,
    /// It has the lock since a moment ago: until its prompt is answered, an end of a turn is that of an earlier one.
    pub own_turn_awaited: bool,
    /// A prompt of this client was taken since it has the lock: the turn that runs is its own.
    pub own_turn: bool,
    /// The end of another client's turn, and when it is told. Changed by [`Sessions::keep_idle`] and [`Sessions::drop_idle`].
    pub late_idle: Option<Box<(Instant, Vec<u8>)>>,
    /// This client has the turn lock. Changed by [`Sessions::grips`].
    pub grips: bool,
    /// It is on its way to another home. Changed by [`Sessions::set_away`] and [`Sessions::take_away`].
    pub away: Option<Box<Away>>,
    /// What this client was told of it.
    pub told: Told,
    /// Settings that its client made by later calls.
    pub settled: Settled,
    /// When something was last heard of it.
    pub heard: Heard,
    /// This client has just come back for it: its resume, to be sent again if the lost one's tools are still registered.
    pub comeback: Option<Box<Comeback>>,
    /// What its backend asks by events.
    pub pending: Pending,
    /// Events that wait for others to be told first. Changed by [`Sessions::withhold`] and [`Sessions::take_fresh`].
    pub fresh: Option<Vec<Vec<u8>>>,
    serial: u32,
}

impl Entry {
    /// As this client has heard it, no turn of it runs, and no prompt is open.
    pub fn is_at_rest(&self) -> bool {
        !self.busy && self.sends == 0 && self.doubtful.is_none()
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct Sessions {
    index: AHashMap<Arc<str>, u32>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    serial: u32,
    /// How many have a turn running.
    busy: usize,
    /// How many wait for a delta: while none does, delta events need no look-up.
    awaiting: usize,
    /// How many turns are listened to for every sign of life.
    listening: usize,
    /// How many are on their way to another home.
    away: usize,
    /// How many have events that wait.
    withholding: usize,
    /// How many wait for their turn, or have the lock.
    locking: usize,
}

impl Sessions {
    /// The place of the session with this id.
    #[inline]
    pub fn find(&self, id: &str) -> Option<Slot> {
        let index = *self.index.get(id)?;
        self.entries[index as usize].as_ref().map(|entry| Slot { index, serial: entry.serial })
    }

    /// The session at a place.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot.index as usize)?.as_ref().filter(|entry| entry.serial == slot.serial)
    }

    /// The same, to change it. Turns are changed by [`Sessions::begin_turn`] and [`Sessions::end_turn`].
    #[inline]
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(slot.index as usize)?.as_mut().filter(|entry| entry.serial == slot.serial)
    }

    /// Adds a session, or gives the one that is there a new home.
    pub fn insert(&mut self, id: &str, attachment: Attachment, link: LinkId) -> Slot {
        if let Some(slot) = self.find(id) {
            self.remove(slot);
        }
        let id =
            Some(attachment.live().shared_id()).filter(|known| ***known == *id).cloned().unwrap_or_else(|| id.into());
        self.serial += 1;
        let home = attachment.live().home();
        let entry = Entry {
            id: id.clone(),
            attachment: Some(attachment),
            home,
            link,
            claimed: false,
            makes_ephemeral: false,
            workspace: None,
            open: false,
            busy: false,
            confirmed: false,
            sends: 0,
            doubtful: None,
            awaits_delta: false,
            params: None,
            shut_down: false,
            reborn: false,
            shared_since: None,
            rest: Box::default(),
            parked: false,
            in_line: None,
            own_turn_awaited: false,
            own_turn: false,
            late_idle: None,
            grips: false,
            away: None,
            told: Told::default(),
            settled: Settled::default(),
            heard: Heard::now(Instant::now()),
            comeback: None,
            pending: Pending::default(),
            fresh: None,
            serial: self.serial,
        };
        let index = self.free.pop().unwrap_or(self.entries.len() as u32);
        if index as usize == self.entries.len() {
            self.entries.push(None);
        }
        self.entries[index as usize] = Some(entry);
        self.index.insert(id, index);
        Slot { index, serial: self.serial }
    }

    /// Takes a session out.
    pub fn remove(&mut self, slot: Slot) -> Option<Entry> {
        self.get(slot)?;
        self.end_turn(slot);
        self.take_away(slot);
        self.take_fresh(slot);
        self.leave_line(slot);
        self.drop_idle(slot);
        self.grips(slot, false);
        if self.get(slot).is_some_and(|entry| entry.heard.is_listening()) {
            self.stop_listening();
        }
        let entry = self.entries[slot.index as usize].take()?;
        self.index.remove(&entry.id);
        self.free.push(slot.index);
        Some(entry)
    }

    /// A turn runs from now on.
    pub fn begin_turn(&mut self, slot: Slot) {
        let (mut busy, mut awaiting) = (0, 0);
        if let Some(entry) = self.get_mut(slot) {
            busy = usize::from(!std::mem::replace(&mut entry.busy, true));
            awaiting = usize::from(busy == 1 && !std::mem::replace(&mut entry.awaits_delta, true));
        }
        self.busy += busy;
        self.awaiting += awaiting;
    }

    /// The backend says that the turn runs.
    pub fn confirm_turn(&mut self, slot: Slot) {
        self.begin_turn(slot);
        if let Some(entry) = self.get_mut(slot) {
            entry.confirmed = true;
        }
    }

    /// The turn's first delta came.
    pub fn delta_came(&mut self, slot: Slot) {
        let came = self.get_mut(slot).is_some_and(|entry| std::mem::replace(&mut entry.awaits_delta, false));
        self.awaiting -= usize::from(came);
    }

    /// No turn runs any more.
    pub fn end_turn(&mut self, slot: Slot) {
        self.delta_came(slot);
        let ended = self.get_mut(slot).is_some_and(|entry| {
            entry.confirmed = false;
            std::mem::replace(&mut entry.busy, false)
        });
        self.busy -= usize::from(ended);
    }

    /// Its home has said that it ended.
    pub fn shut_down(&mut self, slot: Slot) {
        self.end_turn(slot);
        if let Some(entry) = self.get_mut(slot) {
            entry.shut_down = true;
        }
    }

    /// Prompts wait for another client's turn to end.
    pub fn line_up(&mut self, slot: Slot, line: InLine) {
        if let Some(entry) = self.get_mut(slot) {
            self.locking += usize::from(entry.in_line.replace(line.into()).is_none());
        }
    }

    /// They wait no longer.
    pub fn leave_line(&mut self, slot: Slot) -> Option<Box<InLine>> {
        let line = self.get_mut(slot)?.in_line.take();
        self.locking -= usize::from(line.is_some());
        line
    }

    /// The end of another client's turn is told then.
    pub fn keep_idle(&mut self, slot: Slot, at: Instant, body: Vec<u8>) {
        if let Some(entry) = self.get_mut(slot) {
            self.locking += usize::from(entry.late_idle.replace(Box::new((at, body))).is_none());
        }
    }

    /// It is told now, or not at all.
    pub fn drop_idle(&mut self, slot: Slot) -> Option<Vec<u8>> {
        let late = self.get_mut(slot)?.late_idle.take()?;
        self.locking -= 1;
        Some(late.1)
    }

    /// This client has the turn lock, or has given it back.
    pub fn grips(&mut self, slot: Slot, has: bool) {
        let Some(entry) = self.get_mut(slot) else { return };
        match (std::mem::replace(&mut entry.grips, has), has) {
            (false, true) => self.locking += 1,
            (true, false) => self.locking -= 1,
            _ => {}
        }
    }

    /// Whether this client waits for any turn, or has the lock of one.
    pub fn has_locks(&self) -> bool {
        self.locking > 0
    }

    /// The session is on its way.
    pub fn set_away(&mut self, slot: Slot, away: impl Into<Box<Away>>) {
        if let Some(entry) = self.get_mut(slot) {
            entry.parked = false;
            self.away += usize::from(entry.away.replace(away.into()).is_none());
        }
    }

    /// It has arrived, or is lost.
    pub fn take_away(&mut self, slot: Slot) -> Option<Box<Away>> {
        let away = self.get_mut(slot)?.away.take();
        self.away -= usize::from(away.is_some());
        away
    }

    /// Whether any session is on its way.
    pub fn has_aways(&self) -> bool {
        self.away > 0
    }

    /// Its events wait from now on.
    pub fn withhold(&mut self, slot: Slot) {
        if let Some(entry) = self.get_mut(slot)
            && entry.fresh.is_none()
        {
            entry.fresh = Some(Vec::new());
            self.withholding += 1;
        }
    }

    /// They wait no longer.
    pub fn take_fresh(&mut self, slot: Slot) -> Option<Vec<Vec<u8>>> {
        let fresh = self.get_mut(slot)?.fresh.take();
        self.withholding -= usize::from(fresh.is_some());
        fresh
    }

    /// Whether events of any session wait.
    #[inline]
    pub fn withholds(&self) -> bool {
        self.withholding > 0
    }

    /// How many turns run.
    pub fn busy(&self) -> usize {
        self.busy
    }

    /// Whether any turn waits for its first delta, or is listened to.
    #[inline]
    pub fn awaits_delta(&self) -> bool {
        self.awaiting > 0 || self.listening > 0
    }

    /// One more turn is listened to.
    pub fn listen(&mut self) {
        self.listening += 1;
    }

    /// One less is.
    pub fn stop_listening(&mut self) {
        self.listening = self.listening.saturating_sub(1);
    }

    /// The places of the sessions for which `wanted` holds.
    pub fn slots(&self, mut wanted: impl FnMut(&Entry) -> bool) -> Vec<Slot> {
        let entries = self.entries.iter().enumerate();
        let wanted = entries.filter_map(|(index, entry)| {
            entry.as_ref().filter(|entry| wanted(entry)).map(|entry| Slot { index: index as u32, serial: entry.serial })
        });
        wanted.collect()
    }
}
