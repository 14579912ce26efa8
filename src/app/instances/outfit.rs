//! What each is given: from the config, at its start, and when its token changes.

use std::{sync::Arc, time::Duration};

use super::{
    Instances,
    household::{Household, Stale, Tenancy},
};
use crate::{
    config,
    model::Secret,
    supervise::{Limits, OutfitSettings, TokenSource},
};

/// How the identities of a pool are outfitted.
pub(in crate::app) fn settings(set: &config::Instances, supervised: &config::Supervise) -> OutfitSettings {
    if set.uid_range.is_some() && !rustix::process::geteuid().is_root() {
        tracing::warn!(
            "uid_range needs root, and pilotfish does not run as root: every client of this pool will be refused"
        );
    }
    OutfitSettings {
        home: supervised.home.as_ref().map(|home| home.as_str().to_owned()).unwrap_or_default(),
        token: source(set),
        token_required: set.token_required,
        token_timeout: set.token_timeout,
        uids: set.uid_range.map(|range| range.first..=range.last),
        gid: set.gid,
        limits: limits(&set.limits),
        program: supervised.command.first().cloned().unwrap_or_default(),
    }
}

fn source(set: &config::Instances) -> TokenSource {
    if let Some(file) = &set.token_file {
        return TokenSource::File(file.as_str().to_owned());
    }
    if let Some(command) = &set.token_command {
        return TokenSource::Command(command.clone());
    }
    let read = |(who, variable): (&String, &String)| match std::env::var(variable) {
        Ok(token) if !token.is_empty() => Some((who.clone(), Secret::new(token))),
        _ => {
            tracing::warn!(tenant = who, variable, "the variable of token_env is not set: no GitHub token");
            None
        }
    };
    match set.token_env.iter().filter_map(read).collect() {
        TokenSource::Given(tokens) if tokens.is_empty() && set.token_env.is_empty() => TokenSource::None,
        given => given,
    }
}

fn limits(set: &config::InstanceLimits) -> Limits {
    Limits {
        memory: set.memory.map(|bytes| bytes as u64),
        cpu: set.cpu,
        pids: set.pids,
        cgroup: set.cgroup.clone(),
        open_files: set.open_files.map(Into::into),
        file_size: set.file_size.map(|bytes| bytes as u64),
        processes: set.processes.map(Into::into),
    }
}

/// A token that nobody else knows.
pub(super) fn connection_token() -> Secret {
    let random = || uuid::Uuid::new_v4().simple().to_string();
    Secret::new(random() + &random())
}

impl Instances {
    /// Looks every now and then whether a token has changed. The steward starts its CLI again when nothing of it runs.
    pub(super) async fn watch_tokens(self: Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            for household in self.households() {
                if let Some(tenancy) = household.tenancy() {
                    self.compare(&household, &tenancy).await;
                }
            }
        }
    }

    async fn compare(&self, household: &Household, tenancy: &Tenancy) {
        let who = household.who();
        match self.outfitter.print(who).await {
            Ok(now) if now != tenancy.print => {
                let mut record = household.record.lock();
                if record.stale.is_none() {
                    tracing::info!(pool = %self.site.pool, tenant = %who, "the GitHub token has changed");
                    record.stale = Some(Stale::Token);
                }
            }
            Ok(_) => return,
            // The old one may be as good as before.
            Err(error) => {
                tracing::warn!(pool = %self.site.pool, tenant = %who, reason = %error, "the GitHub token cannot be looked at");
                return;
            }
        }
        self.bell.notify_one();
    }
}
