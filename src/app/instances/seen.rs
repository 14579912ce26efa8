//! What operators see of instances, and what they may want of them.

use std::{sync::Arc, time::Instant};

use super::{
    Instances,
    household::{Household, Stale},
};
use crate::{
    admin::InstanceStatus,
    app::seen::session_counts,
    route::Phase,
    telemetry::{InstanceState, Label},
};

impl Instances {
    /// Every instance, for `/status`.
    pub(in crate::app) fn status(&self) -> Vec<InstanceStatus> {
        let now = Instant::now();
        let owned = self.households();
        let owned = owned.iter().map(|household| status(household, now));
        owned.chain(self.spares.seen().into_iter().map(spare)).collect()
    }

    /// Counts them by state.
    pub(in crate::app) fn count(&self) {
        let phases: Vec<_> = self.households().iter().map(|household| state(&household.instance.phase())).collect();
        for label in InstanceState::ALL {
            let count = match label {
                InstanceState::Spare => self.spares.seen().len(),
                _ => phases.iter().filter(|phase| **phase == Some(*label)).count(),
            };
            self.metrics().instances.states.get(*label).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Has the one with this backend started again at its next idle point.
    pub(in crate::app) fn renew(&self, backend: &str) {
        if let Some(household) = self.owner(backend) {
            household.record.lock().stale = Some(Stale::Order);
            self.bell.notify_one();
        }
    }

    /// The same for all that run.
    pub(in crate::app) fn renew_all(&self) {
        for household in self.households().iter().filter(|household| household.tenancy().is_some()) {
            household.record.lock().stale = Some(Stale::Order);
        }
        self.bell.notify_one();
    }
}

fn status(household: &Arc<Household>, now: Instant) -> InstanceStatus {
    let (instance, tenancy) = (&household.instance, household.tenancy());
    let phase = instance.phase();
    InstanceStatus {
        owner: Some(instance.who().to_string()),
        phase: phase.as_str().to_owned(),
        backend: tenancy.as_ref().map(|tenancy| tenancy.member.name.to_string()),
        pid: tenancy.and_then(|tenancy| tenancy.supervisor.running().pop()).map(|(_, pid)| pid),
        clients: instance.occupants() as u64,
        sessions: session_counts(household.squadron.registry.census().values()),
        unused_seconds: instance.unused_for(now).as_secs(),
        failures: household.record.lock().failures,
        reason: if let Phase::Failing(trouble) = phase { Some(trouble.message.clone()) } else { None },
    }
}

fn spare((backend, pid): (String, u32)) -> InstanceStatus {
    InstanceStatus {
        owner: None,
        phase: "spare".to_owned(),
        backend: Some(backend),
        pid: Some(pid),
        clients: 0,
        sessions: session_counts(std::iter::empty()),
        unused_seconds: 0,
        failures: 0,
        reason: None,
    }
}

fn state(phase: &Phase) -> Option<InstanceState> {
    Some(match phase {
        Phase::Asleep => return None,
        Phase::Queued => InstanceState::Queued,
        Phase::Starting => InstanceState::Starting,
        Phase::Up => InstanceState::Up,
        Phase::Resting => InstanceState::Resting,
        Phase::Stopping => InstanceState::Stopping,
        Phase::Failing(_) => InstanceState::Failing,
    })
}
