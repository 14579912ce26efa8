//! What the admin listener asks for.

use std::{sync::Arc, time::Instant};

use super::{super::fleet::Fleet, Refusal, admission::Manner};
use crate::{
    admin::{BackendName, Begun, Order, OrderRefusal},
    app::fleet::Squadron,
    pool::{Drain, DrainCause, Member},
};

impl Fleet {
    /// Begins what an operator wants done, and writes it into the record, taken or refused.
    pub(in crate::app) fn operate(&self, order: &Order, reason: &str) -> Result<Begun, OrderRefusal> {
        let begun = self.begin(order, reason);
        let (what, backend, pool) = named(order);
        let outcome = if begun.is_ok() { "begun" } else { "refused" };
        let pool = begun.as_ref().map_or(pool, |begun| &begun.pool);
        tracing::info!(target: crate::telemetry::audit::TARGET, pool, backend, outcome, reason, "{what}");
        begun.map_err(OrderRefusal::from)
    }

    fn begin(&self, order: &Order, reason: &str) -> Result<Begun, Refusal> {
        match order {
            Order::Drain { backend, timeout, force } => {
                let (squadron, member) = self.find_shared(backend)?;
                let timeout = timeout.unwrap_or(squadron.operations.settings.drain_timeout);
                let drain = Drain::begin(DrainCause::Operator, reason, Some(timeout));
                squadron.drain(&member, drain, *force)?;
                let deadline_seconds = member.drain().and_then(|drain| drain.deadline).map(seconds_until);
                Ok(Begun { deadline_seconds, ..of_backend(&member) })
            }
            Order::Undrain { backend } => {
                let (squadron, member) = self.find_shared(backend)?;
                squadron.operations.undrain(&member)?;
                Ok(of_backend(&member))
            }
            Order::Restart { backend, force } => {
                let (squadron, member) = self.find(backend)?;
                if let Some(instances) = &squadron.instances {
                    instances.renew(&member.name);
                    return Ok(of_backend(&member));
                }
                let operation = Some(squadron.begin_restart(member.clone(), reason, *force)?);
                Ok(Begun { operation, ..of_backend(&member) })
            }
            Order::RollingRestart { pool } => {
                let squadron = self.pools.get(pool).ok_or_else(|| Refusal::NoPool(pool.clone()))?;
                if let Some(instances) = &squadron.instances {
                    instances.renew_all();
                    return Ok(Begun { pool: pool.clone(), ..Begun::default() });
                }
                let operation = Some(squadron.begin_rolling_restart(reason)?);
                Ok(Begun { pool: pool.clone(), operation, ..Begun::default() })
            }
        }
    }

    /// The one backend of this name, which has to be one that identities share.
    fn find_shared(&self, wanted: &BackendName) -> Result<(Arc<Squadron>, Arc<Member>), Refusal> {
        let found = self.find(wanted)?;
        if found.0.instances.is_some() { Err(Refusal::Dedicated(found.0.pool.name().clone())) } else { Ok(found) }
    }

    /// The one backend of this name.
    fn find(&self, wanted: &BackendName) -> Result<(Arc<Squadron>, Arc<Member>), Refusal> {
        let BackendName { name, pool } = wanted;
        if let Some(pool) = pool.as_ref().filter(|pool| !self.pools.contains_key(*pool)) {
            return Err(Refusal::NoPool(pool.clone()));
        }
        let asked = self.pools.iter().filter(|(known, _)| pool.as_ref().is_none_or(|pool| pool == *known));
        let mut found: Vec<_> = asked
            .filter_map(|(_, squadron)| squadron.pool.member(name).map(|member| (squadron.clone(), member)))
            .collect();
        match (found.pop(), found.is_empty()) {
            (None, _) => Err(Refusal::NoBackend(name.clone())),
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                let all = found.iter().chain([&last]);
                let pools = all.map(|(squadron, _)| squadron.pool.name().to_string()).collect();
                Err(Refusal::Ambiguous { name: name.clone(), pools })
            }
        }
    }
}

impl Squadron {
    /// Drains `member` until the operator says otherwise.
    pub(super) fn drain(&self, member: &Arc<Member>, drain: Drain, force: bool) -> Result<(), Refusal> {
        self.operations.take_out(&self.pool, member, drain, Manner { force, takes_over: true })?;
        self.operations.follow(member);
        Ok(())
    }
}

fn of_backend(member: &Member) -> Begun {
    Begun { pool: member.pool.to_string(), backend: Some(member.name.to_string()), ..Begun::default() }
}

fn seconds_until(deadline: Instant) -> u64 {
    deadline.saturating_duration_since(Instant::now()).as_secs_f64().ceil() as u64
}

/// For the record: what, to which backend, in which pool, as the operator named them.
fn named(order: &Order) -> (&'static str, &str, &str) {
    let (what, backend) = match order {
        Order::Drain { backend, .. } => ("drain", backend),
        Order::Undrain { backend } => ("undrain", backend),
        Order::Restart { backend, .. } => ("restart", backend),
        Order::RollingRestart { pool } => return ("rolling-restart", "", pool),
    };
    (what, &backend.name, backend.pool.as_deref().unwrap_or_default())
}

impl From<Refusal> for OrderRefusal {
    fn from(refusal: Refusal) -> Self {
        let why = refusal.to_string();
        match refusal {
            Refusal::NoBackend(_) | Refusal::NoPool(_) => Self::Unknown(why),
            Refusal::Ambiguous { .. } => Self::Unclear(why),
            Refusal::WouldEmpty { .. }
            | Refusal::NotSupervised(_)
            | Refusal::Dedicated(_)
            | Refusal::Busy(_)
            | Refusal::Stopping => Self::Conflict(why),
        }
    }
}
