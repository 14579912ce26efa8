//! Which methods may be called.

use crate::wire::{MethodIndex, Methods};

/// Who uses a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posture {
    /// One application that is trusted.
    Open,
    /// Tenants that must not touch, see or learn of each other's sessions.
    Tenants,
    /// One tenant alone.
    Dedicated,
}

/// Methods that may or may not be called whatever the table says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// These may: names, `prefix.*` or `*`.
    pub allow: Vec<String>,
    /// These may not.
    pub deny: Vec<String>,
}

/// The methods that one tenant may call in one pool.
#[derive(Debug)]
pub struct MethodPolicy {
    /// By row of the table.
    known: Box<[bool]>,
    unknown: bool,
    /// For names that the table does not have, strongest first.
    overrides: [Overrides; 2],
}

/// Without these a client cannot even be told what it may not do.
const ALWAYS: &[&str] = &["connect", "ping", "$/cancelRequest"];
/// What harms the pool itself and not only its one tenant.
const NOT_EVEN_ALONE: &[&str] = &["runtime.shutdown", "agentRegistry.spawn"];

impl MethodPolicy {
    /// The policy of a tenant. Its own overrides come before the pool's, those before the table; a longer name before a
    /// shorter one, and `deny` before `allow`.
    pub fn new(posture: Posture, pool: &Overrides, tenant: &Overrides) -> Self {
        let overrides = [tenant.clone(), pool.clone()];
        let table = Methods::get();
        let allowed = |(row, name): (usize, &str)| {
            ALWAYS.contains(&name)
                || decided(&overrides, name).unwrap_or_else(|| table_allows(posture, MethodIndex(row as u16)))
        };
        let known = table.names().into_iter().enumerate().map(allowed).collect();
        Self { known, unknown: posture != Posture::Tenants, overrides }
    }

    /// Whether it may be called. `name` counts where the table does not know the method.
    #[inline]
    pub fn allows(&self, method: MethodIndex, name: &str) -> bool {
        if method == Methods::UNKNOWN {
            return decided(&self.overrides, name).unwrap_or(self.unknown);
        }
        self.known.get(usize::from(method.0)).is_some_and(|allowed| *allowed)
    }
}

fn table_allows(posture: Posture, method: MethodIndex) -> bool {
    let row = Methods::get().row(method);
    match posture {
        Posture::Open => true,
        Posture::Tenants => row.shared != "deny",
        Posture::Dedicated => !NOT_EVEN_ALONE.contains(&row.name.as_str()),
    }
}

/// What the overrides say, if they say anything.
fn decided(levels: &[Overrides], name: &str) -> Option<bool> {
    levels.iter().find_map(|level| {
        let (allow, deny) = (closest(&level.allow, name), closest(&level.deny, name));
        if allow.is_none() && deny.is_none() { None } else { Some(allow > deny) }
    })
}

/// How closely the best of `patterns` names `name`: all of it, or a beginning of so many bytes.
fn closest(patterns: &[String], name: &str) -> Option<usize> {
    patterns.iter().filter_map(|pattern| closeness(pattern, name)).max()
}

fn closeness(pattern: &str, name: &str) -> Option<usize> {
    if pattern == name {
        return Some(usize::MAX);
    }
    let beginning = pattern.strip_suffix('*')?;
    let whole = beginning.is_empty() || beginning.ends_with('.');
    (whole && name.starts_with(beginning)).then_some(beginning.len())
}

#[cfg(test)]
mod tests;
