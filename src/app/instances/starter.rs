//! One start of a CLI for an identity.

use std::sync::{Arc, atomic::Ordering};

use super::{
    Instances,
    household::{Household, Tenancy},
};
use crate::{
    app::observer::Observer,
    backend::{probe, probe::ProbeObserver},
    model::{Identity, Secret},
    pool::Member,
    supervise::{SuperviseError, SuperviseSettings, Supervisor},
};

/// Why none was started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// Its settings.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    /// Its home cannot be had.
    #[error("its home cannot be made: {0}")]
    Home(#[from] std::io::Error),
}

impl Instances {
    /// Starts a CLI for `household` in place number `slot`. It is healthy later.
    pub(super) async fn start(&self, household: &Arc<Household>, slot: usize) -> Result<Arc<Tenancy>, StartError> {
        let site = &self.site;
        let settings = self.outfit(household.instance.who()).await?;
        let token = settings.connection_token.clone();
        let name: Arc<str> = format!("{}-{slot}", site.pool).into();
        let member = Member::new(site.pool.clone(), name, 1, None);
        let member = Arc::new(match token {
            Some(token) => member.with_token(token),
            None => member,
        });
        let cancel = household.cancel.child_token();
        let members = vec![member.clone()];
        let observer: Arc<dyn ProbeObserver> = Arc::new(Observer::new(site.metrics.clone(), &members));
        probe::spawn(members.clone(), &Arc::new(self.settings.probe.clone()), &observer, &site.tracker, &cancel);
        let supervisor = Supervisor::start(settings, members, &site.tracker, &household.cancel)?;
        let tenancy = Arc::new(Tenancy { member, supervisor, cancel, ending: false.into() });
        self.watch(&tenancy);
        Ok(tenancy)
    }

    /// What is each one's own: its home and a token that nobody else knows.
    async fn outfit(&self, who: &Identity) -> Result<SuperviseSettings, StartError> {
        let mut settings = self.settings.supervise.clone();
        let random = || uuid::Uuid::new_v4().simple().to_string();
        settings.connection_token = Some(Secret::new(random() + &random()));
        if let Some(home) = &mut settings.copilot_home {
            *home = home.replace("{tenant}", &who.tenant).replace("{user}", who.user.as_deref().unwrap_or_default());
            tokio::fs::create_dir_all(&home).await?;
        }
        Ok(settings)
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
        let metrics = self.site.metrics.backend(&self.site.pool, &tenancy.member.name);
        let restarts = tenancy.member.restarts.load(Ordering::Relaxed);
        metrics.restarts.inc_by(restarts.saturating_sub(metrics.restarts.get()));
        household.set_tenancy(None);
        household.set_place(None);
        self.show();
    }
}
