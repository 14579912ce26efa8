//! Shares as operators see and change them.

use super::Tenants;
use crate::{
    admin::{ShareAsk, ShareRefusal, ShareStatus},
    config::Config,
    telemetry::audit,
    tenancy::{Grantee, Wall},
};

impl Tenants {
    /// All shares of all pools.
    pub(in crate::app) fn shares(&self, config: &Config) -> Vec<ShareStatus> {
        self.walls.iter().flat_map(|(pool, wall)| of_pool(config, pool, wall)).collect()
    }

    /// Shares a session until its end.
    pub(in crate::app) fn share(&self, asked: &ShareAsk, reason: &str) -> Result<(), ShareRefusal> {
        let (wall, with) = self.asked(asked)?;
        wall.share(&asked.session, with).map_err(|_| ShareRefusal::NotOwned)?;
        record(asked, reason, "shared");
        Ok(())
    }

    /// Takes such a share back.
    pub(in crate::app) fn unshare(&self, asked: &ShareAsk, reason: &str) -> Result<(), ShareRefusal> {
        let (wall, with) = self.asked(asked)?;
        if !wall.shares().revoke(&asked.session, &with) {
            return Err(ShareRefusal::NotGranted);
        }
        record(asked, reason, "no longer shared");
        Ok(())
    }

    fn asked(&self, asked: &ShareAsk) -> Result<(&Wall, Grantee), ShareRefusal> {
        let wall = self.walls.get(&asked.pool).ok_or(ShareRefusal::NoWall)?;
        let with = asked.with.parse::<Grantee>().ok().filter(|with| wall.tenant(&with.tenant).is_some());
        Ok((wall, with.ok_or(ShareRefusal::Nobody)?))
    }
}

fn of_pool(config: &Config, pool: &str, wall: &Wall) -> Vec<ShareStatus> {
    let written: usize = config.tenants_of(pool).iter().map(|tenant| tenant.share.len()).sum();
    let fixed = written.saturating_sub(wall.problems().len());
    let all = wall.shares().list().into_iter().enumerate();
    let tell = |(index, (session, with)): (usize, (String, Vec<Grantee>))| ShareStatus {
        pool: pool.to_owned(),
        session,
        with: with.iter().map(Grantee::to_string).collect(),
        source: if index < fixed { "config" } else { "granted" },
    };
    all.map(tell).collect()
}

/// An operator's word changed the wall: who, what and why belong in the record.
fn record(asked: &ShareAsk, reason: &str, outcome: &str) {
    let ShareAsk { pool, session, with } = asked;
    tracing::info!(target: audit::TARGET, pool, session, with, reason, outcome, "audit");
}
