//! A session that is on its way to another home, as one of its clients sees it: its requests wait here.

use std::time::{Duration, Instant};

use super::{
    calls::Call,
    client::Client,
    link::Held,
    open::{NO_LINK, Open, Purpose},
    returning::Returning,
    sessions::{Entry, Slot},
    workspace::Output,
};
use crate::{mux::LinkId, wire::Reason};

/// Requests of one session that wait for its home. A client that waits for answers sends one at a time.
const MOST_HELD: usize = 64;

/// Their bytes.
const MOST_HELD_BYTES: usize = 8 << 20;

/// A cut turn's end is told after what was missed of it, but no later than this: the SDK's `sendAndWait` waits for it.
const TELL_WITHIN: Duration = Duration::from_millis(700);

/// A session between two homes.
#[derive(Debug)]
pub struct Away {
    /// Requests that wait, in their order.
    pub held: Vec<Held>,
    /// Since when.
    pub since: Instant,
    /// It is opened no sooner, so that a backend's death does not fall on the others all at once. A request cannot wait.
    pub not_before: Instant,
    /// What this client has asked a backend for it, and until when the answer is waited for.
    pub asked: Option<Asked>,
    /// Backends that refused to open it.
    pub refusals: usize,
    /// Settings that are being made again and were not answered yet.
    pub settling: usize,
    /// Its turn is known to have ended.
    pub finished: bool,
    /// It stands in line for its first seat.
    pub in_line: bool,
    /// The store is asked whether this client may close it.
    pub isolating: bool,
    /// When the store was last asked for it.
    pub asked_store: Instant,
    /// It could not be opened: what those are told who waited for it.
    pub refusal: Option<Refusal>,
    /// This client comes back for it.
    pub returning: Option<Returning>,
    /// Its turn went on without this client.
    pub spared: bool,
    /// Its turn was cut; until when the client may wait for the end of it.
    pub cut: Option<Instant>,
}

/// A request of ours about a session that is on its way.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Over which link.
    pub link: LinkId,
    /// No longer than this.
    pub until: Instant,
}

/// Why what waited is refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The code.
    pub reason: Reason,
    /// In words.
    pub message: std::borrow::Cow<'static, str>,
    /// The same for programs.
    pub data: serde_json::Value,
    /// What is answered is what the runtime answers for a session that does not exist.
    pub absent: bool,
}

impl Refusal {
    /// Without data of its own.
    pub fn plain(reason: Reason, message: &'static str) -> Self {
        Self { reason, message: message.into(), data: serde_json::json!({}), absent: false }
    }

    /// Because there is no room.
    pub fn is_full(&self) -> bool {
        self.reason == Reason::Capacity
    }
}

impl Away {
    /// From now on.
    pub fn new(now: Instant) -> Self {
        let (settling, finished) = (0, false);
        Self {
            held: Vec::new(),
            since: now,
            not_before: now,
            asked: None,
            refusals: 0,
            settling,
            finished,
            in_line: false,
            isolating: false,
            asked_store: now,
            refusal: None,
            returning: None,
            spared: false,
            cut: None,
        }
    }

    /// Its turn is cut.
    pub fn cut_turn(&mut self, now: Instant) {
        self.cut = Some(now + TELL_WITHIN);
        // Somebody waits: it is its turn now.
        self.not_before = self.not_before.min(now);
    }
}

impl Client {
    /// Keeps a request until its session has arrived.
    pub(super) fn hold_call(&mut self, call: &Call<'_>, slot: Slot, out: &mut Output) {
        let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) else { return };
        let bytes: usize = away.held.iter().map(|held| held.body.len()).sum();
        if away.held.len() >= MOST_HELD || bytes + call.body().len() > MOST_HELD_BYTES {
            return self.refuse(call, Reason::Capacity, "too many requests wait for this session's new home", out);
        }
        away.held.push(Held { id: call.id.cloned(), body: call.body().to_vec() });
        // Somebody waits, as for the end of a cut turn.
        away.not_before = away.not_before.min(self.now);
        if let Some(id) = call.id {
            let purpose = Purpose::Held;
            self.requests.open(id.clone(), Open { link: NO_LINK, method: call.method, started: self.now, purpose });
        }
        if let Some(live) = self.live(slot) {
            self.wake(&live);
        }
        self.advance(slot, out);
    }

    /// The session has arrived, or stays where it was: what waited goes on, in its order.
    pub(super) fn come_home(&mut self, slot: Slot, out: &mut Output) {
        let Some(away) = self.sessions.take_away(slot) else { return };
        if let Some(entry) = self.sessions.get_mut(slot)
            && let Some(attachment) = &entry.attachment
        {
            entry.home = attachment.live().home();
        }
        self.find_way(slot);
        self.check_turn(slot, out);
        for held in away.held {
            self.release(&held, out);
        }
    }

    /// A client that came while the session was on its way, and found it at home after all, has no link to it yet.
    fn find_way(&mut self, slot: Slot) {
        let lost = |entry: &&Entry| entry.link == NO_LINK && !entry.open && entry.attachment.is_some();
        let Some(live) = self.sessions.get(slot).filter(lost).and_then(|_| self.live(slot)) else { return };
        if let (Some(link), Some(entry)) = (self.link_home(&live), self.sessions.get_mut(slot)) {
            entry.link = link;
        }
    }

    /// A request that waited goes on, unless it was answered meanwhile.
    pub(super) fn release(&mut self, held: &Held, out: &mut Output) {
        match &held.id {
            Some(id)
                if !self
                    .requests
                    .get(id)
                    .is_some_and(|open| matches!(open.purpose, Purpose::Held | Purpose::InLine(_))) => {}
            Some(id) => {
                self.requests.take(id);
                self.again(&held.body, out);
            }
            None => self.again(&held.body, out),
        }
    }

    /// Nothing of the session is under way between this client and its backend.
    pub(super) fn is_quiet(&self, slot: Slot) -> bool {
        let Some(entry) = self.sessions.get(slot) else { return true };
        let ready =
            self.links.get(entry.link as usize).and_then(Option::as_ref).is_some_and(super::link::Link::is_ready);
        let concerns = |open: &Open| match &open.purpose {
            Purpose::On(of) | Purpose::Setting(of, _) | Purpose::Send(of) | Purpose::Detach(of) | Purpose::End(of) => {
                *of == slot
            }
            Purpose::Attach { slot: of, .. } | Purpose::Delete(Some(of), _) => *of == slot,
            Purpose::Search(search) => search.slot == Some(slot),
            _ => false,
        };
        entry.open
            && ready
            && !entry.busy
            && entry.sends == 0
            && entry.fresh.is_none()
            && !self.requests.iter().any(|(_, open)| concerns(open))
            && self.inbound.flow.as_ref().is_none_or(|flow| flow.dest != Some(entry.link))
    }
}
