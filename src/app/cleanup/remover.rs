//! One deletion.
//!
//! The runtime deletes what is live in the process that is asked, and what another process has resumed and not used yet, without
//! a word (measured on 1.0.102), and what was deleted under its client never answers again. So a session is deleted only while
//! nobody can claim it: not here (it is condemned), not in another proxy (its pin is ours, and isolated). Then every backend of
//! the pool says that it does not have it, and the runtime's own locks speak for all other processes.

use std::{sync::Arc, time::Instant};

use serde_json::json;

use super::visits::Visits;
use crate::{
    app::fleet::Squadron,
    backend::ErrandError,
    pool::{Member, Storage, Verdict},
    store::{Alone, Claimed, Key, Store, StoreError, Wish},
    tenancy::Wall,
};

/// Deletes sessions of one pool.
pub(in crate::app) struct Remover {
    pub(super) squadron: Arc<Squadron>,
    wall: Option<Arc<Wall>>,
    pub(super) store: Option<Arc<dyn Store>>,
}

/// What became of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// It is deleted.
    Deleted,
    /// It was not there.
    Gone,
    /// Somebody has it.
    Live,
    /// Another proxy has it.
    Held,
    /// It is not known, or could not be done.
    Failed(String),
}

impl Remover {
    /// For the pool of `squadron`. Proxies that share it share `store`.
    pub(in crate::app) fn new(squadron: Arc<Squadron>, wall: Option<Arc<Wall>>, store: &Arc<dyn Store>) -> Self {
        Self { squadron, wall, store: Some(store).filter(|store| store.is_shared()).cloned() }
    }

    /// Deletes a session that lives nowhere; `home` is where it lived last, or who listed it.
    pub(super) async fn remove(&self, visits: &mut Visits, id: &str, home: &Arc<Member>) -> Removal {
        let Some(condemned) = self.squadron.registry.condemn(id, Instant::now()) else { return Removal::Live };
        let pin = match self.isolate(id, home).await {
            Ok(pin) => pin,
            Err(removal) => return removal,
        };
        let removal = match self.whoever_has_it(visits, id, home).await {
            Removal::Gone => self.delete(visits, id, home).await,
            had => had,
        };
        let gone = matches!(removal, Removal::Deleted | Removal::Gone);
        if gone {
            self.forget(id).await;
            condemned.deleted();
        }
        if let (Some(store), Some(token)) = (&self.store, pin) {
            // If the store does not answer, the pin ends by itself.
            let _ = store.leave(&self.key(id), token, gone).await;
        }
        removal
    }

    /// What a removal would find, without one. [`Removal::Deleted`]: it would be deleted.
    pub(super) async fn look(&self, visits: &mut Visits, id: &str, home: &Arc<Member>) -> Removal {
        if self.squadron.registry.find(id, Instant::now()).is_some() {
            return Removal::Live;
        }
        if let Some(store) = &self.store {
            match store.is_held(&self.key(id)).await {
                Ok(false) => {}
                Ok(true) => return Removal::Held,
                Err(error) => return failed(&error),
            }
        }
        match self.whoever_has_it(visits, id, home).await {
            Removal::Gone => self.locked(visits, id, home).await,
            had => had,
        }
    }

    /// Makes its pin ours alone, so that no other proxy opens it; its token.
    async fn isolate(&self, id: &str, home: &Arc<Member>) -> Result<Option<u64>, Removal> {
        let Some(store) = &self.store else { return Ok(None) };
        let key = self.key(id);
        let wrong = |error: StoreError| failed(&error);
        if store.is_held(&key).await.map_err(wrong)? {
            return Err(Removal::Held);
        }
        let wish = Wish { home: home.name.clone(), lost: None, owner: None, ephemeral: false };
        let token = match store.claim(&key, &wish).await.map_err(wrong)? {
            Claimed::Held { hold, .. } => hold.token,
            Claimed::Moving | Claimed::Foreign => return Err(Removal::Held),
        };
        match store.isolate(&key, token).await {
            Ok(Alone::Yes) => Ok(Some(token)),
            Ok(Alone::Lost) => Err(Removal::Held),
            other => {
                let _ = store.leave(&key, token, false).await;
                Err(other.map_or_else(wrong, |_| Removal::Held))
            }
        }
    }

