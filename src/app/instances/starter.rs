//! One start of a CLI for an identity.

use std::sync::Arc;

use super::{
    Instances,
    household::{Household, Tenancy},
    outfit::connection_token,
};
use crate::{
    app::observer::Observer,
    backend::{probe, probe::ProbeObserver},
    pool::Member,
    supervise::{OutfitError, Spare, SuperviseError, SuperviseSettings, Supervisor},
};

/// Why none was started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// Its settings.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    /// What it would be given cannot be had.
    #[error(transparent)]
    Outfit(#[from] OutfitError),
}

impl Instances {
    /// Starts a CLI for `household` in place number `slot`. It is healthy later.
    pub(super) async fn start(
        &self,
        household: &Arc<Household>,
        slot: usize,
        spare: Option<Spare>,
    ) -> Result<Arc<Tenancy>, StartError> {
        let site = &self.site;
        let token = connection_token();
        let kit = self.outfitter.kit(household.instance.who()).await?;
        let print = kit.print();
        let connection_token = Some(token.clone());
        let settings = kit.dress(SuperviseSettings { connection_token, ..self.settings.supervise.clone() });
        let name: Arc<str> = format!("{}-{slot}", site.pool).into();
        let member = Arc::new(Member::new(site.pool.clone(), name, 1, None).with_token(token));
        let cancel = household.cancel.child_token();
        let members = vec![member.clone()];
        let observer: Arc<dyn ProbeObserver> = Arc::new(Observer::new(site.metrics.clone()));
        probe::spawn(members.clone(), &Arc::new(self.settings.probe.clone()), &observer, &site.tracker, &cancel);
        let supervisor = Supervisor::start_with(settings, members, spare, &site.tracker, &household.cancel)?;
        let tenancy = Arc::new(Tenancy { member, supervisor, cancel, print, ending: false.into() });
        self.watch(&tenancy);
        Ok(tenancy)
    }

    /// The steward looks when the process or its health changes.
    fn watch(&self, tenancy: &Tenancy) {
        let (bell, mut verdicts) = (self.bell.clone(), tenancy.member.verdicts());
        let Some(mut status) = tenancy.supervisor.watch() else { return };
        let watch = async move {
            loop {
                let heard = tokio::select! {
                    heard = verdicts.changed() => heard,
                    heard = status.changed() => heard,
                };
                bell.notify_one();
                if heard.is_err() {
                    return;
                }
            }
        };
        self.site.tracker.spawn(tenancy.cancel.clone().run_until_cancelled_owned(watch));
    }

    /// Stops the CLI of `household`, and empties its place.
    pub(super) async fn end(&self, household: &Household, tenancy: &Tenancy) {
        tenancy.supervisor.stop_all().await;
        tenancy.cancel.cancel();
        household.set_tenancy(None);
        self.show();
        // Its place is nobody's now: what was counted there says nothing of the next one.
        self.site.metrics.forget_backend(&self.site.pool, &tenancy.member.name);
        household.set_place(None);
    }
}
