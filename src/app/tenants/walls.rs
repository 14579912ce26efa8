//! A wall for each pool that is not open.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    config::{self, Config},
    tenancy::{FreeIds, Grantee, GuardSettings, Limits, Overrides, Posture, TenantSettings, Wall, WallSettings},
};

/// The walls by pool. All listeners of a pool share its wall.
pub(super) fn walls(config: &Config) -> BTreeMap<String, Arc<Wall>> {
    let mut walls = BTreeMap::new();
    for (name, pool) in &config.pools {
        let Some(settings) = settings(config, name, pool) else { continue };
        let wall = Wall::new(settings);
        for problem in wall.problems() {
            tracing::warn!(pool = name, reason = %problem, "a share is left out");
        }
        walls.insert(name.clone(), Arc::new(wall));
    }
    walls
}

fn settings(config: &Config, name: &str, pool: &config::Pool) -> Option<WallSettings> {
    let posture = match config.posture(pool) {
        config::Posture::Open => return None,
        config::Posture::Tenants => Posture::Tenants,
        config::Posture::Dedicated => Posture::Dedicated,
    };
    Some(WallSettings {
        posture,
        naming: pool.naming(),
        free_ids: match pool.free_ids() {
            config::FreeIds::Record => FreeIds::Record,
            config::FreeIds::Refuse => FreeIds::Refuse,
        },
        overrides: overrides(&pool.methods),
        tenants: config.tenants_of(name).into_iter().map(|tenant| self::tenant(tenant, pool)).collect(),
    })
}

fn tenant(set: &config::Tenant, pool: &config::Pool) -> TenantSettings {
    TenantSettings {
        name: set.name.as_str().into(),
        users_apart: set.users == config::Users::Apart,
        overrides: overrides(&set.methods),
        limits: limits(&set.limits),
        guards: guards(set, &pool.guards),
        shares: set.share.iter().map(|share| (share.session.clone(), grantees(&share.with))).collect(),
    }
}

fn overrides(set: &config::MethodRules) -> Overrides {
    Overrides { allow: set.allow.clone(), deny: set.deny.clone() }
}

fn limits(set: &config::Limits) -> Limits {
    Limits {
        connections: set.connections,
        sessions: set.sessions,
        live_sessions: set.live_sessions,
        turns: set.turns,
        frames_per_second: set.frames_per_second,
        bytes_per_second: set.bytes_per_second.map(|bytes| bytes as u64),
        creates_per_minute: set.creates_per_minute,
    }
}

/// What the pool allows all of its tenants, and what this one is allowed besides.
fn guards(set: &config::Tenant, pool: &config::Guards) -> GuardSettings {
    let both = |all: &[String], own: &[String]| [all, own].concat();
    GuardSettings {
        roots: set.roots.clone(),
        provider_urls: both(&pool.provider_urls, &set.provider_urls),
        mcp_urls: both(&pool.mcp_urls, &set.mcp_urls),
        stdio_mcp: pool.stdio_mcp || set.stdio_mcp,
        commands: both(&pool.commands, &set.commands),
        params: pool.params.clone(),
    }
}

/// The config has only those that can be read.
fn grantees(with: &[String]) -> Vec<Grantee> {
    with.iter().filter_map(|grantee| grantee.parse().ok()).collect()
}