    /// Asks every backend whether the session is live in it. [`Removal::Gone`]: in none.
    async fn whoever_has_it(&self, visits: &mut Visits, id: &str, home: &Arc<Member>) -> Removal {
        for member in self.who_may_have_it(home) {
            match visits.ask(&member, "session.metadata.activity", &json!({ "sessionId": id })).await {
                Ok(_) => return Removal::Live,
                Err(ErrandError::Refused { message, .. }) if is_absence(&message) => {}
                // An older runtime without the method: its locks have to do.
                Err(ErrandError::Unknown(_)) => {}
                // Who is down by now has nobody's session.
                Err(ErrandError::Link { .. }) if member.verdict() == Verdict::Down => {}
                Err(error) => return failed(&error),
            }
        }
        Removal::Gone
    }

    /// Whether another process has it, by the runtime's locks.
    async fn locked(&self, visits: &mut Visits, id: &str, home: &Arc<Member>) -> Removal {
        let Some(member) = self.doer(home) else { return nobody() };
        match visits.ask(&member, "sessions.checkInUse", &json!({ "sessionIds": [id] })).await {
            Ok(answer) if answer.get().contains(id) => Removal::Live,
            Ok(_) | Err(ErrandError::Unknown(_)) => Removal::Deleted,
            Err(error) => failed(&error),
        }
    }

    async fn delete(&self, visits: &mut Visits, id: &str, home: &Arc<Member>) -> Removal {
        let Some(member) = self.doer(home) else { return nobody() };
        let params = json!({ "sessionId": id });
        // Unlike `session.delete` it takes an id for nothing but itself.
        match visits.ask(&member, "sessions.delete", &params).await {
            Ok(_) => Removal::Deleted,
            Err(ErrandError::Refused { message, .. }) if is_absence(&message) => Removal::Gone,
            Err(ErrandError::Refused { message, .. }) if is_in_use(&message) => Removal::Live,
            Err(error) => failed(&error),
        }
    }

    async fn forget(&self, id: &str) {
        if let Some(wall) = &self.wall {
            wall.forget(id);
            if let Some(store) = &self.store {
                // A record too many is no harm: nobody can have the session.
                let _ = store.disown(&self.key(id), None).await;
            }
        }
    }

    /// Those that could have the session live.
    fn who_may_have_it(&self, home: &Arc<Member>) -> Vec<Arc<Member>> {
        if self.is_local() {
            return vec![home.clone()];
        }
        let members = self.squadron.pool.members();
        let may = |member: &&Arc<Member>| member.verdict() != Verdict::Down && member.address().is_some();
        members.iter().filter(may).cloned().collect()
    }

    /// Who is asked to delete it.
    fn doer(&self, home: &Arc<Member>) -> Option<Arc<Member>> {
        let can = |member: &&Arc<Member>| member.verdict() == Verdict::Up && member.address().is_some();
        let others = self.squadron.pool.members();
        Some(home).filter(can).or_else(|| others.iter().find(|member| !self.is_local() && can(member))).cloned()
    }

    /// Whether each backend has a disk of its own.
    pub(super) fn is_local(&self) -> bool {
        self.squadron.pool.settings().storage == Storage::Local
    }

    fn key(&self, id: &str) -> Key {
        Key { pool: self.squadron.pool.name().clone(), session: id.into() }
    }
}

fn failed(why: &dyn std::fmt::Display) -> Removal {
    Removal::Failed(why.to_string())
}

fn nobody() -> Removal {
    Removal::Failed("the backend that has it is not up".to_owned())
}

/// `Session not found ...`, `Session file not found ...`.
fn is_absence(message: &str) -> bool {
    message.contains("ot found")
}

/// `Cannot delete session ...: it is currently in use by another process.`
fn is_in_use(message: &str) -> bool {
    message.contains("in use")
}
