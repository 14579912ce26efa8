//! Counters that move by guards: what was counted up is counted down, on every path out.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use super::Member;

/// A session that lives on a member, for as long as this is kept.
#[derive(Debug)]
pub struct SessionSlot(Arc<Member>);

/// A link that is open to a member, for as long as this is kept.
#[derive(Debug)]
pub struct LinkSlot(Arc<Member>);

/// A turn that runs on a member, for as long as this is kept.
#[derive(Debug)]
pub struct TurnSlot(Arc<Member>);

impl Member {
    /// Counts a session until the slot is dropped.
    pub fn hold_session(self: &Arc<Self>) -> SessionSlot {
        up(&self.sessions);
        self.life.serve();
        SessionSlot(self.clone())
    }

    /// Counts a link until the slot is dropped.
    pub fn hold_link(self: &Arc<Self>) -> LinkSlot {
        up(&self.links);
        LinkSlot(self.clone())
    }

    /// Counts a turn until the slot is dropped.
    pub fn hold_turn(self: &Arc<Self>) -> TurnSlot {
        up(&self.turns);
        TurnSlot(self.clone())
    }
}

fn up(count: &AtomicI64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn down(count: &AtomicI64) {
    count.fetch_sub(1, Ordering::Relaxed);
}

impl SessionSlot {
    /// Where the session lives.
    pub fn member(&self) -> &Arc<Member> {
        &self.0
    }
}

impl LinkSlot {
    /// Where the link leads.
    pub fn member(&self) -> &Arc<Member> {
        &self.0
    }
}

impl TurnSlot {
    /// Where the turn runs.
    pub fn member(&self) -> &Arc<Member> {
        &self.0
    }
}

impl Drop for SessionSlot {
    fn drop(&mut self) {
        down(&self.0.sessions);
    }
}

impl Drop for LinkSlot {
    fn drop(&mut self) {
        down(&self.0.links);
    }
}

impl Drop for TurnSlot {
    fn drop(&mut self) {
        down(&self.0.turns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_count_and_uncount() {
        let member = Arc::new(Member::new("p".into(), "m".into(), 1, None));
        let counts = |m: &Member| [&m.sessions, &m.links, &m.turns].map(|c| c.load(Ordering::Relaxed));
        let (session, link, turn) = (member.hold_session(), member.hold_link(), member.hold_turn());
        let second = member.hold_session();
        assert_eq!(counts(&member), [2, 1, 1]);
        drop((session, link));
        assert_eq!(counts(&member), [1, 0, 1]);
        assert!(Arc::ptr_eq(second.member(), turn.member()));
        drop((second, turn));
        assert_eq!(counts(&member), [0, 0, 0]);
    }
}
