//! Whether this proxy may have a session at a home: with several proxies the store says so (`session::lease`). A proxy on its own
//! never has to ask.

use std::{sync::Arc, time::Duration};

use super::{away::Refusal, client::Client, sessions::Slot, workspace::Output};
use crate::{
    pool::{Member, Verdict},
    session::{
        Live,
        lease::{NotHeld, State},
        relocation::Homeless,
    },
    store::{Alone, Who, Wish},
    wire::Reason,
};

/// Another proxy that moves a session is asked for no more often than this.
const AGAIN: Duration = Duration::from_millis(25);

/// What is known of a hold.
pub(super) enum Possession {
    /// The session is ours, there.
    Here,
    /// It is ours, but at another home.
    At(Arc<Member>),
    /// The store was asked.
    Wait,
    /// It is not ours.
    Not(Refusal),
}

impl Client {
    /// Whether this proxy holds the session at `at`; asks for it if that is not known. `homeless`: what it has left behind.
    pub(super) fn hold_at(
        &mut self,
        slot: Slot,
        live: &Arc<Live>,
        at: &Arc<Member>,
        homeless: Option<&Homeless>,
    ) -> Possession {
        if !live.leases().is_shared() {
            return Possession::Here;
        }
        let left = |home: &str| {
            homeless.is_some_and(|homeless| {
                *homeless.from.name == *home || homeless.tried.iter().any(|tried| **tried == *home)
            })
        };
        let good = live.lease().is_good(live.stamp(self.now)) || live.leases().is_away();
        match live.lease().state() {
            State::Held { home, .. } if good && home == at.name => return Possession::Here,
            State::Held { home, .. } if good && !left(&home) => {
                if let Some(member) = self.usable(&home) {
                    return Possession::At(member);
                }
                self.ask_for(slot, live, at, Some(home));
            }
            State::Held { home, .. } => {
                self.ask_for(slot, live, at, Some(home).filter(|home| left(home) && *home != at.name))
            }
            State::Asking => {}
            State::Moving if self.may_ask_again(slot) => self.ask_for(slot, live, at, None),
            State::Moving => {}
            State::Free => {
                let from = homeless.map(|homeless| homeless.from.name.clone());
                self.ask_for(slot, live, at, from.filter(|from| *from != at.name));
            }
            State::Not(why) => {
                live.lease().set(State::Free);
                return Possession::Not(refusal_of(why));
            }
        }
        Possession::Wait
    }

    /// A session that a backend of ours has made already: nobody else can have it.
    pub(super) fn hold_anyway(&self, live: &Arc<Live>, home: &Arc<Member>) {
        if live.leases().is_shared() {
            let owner = self.recorded_owner(live);
            let wish = Wish { home: home.name.clone(), lost: None, owner, ephemeral: live.is_ephemeral() };
            // Until the answer it goes on like one that was just renewed.
            live.lease().extend(live.stamp(self.now + crate::store::LIMIT * 2));
            live.leases().claim(live, wish);
        }
    }

    fn recorded_owner(&self, live: &Live) -> Option<Who> {
        let owner = self.behind_wall()?.0.owners().find(live.id())?;
        Some(Who { tenant: owner.tenant, user: owner.user })
    }

    /// A backend of this pool that can be had.
    fn usable(&self, name: &str) -> Option<Arc<Member>> {
        let member = self.shared.router.pool().member(name)?;
        (member.verdict() != Verdict::Down && member.address().is_some()).then_some(member)
    }

    fn may_ask_again(&mut self, slot: Slot) -> bool {
        let now = self.now;
        let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) else { return false };
        let may = now.saturating_duration_since(away.asked_store) >= AGAIN;
        if may {
            away.asked_store = now;
        }
        may
    }

    fn ask_for(&mut self, slot: Slot, live: &Arc<Live>, at: &Arc<Member>, lost: Option<Arc<str>>) {
        if let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) {
            away.asked_store = self.now;
        }
        let owner = self.recorded_owner(live);
        let ephemeral = live.is_ephemeral() || self.sessions.get(slot).is_some_and(|entry| entry.makes_ephemeral);
        let wish = Wish { home: at.name.clone(), lost, owner, ephemeral };
        live.leases().claim(live, wish);
    }

    /// Waits for the store's word on whether the session may be closed by us, and closes it then.
    pub(super) fn waits_to_close(&mut self, slot: Slot, live: &Arc<Live>, out: &mut Output) -> bool {
        let Some(away) = self.sessions.get_mut(slot).and_then(|entry| entry.away.as_mut()) else { return false };
        if !away.isolating {
            return false;
        }
        match live.lease().take_isolated() {
            None => return true,
            Some(Ok(Alone::Yes)) => {
                away.isolating = false;
                self.send_close(slot, live, out);
                return true;
            }
            // Other proxies have clients on it: it stays where it is.
            Some(_) => away.isolating = false,
        }
        live.refuses(self.now);
        live.relocate(|course| course.not_closed(self.caller.number));
        // The store may think that it moves.
        live.leases().claim_at_home(live);
        false
    }
}

fn refusal_of(why: NotHeld) -> Refusal {
    match why {
        NotHeld::Unavailable => {
            Refusal::plain(Reason::StoreUnavailable, "the store that the proxies share does not answer")
        }
        NotHeld::Foreign => Refusal { absent: true, ..Refusal::plain(Reason::InvalidParams, "no such session") },
    }
}
