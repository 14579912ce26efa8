//! The wall of one pool: its tenants, whose its sessions are, and who may do what with them.

use std::sync::Arc;

use ahash::AHashMap;
use thiserror::Error;

use super::{
    guard::{GuardSettings, Guards},
    look::{Look, looks},
    naming::{NamingRule, Said},
    owners::{Owner, OwnerRef, Owners, Recorded},
    policy::{MethodPolicy, Overrides, Posture},
    quota::{Limits, Quota},
    shares::{Grantee, Shares},
};
use crate::{model::Identity, wire::MethodIndex};

/// What happens to ids that do not say whose they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FreeIds {
    /// They belong to whoever makes the session.
    #[default]
    Record,
    /// They are refused.
    Refuse,
}

/// How the wall of one pool is built.
#[derive(Debug)]
pub struct WallSettings {
    /// Who uses the pool.
    pub posture: Posture,
    /// How ids are read.
    pub naming: NamingRule,
    /// What happens to those that say nothing. The registry records them always.
    pub free_ids: FreeIds,
    /// What the pool allows and denies beyond the table.
    pub overrides: Overrides,
    /// Those who may use the pool; in a dedicated one, the one.
    pub tenants: Vec<TenantSettings>,
}

/// One tenant, as far as one pool goes.
#[derive(Debug)]
pub struct TenantSettings {
    /// Its name.
    pub name: Arc<str>,
    /// Its users do not see each other's sessions.
    pub users_apart: bool,
    /// What it may call beyond the pool's overrides and the table.
    pub overrides: Overrides,
    /// How much it may use.
    pub limits: Limits,
    /// What its params may name.
    pub guards: GuardSettings,
    /// Sessions (ids, or beginnings of ids and `*`) that others may attach to.
    pub shares: Vec<(String, Vec<Grantee>)>,
}

/// A tenant of one pool.
#[derive(Debug)]
pub struct Tenant {
    /// Its name.
    pub name: Arc<str>,
    /// Its users do not see each other's sessions.
    pub users_apart: bool,
    /// What it may call.
    pub policy: MethodPolicy,
    /// What it uses.
    pub quota: Arc<Quota>,
    /// What its params may name.
    pub guards: Guards,
    looks: Box<[Look]>,
}

/// How somebody stands to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is theirs.
    Own,
    /// Its owner shares it with them.
    Shared,
    /// It is nobody's: its id says nothing and is not recorded.
    Free,
    /// It is somebody else's, or can be nobody's.
    Foreign,
}

/// Whether somebody may make a session under an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The id is theirs.
    Yes,
    /// If no backend knows it and [`Wall::claim_free`] succeeds.
    IfAbsent,
    /// The id is somebody else's or can be nobody's.
    No,
}

/// A share of the config that is left out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("tenant {tenant} cannot share {session:?}: its ids do not begin so")]
pub struct ShareProblem {
    /// Who would share.
    pub tenant: Arc<str>,
    /// What.
    pub session: String,
}

/// A session cannot be shared because nobody owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no tenant owns this session")]
pub struct NotShared;

/// The wall of one pool.
#[derive(Debug)]
pub struct Wall {
    posture: Posture,
    naming: NamingRule,
    free_ids: FreeIds,
    tenants: AHashMap<Arc<str>, Arc<Tenant>>,
    owners: Owners,
    shares: Shares,
    problems: Vec<ShareProblem>,
}

impl Wall {
    /// A wall without any records. Shares that can never be are left out, see [`Self::problems`].
    pub fn new(settings: WallSettings) -> Self {
        let WallSettings { posture, naming, free_ids, overrides, tenants } = settings;
        let free_ids = if naming.is_registry() { FreeIds::Record } else { free_ids };
        let (mut known, mut shares, mut problems) = (AHashMap::new(), Vec::new(), Vec::new());
        for mut tenant in tenants {
            for (session, with) in std::mem::take(&mut tenant.shares) {
                if may_share(&naming, free_ids, &tenant.name, &session) {
                    shares.push((tenant.name.clone(), session, with));
                } else {
                    problems.push(ShareProblem { tenant: tenant.name.clone(), session });
                }
            }
            known.insert(tenant.name.clone(), Arc::new(Tenant::new(posture, &overrides, tenant)));
        }
        let (owners, shares) = (Owners::new(), Shares::new(shares));
        Self { posture, naming, free_ids, tenants: known, owners, shares, problems }
    }

    /// The shares of the config that were left out.
    pub fn problems(&self) -> &[ShareProblem] {
        &self.problems
    }

    /// A tenant that may use the pool.
    pub fn tenant(&self, name: &str) -> Option<Arc<Tenant>> {
        self.tenants.get(name).cloned()
    }

