//! What the new process has to know of the old one's sessions: where they live, whose they are, who else may attach.
//! No secret is among it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ahash::AHashSet;
use serde::{Deserialize, Serialize};

use crate::{
    app::{App, build},
    session::Departed,
    tenancy::{Grantee, Owner},
};

/// Entries in one line of the talk.
const AT_ONCE: usize = 2000;

/// Of shares fewer, for each has a list.
const SHARES_AT_ONCE: usize = 50;

/// A tenant, and one of its users.
type Who = (String, Option<String>);

/// Some of it, of one pool.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Records {
    pool: String,
    /// Sessions and the names of their backends.
    pins: Vec<(String, String)>,
    /// Sessions that end with their clients, and the names of their backends.
    #[serde(default)]
    ephemeral: Vec<(String, String)>,
    /// How long the old process may still hold them.
    held_ms: u64,
    /// Sessions and whose they are, where the id does not say so.
    owned: Vec<(String, Who)>,
    /// Sessions that are nobody's any more.
    disowned: Vec<String>,
    /// Sessions, whose they are, and who else may attach.
    granted: Vec<(String, Who, Vec<Who>)>,
}

/// What the new process knows already, so that the second time only what changed is told.
#[derive(Debug, Default)]
pub(super) struct Told {
    pins: AHashSet<(String, Box<str>)>,
    ephemeral: AHashSet<(String, Box<str>)>,
    owned: AHashSet<(String, Box<str>)>,
}

impl Told {
    /// Whose sessions are: the bulk of it, which may be told while everything goes on.
    pub(super) fn owners(&mut self, app: &App) -> Vec<Records> {
        let mut all = Vec::new();
        for (pool, wall) in app.tenants.walls() {
            let now = wall.owners().all();
            let ids: AHashSet<(String, Box<str>)> = now.iter().map(|(id, _)| (pool.clone(), id.clone())).collect();
            let gone: Vec<_> = self.owned.iter().filter(|key| key.0 == *pool && !ids.contains(key)).cloned().collect();
            self.owned.retain(|key| key.0 != *pool || ids.contains(key));
            all.extend(parts(gone, AT_ONCE, |some| {
                let disowned = some.into_iter().map(|(_, id)| id.into()).collect();
                Records { pool: pool.clone(), disowned, ..Records::default() }
            }));
            let new: Vec<_> = now.into_iter().filter(|(id, _)| self.owned.insert((pool.clone(), id.clone()))).collect();
            all.extend(parts(new, AT_ONCE, |some| {
                let owned = some.into_iter().map(|(id, owner)| (id.into(), who(&owner))).collect();
                Records { pool: pool.clone(), owned, ..Records::default() }
            }));
        }
        all
    }

    /// Everything that was not told yet.
    pub(super) fn all(&mut self, app: &App) -> Vec<Records> {
        let mut all = self.owners(app);
        all.extend(self.pins(app));
        for (pool, wall) in app.tenants.walls() {
            all.extend(parts(wall.shares().grants(), SHARES_AT_ONCE, |some| {
                let granted = some.into_iter().map(|(id, owner, to)| {
                    (
                        id.into(),
                        who(&owner),
                        to.into_iter().map(|to| who(&Owner { tenant: to.tenant, user: to.user })).collect(),
                    )
                });
                Records { pool: pool.clone(), granted: granted.collect(), ..Records::default() }
            }));
        }
        all
    }

    /// The pins that were not told yet, and whose their sessions are.
    pub(super) fn rest(&mut self, app: &App) -> Vec<Records> {
        let mut all = self.owners(app);
        all.extend(self.pins(app));
        all
    }

    fn pins(&mut self, app: &App) -> Vec<Records> {
        let held = app.config.shutdown.drain_timeout + build::PIN_LINGER;
        let held_ms = u64::try_from(held.as_millis()).unwrap_or(u64::MAX);
        let mut all = Vec::new();
        for (pool, squadron) in &app.fleet.pools {
            let ending = squadron.registry.ephemerals().into_iter();
            let new: Vec<_> = ending.filter(|(id, _)| self.ephemeral.insert((pool.clone(), id.clone()))).collect();
            all.extend(parts(new, AT_ONCE, |some| {
                let ephemeral = some.into_iter().map(|(id, home)| (id.into(), home.as_ref().into())).collect();
                Records { pool: pool.clone(), ephemeral, held_ms, ..Records::default() }
            }));
        }
        // CLIs that we started ourselves end with us: nobody else can reach what lives there.
        for (pool, squadron) in app.fleet.pools.iter().filter(|(_, squadron)| !squadron.is_supervised()) {
            let pins = squadron.registry.pins(Instant::now());
            let new: Vec<_> = pins.into_iter().filter(|(id, _)| self.pins.insert((pool.clone(), id.clone()))).collect();
            all.extend(parts(new, AT_ONCE, |some| {
                let pins = some.into_iter().map(|(id, home)| (id.into(), home.as_ref().into())).collect();
                Records { pool: pool.clone(), pins, held_ms, ..Records::default() }
            }));
        }
        all
    }
}

impl Records {
    /// Takes it all over. Pools and backends that are not in our config are passed over.
    pub(super) fn adopt(self, app: &App) {
        if let Some(wall) = app.tenants.wall(&self.pool) {
            for id in &self.disowned {
                wall.owners().forget(id);
            }
            for (id, owner) in self.owned {
                wall.owners().record(&id, owner_of(owner));
            }
            for (id, owner, to) in self.granted {
                let owner = owner_of(owner);
                for to in to.into_iter().map(owner_of) {
                    wall.shares().grant(&id, &owner, Grantee { tenant: to.tenant, user: to.user });
                }
            }
        }
        if let Some(squadron) = app.fleet.pools.get(&self.pool) {
            // The old process may have their clients until then.
            let due = Instant::now() + Duration::from_millis(self.held_ms) + squadron.registry.departure_linger();
            for (id, home) in &self.ephemeral {
                if let Some(home) = squadron.pool.member(home).filter(|_| squadron.cleanup.settings().ephemeral) {
                    squadron.registry.expect_departure(Departed { id: id.as_str().into(), home, failures: 0 }, due);
                }
            }
        }
        let Some(squadron) = app.fleet.pools.get(&self.pool).filter(|squadron| !squadron.is_supervised()) else {
            return;
        };
        let (members, now) = (squadron.pool.members(), Instant::now());
        let until = now + Duration::from_millis(self.held_ms);
        for (id, home) in self.pins {
            if let Some(member) = members.iter().find(|member| *member.name == *home) {
                squadron.registry.adopt(&id, member.clone(), until, now);
            }
        }
    }
}

fn parts<T>(all: Vec<T>, at_once: usize, mut records: impl FnMut(Vec<T>) -> Records) -> Vec<Records> {
    let mut parts = Vec::new();
    let mut all = all.into_iter().peekable();
    while all.peek().is_some() {
        parts.push(records(all.by_ref().take(at_once).collect()));
    }
    parts
}

fn who(owner: &Owner) -> Who {
    (owner.tenant.to_string(), owner.user.as_deref().map(str::to_owned))
}

fn owner_of((tenant, user): Who) -> Owner {
    Owner { tenant: tenant.into(), user: user.map(Arc::from) }
}
