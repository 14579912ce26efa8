//! Whose sessions are: what one proxy records, all of them know. Each has the whole table in memory, so that nobody is asked on
//! the way of a message; here it is read at the start, kept up by what the store tells, and written again where the store lost it.

use std::{sync::Arc, time::Duration};

use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::tenants::Tenants;
use crate::{
    store::{Key, Store, Told, Who},
    tenancy::{Owner, Recorded, Wall},
};

/// Records that are written at once; then others have their turn.
const AT_ONCE: usize = 100;

/// Between two tries to read them all.
const AGAIN: Duration = Duration::from_millis(500);

/// The owners of the sessions of one pool.
struct Owners {
    pool: Arc<str>,
    wall: Arc<Wall>,
    store: Arc<dyn Store>,
}

/// Keeps the owners of every pool with tenants, until `cancel`. Comes back when all that the store knows was read, or it does
/// not answer.
pub(super) async fn keep(tenants: &Tenants, store: &Arc<dyn Store>, tracker: &TaskTracker, cancel: &CancellationToken) {
    if !store.is_shared() {
        return;
    }
    for (pool, wall) in tenants.walls() {
        let owners = Owners { pool: pool.as_str().into(), wall: wall.clone(), store: store.clone() };
        // Before the first look, so that nothing falls between.
        let told = store.listen();
        let known = owners.read_all().await;
        tracker.spawn(cancel.clone().run_until_cancelled_owned(owners.follow(told, known)));
    }
}

impl Owners {
    async fn follow(self, mut told: Receiver<Told>, mut known: bool) {
        loop {
            let heard = tokio::select! {
                heard = told.recv() => heard,
                () = tokio::time::sleep(AGAIN), if !known => {
                    known = self.read_all().await;
                    continue;
                }
            };
            match heard {
                Ok(Told::Owned { key, who }) if *key.pool == *self.pool => self.note(&key.session, &who),
                Ok(Told::Disowned(key)) if *key.pool == *self.pool => self.wall.owners().forget(&key.session),
                Ok(Told::Up { lost }) => {
                    known = self.read_all().await;
                    if lost {
                        self.write_all().await;
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => known = false,
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn note(&self, session: &str, who: &Who) {
        let owner = Owner { tenant: who.tenant.clone(), user: who.user.clone() };
        let owners = self.wall.owners();
        // Of two that were recorded at one moment the store's counts.
        if owners.record(session, owner.clone()) == Recorded::Taken {
            owners.forget(session);
            let _ = owners.record(session, owner);
        }
    }

    /// `false`: the store did not answer.
    async fn read_all(&self) -> bool {
        let mut cursor = 0;
        loop {
            let Ok((next, some)) = self.store.owners(&self.pool, cursor).await else { return false };
            some.iter().for_each(|(session, who)| self.note(session, who));
            tokio::task::yield_now().await;
            if next == 0 {
                return true;
            }
            cursor = next;
        }
    }

    /// Where it fails, whoever comes for the session writes it once more.
    async fn write_all(&self) {
        for part in self.wall.owners().parts() {
            for (number, (session, owner)) in part.into_iter().enumerate() {
                let key = Key { pool: self.pool.clone(), session: session.into() };
                if self.store.record(&key, &Who { tenant: owner.tenant, user: owner.user }).await.is_err() {
                    return;
                }
                if number % AT_ONCE == AT_ONCE - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}
