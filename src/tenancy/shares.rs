//! Who else may attach to a session: other tenants, or users of a tenant.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
};

use ahash::AHashMap;
use parking_lot::RwLock;
use thiserror::Error;

use super::owners::{Owner, OwnerRef};
use crate::model::Identity;

/// Who a session is shared with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grantee {
    /// The tenant.
    pub tenant: Arc<str>,
    /// One user of it; `None`: all of them.
    pub user: Option<Arc<str>>,
}

/// A text that names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write \"TENANT\" or \"TENANT/USER\"")]
pub struct NotAGrantee;

/// The shares of one pool. A share counts for sessions of the tenant that gave it and for no others, however the id may read.
#[derive(Debug)]
pub struct Shares {
    /// Of the config, by the tenant that gives them.
    fixed: AHashMap<Arc<str>, Vec<Fixed>>,
    granted: RwLock<AHashMap<Box<str>, Granted>>,
    /// How many of those there are: nearly always none, and then nobody locks.
    count: AtomicUsize,
    version: AtomicU64,
}

#[derive(Debug)]
struct Fixed {
    /// The id, or its beginning.
    session: Box<str>,
    is_beginning: bool,
    with: Vec<Grantee>,
}

#[derive(Debug)]
struct Granted {
    owner: Owner,
    to: Vec<Grantee>,
}

impl Shares {
    /// The shares of the config: the tenant that gives them, the session (an id, or a beginning of ids and `*`), with whom.
    pub fn new(fixed: impl IntoIterator<Item = (Arc<str>, String, Vec<Grantee>)>) -> Self {
        let mut by_owner: AHashMap<Arc<str>, Vec<Fixed>> = AHashMap::new();
        for (owner, session, with) in fixed {
            let beginning = session.strip_suffix('*');
            let share =
                Fixed { is_beginning: beginning.is_some(), session: beginning.unwrap_or(&session).into(), with };
            by_owner.entry(owner).or_default().push(share);
        }
        Self { fixed: by_owner, granted: RwLock::default(), count: AtomicUsize::new(0), version: AtomicU64::new(0) }
    }

    /// Whether `who` may attach to `id`, which is `owner`'s.
    pub fn allows(&self, id: &str, owner: OwnerRef<'_>, who: &Identity) -> bool {
        let fixed = self.fixed.get(owner.tenant).into_iter().flatten().filter(|share| share.covers(id));
        if fixed.flat_map(|share| &share.with).any(|grantee| grantee.is(who)) {
            return true;
        }
        if self.count.load(SeqCst) == 0 {
            return false;
        }
        let granted = self.granted.read();
        let found = granted.get(id).filter(|granted| granted.owner.borrowed() == owner);
        found.is_some_and(|granted| granted.to.iter().any(|grantee| grantee.is(who)))
    }

    /// Shares `id`, which is `owner`'s. What an earlier owner of the id granted is void.
    pub fn grant(&self, id: &str, owner: &Owner, to: Grantee) {
        let mut granted = self.granted.write();
        let entry = granted.entry(id.into()).or_insert_with(|| Granted { owner: owner.clone(), to: Vec::new() });
        if entry.owner != *owner {
            *entry = Granted { owner: owner.clone(), to: Vec::new() };
        }
        if !entry.to.contains(&to) {
            entry.to.push(to);
        }
        self.changed(granted.len());
    }

    /// Takes a grant back. `false`: there was none. Those of the config stay.
    pub fn revoke(&self, id: &str, from: &Grantee) -> bool {
        let mut granted = self.granted.write();
        let Some(entry) = granted.get_mut(id) else { return false };
        let before = entry.to.len();
        entry.to.retain(|grantee| grantee != from);
        let found = entry.to.len() < before;
        if entry.to.is_empty() {
            granted.remove(id);
        }
        if found {
            self.changed(granted.len());
        }
        found
    }

    /// Takes back everything that was granted for `id`.
    pub fn forget(&self, id: &str) {
        if self.count.load(SeqCst) == 0 {
            return;
        }
        let mut granted = self.granted.write();
        if granted.remove(id).is_some() {
            self.changed(granted.len());
        }
    }

    /// Those of the config that hold, by session (an id, or a beginning of ids and `*`).
    pub fn configured(&self) -> Vec<(String, Vec<Grantee>)> {
        sorted(self.fixed.values().flatten().map(|share| (share.pattern(), share.with.clone())))
    }

    /// Those that were granted while running, by session.
    pub fn granted(&self) -> Vec<(String, Vec<Grantee>)> {
        let granted = self.granted.read();
        sorted(granted.iter().map(|(id, granted)| (id.to_string(), granted.to.clone())))
    }

    /// The same with whose sessions they are, to be granted again elsewhere.
    pub fn grants(&self) -> Vec<(Box<str>, Owner, Vec<Grantee>)> {
        let granted = self.granted.read();
        granted.iter().map(|(id, granted)| (id.clone(), granted.owner.clone(), granted.to.clone())).collect()
    }

    /// Grows with every change, so that what was decided before can be decided again.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(SeqCst)
    }

    /// Called with the lock held.
    fn changed(&self, count: usize) {
        self.count.store(count, SeqCst);
        self.version.fetch_add(1, SeqCst);
    }
}

fn sorted(shares: impl Iterator<Item = (String, Vec<Grantee>)>) -> Vec<(String, Vec<Grantee>)> {
    let mut all: Vec<_> = shares.collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

impl Fixed {
    fn covers(&self, id: &str) -> bool {
        if self.is_beginning { id.starts_with(&*self.session) } else { id == &*self.session }
    }

    fn pattern(&self) -> String {
        format!("{}{}", self.session, if self.is_beginning { "*" } else { "" })
    }
}

impl Grantee {
    /// Whether `who` is, or is one of, whom this names.
    pub fn is(&self, who: &Identity) -> bool {
        self.tenant == who.tenant && (self.user.is_none() || self.user == who.user)
    }
}

impl FromStr for Grantee {
    type Err = NotAGrantee;

    fn from_str(text: &str) -> Result<Self, NotAGrantee> {
        let (tenant, user) = match text.split_once('/') {
            Some((tenant, user)) => (tenant, Some(user)),
            None => (text, None),
        };
        if tenant.is_empty() || user.is_some_and(str::is_empty) {
            return Err(NotAGrantee);
        }
        Ok(Self { tenant: tenant.into(), user: user.map(Into::into) })
    }
}

/// As it is read.
impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "{}/{user}", self.tenant),
            None => f.write_str(&self.tenant),
        }
    }
}

#[cfg(test)]
mod tests;