    /// All tenants that may use the pool, by name.
    pub fn tenants(&self) -> Vec<Arc<Tenant>> {
        let mut all: Vec<_> = self.tenants.values().cloned().collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// The ids that were recorded.
    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Who else may attach.
    pub fn shares(&self) -> &Shares {
        &self.shares
    }

    /// How ids are read.
    pub fn naming(&self) -> &NamingRule {
        &self.naming
    }

    /// Who uses the pool.
    pub fn posture(&self) -> Posture {
        self.posture
    }

    /// Whether `who` can have sessions here at all: its tenant uses the pool and, where users are apart, it is a user whose
    /// name can be told from others.
    pub fn admits(&self, who: &Identity) -> bool {
        let Some(tenant) = self.tenants.get(&who.tenant) else { return false };
        if self.posture != Posture::Tenants || !tenant.users_apart {
            return true;
        }
        let user = who.user.as_deref().filter(|_| self.naming.tells_users());
        user.is_some_and(|user| self.naming.check_user_name(&who.tenant, user).is_ok())
    }

    /// How `who` stands to the session `id`.
    pub fn access(&self, who: &Identity, id: &str) -> Access {
        if self.posture != Posture::Tenants {
            return Access::Own;
        }
        let Some(tenant) = self.tenants.get(&who.tenant) else { return Access::Foreign };
        let as_owner = |owner: OwnerRef<'_>| {
            if tenant.owns(who, owner) {
                Access::Own
            } else if self.shares.allows(id, owner, who) {
                Access::Shared
            } else {
                Access::Foreign
            }
        };
        match self.naming.says(id) {
            Said::Nobody => Access::Foreign,
            Said::Named { tenant, user } => as_owner(self.named_owner(tenant, user)),
            Said::Free if self.free_ids == FreeIds::Refuse => Access::Foreign,
            Said::Free => self.owners.find(id).map_or(Access::Free, |owner| as_owner(owner.borrowed())),
        }
    }

    /// Whether `who` may know that the session exists.
    pub fn may_see(&self, who: &Identity, id: &str) -> bool {
        matches!(self.access(who, id), Access::Own | Access::Shared)
    }

    /// Whether `who` may make a session under this id.
    pub fn may_create(&self, who: &Identity, id: &str) -> Creation {
        match self.access(who, id) {
            Access::Own => Creation::Yes,
            Access::Free if self.admits(who) => Creation::IfAbsent,
            Access::Free | Access::Shared | Access::Foreign => Creation::No,
        }
    }

    /// Records an id that says nothing, and that no backend knows, for `who`. `false`: it cannot be theirs.
    pub fn claim_free(&self, who: &Identity, id: &str) -> bool {
        if self.posture != Posture::Tenants {
            return true;
        }
        let Some(tenant) = self.tenants.get(&who.tenant).filter(|_| self.admits(who)) else { return false };
        if self.naming.says(id) != Said::Free || self.free_ids == FreeIds::Refuse {
            return false;
        }
        let user = who.user.clone().filter(|_| tenant.users_apart);
        let owner = Owner { tenant: tenant.name.clone(), user };
        matches!(self.owners.record(id, owner), Recorded::New | Recorded::Same)
    }

    /// The id of a new session of `who`. Under the registry it has to be claimed like any other.
    pub fn new_session_id(&self, who: &Identity, uuid: &str) -> String {
        if self.posture == Posture::Tenants { self.naming.new_id(who, uuid) } else { uuid.to_owned() }
    }

    /// Whose the session is, if it is a tenant's of this pool.
    pub fn owner(&self, id: &str) -> Option<Owner> {
        match self.naming.says(id) {
            Said::Nobody => None,
            Said::Named { tenant, user } => {
                let owner = self.named_owner(tenant, user);
                let tenant = self.tenants.get(tenant)?.name.clone();
                Some(Owner { tenant, user: owner.user.map(Into::into) })
            }
            Said::Free => self.owners.find(id),
        }
    }

    /// Shares a session that a tenant owns.
    pub fn share(&self, id: &str, with: Grantee) -> Result<(), NotShared> {
        let owner = self.owner(id).ok_or(NotShared)?;
        self.shares.grant(id, &owner, with);
        Ok(())
    }

    /// The session is gone: its id is nobody's again unless it says whose it is, and what was granted for it is void.
    pub fn forget(&self, id: &str) {
        self.shares.forget(id);
        self.owners.forget(id);
    }

    /// The owner that an id names. Its user counts only where the tenant's users are apart.
    fn named_owner<'a>(&self, tenant: &'a str, user: Option<&'a str>) -> OwnerRef<'a> {
        let apart = self.tenants.get(tenant).is_some_and(|tenant| tenant.users_apart);
        OwnerRef { tenant, user: user.filter(|_| apart) }
    }
}

impl Tenant {
    fn new(posture: Posture, pool: &Overrides, settings: TenantSettings) -> Self {
        let policy = MethodPolicy::new(posture, pool, &settings.overrides);
        let guards = Guards::new(settings.guards);
        Self {
            looks: looks(&policy, &guards),
            policy,
            quota: Quota::new(settings.limits),
            guards,
            users_apart: settings.users_apart,
            name: settings.name,
        }
    }

    /// How closely its calls of a method have to be looked at.
    #[inline]
    pub fn look(&self, method: MethodIndex) -> Look {
        self.looks.get(usize::from(method.0)).copied().unwrap_or(Look::All)
    }

    /// Whether what is `owner`'s is this tenant's and, where its users are apart, this user's.
    fn owns(&self, who: &Identity, owner: OwnerRef<'_>) -> bool {
        let same_user = || owner.user.is_some() && owner.user == who.user.as_deref();
        *self.name == *owner.tenant && (!self.users_apart || same_user())
    }
}

impl TenantSettings {
    /// A tenant with nothing but a name: no overrides, no limits, guards that refuse, nothing shared.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            users_apart: false,
            overrides: Overrides::default(),
            limits: Limits::default(),
            guards: GuardSettings::default(),
            shares: Vec::new(),
        }
    }
}

/// Whether any id that `session` covers can be the tenant's.
fn may_share(naming: &NamingRule, free_ids: FreeIds, tenant: &str, session: &str) -> bool {
    if let Some(beginning) = session.strip_suffix('*') {
        return naming.may_become(beginning, tenant);
    }
    match naming.says(session) {
        Said::Named { tenant: named, .. } => named == tenant,
        Said::Free => free_ids == FreeIds::Record,
        Said::Nobody => false,
    }
}

#[cfg(test)]
mod tests;
