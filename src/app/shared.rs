//! Sessions that others may attach to, as operators see and change them; and what each tenant uses.

use std::{collections::BTreeMap, sync::Arc};

use super::App;
use crate::{
    admin::{ShareAsk, ShareRefusal, ShareStatus},
    tenancy::{Grantee, Held, Posture, Wall},
};

impl App {
    /// All shares: of each pool those of the config, then those that were granted.
    pub(super) fn shares(&self) -> Vec<ShareStatus> {
        let of = |pool: &String, source, (session, with): (String, Vec<Grantee>)| ShareStatus {
            pool: pool.clone(),
            session,
            with: with.iter().map(Grantee::to_string).collect(),
            source,
        };
        let walls = self.tenants.walls().iter();
        let all = walls.flat_map(|(pool, wall)| {
            let configured = wall.shares().configured().into_iter().map(move |share| of(pool, "config", share));
            configured.chain(wall.shares().granted().into_iter().map(move |share| of(pool, "granted", share)))
        });
        all.collect()
    }

    /// Shares a session.
    pub(super) fn share(&self, asked: &ShareAsk, reason: &str) -> Result<(), ShareRefusal> {
        let (wall, grantee) = self.asked(asked)?;
        wall.share(&asked.session, grantee).map_err(|_| ShareRefusal::NotOwned)?;
        note(asked, reason, "granted");
        Ok(())
    }

    /// Takes such a share back.
    pub(super) fn unshare(&self, asked: &ShareAsk, reason: &str) -> Result<(), ShareRefusal> {
        let (wall, grantee) = self.asked(asked)?;
        if !wall.shares().revoke(&asked.session, &grantee) {
            return Err(ShareRefusal::NotGranted);
        }
        note(asked, reason, "revoked");
        Ok(())
    }

    fn asked(&self, asked: &ShareAsk) -> Result<(Arc<Wall>, Grantee), ShareRefusal> {
        let wall = self.tenants.wall(&asked.pool).filter(|wall| wall.posture() == Posture::Tenants);
        let wall = wall.ok_or(ShareRefusal::NoWall)?;
        let grantee: Grantee = asked.with.parse().map_err(|_| ShareRefusal::Nobody)?;
        if wall.tenant(&grantee.tenant).is_none() {
            return Err(ShareRefusal::Nobody);
        }
        Ok((wall, grantee))
    }

    /// Sets the gauges of what tenants use, over all pools.
    pub(super) fn count_tenants(&self) {
        let by_tenant = self.config.admin.tenant_metrics;
        let mut used: BTreeMap<&str, [i64; 3]> = BTreeMap::new();
        let all: Vec<_> = self.tenants.walls().values().flat_map(|wall| wall.tenants()).collect();
        for tenant in &all {
            let sums = used.entry(if by_tenant { &tenant.name } else { "all" }).or_default();
            for (sum, what) in sums.iter_mut().zip([Held::Connection, Held::Session, Held::Turn]) {
                *sum += i64::try_from(tenant.quota.held(what)).unwrap_or(i64::MAX);
            }
        }
        for (name, [connections, sessions, turns]) in used {
            let metrics = self.metrics.tenant(name);
            metrics.connections.set(connections);
            metrics.sessions.set(sessions);
            metrics.turns.set(turns);
        }
    }
}

/// The record of a change that an operator made.
fn note(asked: &ShareAsk, reason: &str, outcome: &str) {
    let ShareAsk { pool, session, with } = asked;
    tracing::info!(target: crate::telemetry::audit::TARGET, pool, session, tenant = with, outcome, reason, "share");
}
