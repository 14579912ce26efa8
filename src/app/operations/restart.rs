//! Restarts of supervised backends, one at a time.

use std::{sync::Arc, time::Duration};

use super::{
    super::fleet::Squadron, Failure, Kind, Outage, Refusal, Running, Step, admission::check_room, take_out_and_back,
};
use crate::pool::{DrainCause, Member};

/// A process that was started again is healthy by the supervisor's word; the probe's verdict follows at once.
const BACK: Duration = Duration::from_secs(60);

impl Squadron {
    /// Begins the restart of one backend, which serves afterwards. Its number is that of the operation.
    pub(super) fn begin_restart(
        self: &Arc<Self>,
        member: Arc<Member>,
        reason: &str,
        force: bool,
    ) -> Result<u64, Refusal> {
        self.begin(Kind::Restart, vec![member], reason, force, true)
    }

    /// Begins the restart of all, one after the other. What an operator drained is restarted and stays drained.
    pub(super) fn begin_rolling_restart(self: &Arc<Self>, reason: &str) -> Result<u64, Refusal> {
        self.begin(Kind::RollingRestart, self.pool.members().to_vec(), reason, false, false)
    }

    fn begin(
        self: &Arc<Self>,
        kind: Kind,
        members: Vec<Arc<Member>>,
        reason: &str,
        force: bool,
        undrain: bool,
    ) -> Result<u64, Refusal> {
        if self.supervisor.is_none() {
            return Err(Refusal::NotSupervised(self.pool.name().clone()));
        }
        // What would be refused at once is told to whoever asks, not to the log.
        for member in members.iter().filter(|member| !force && !member.is_draining()) {
            check_room(&self.pool, member)?;
        }
        let running = self.operations.begin(kind)?;
        let outage = Outage {
            cause: DrainCause::Restart,
            reason: reason.into(),
            work: Step::Restarting,
            back: BACK,
            force,
            undrain,
        };
        let (squadron, number) = (self.clone(), running.number());
        self.operations.spawn(async move {
            let result = squadron.restart_each(&running, &members, &outage).await;
            running.end(&result);
        });
        Ok(number)
    }

    async fn restart_each(&self, running: &Running, members: &[Arc<Member>], outage: &Outage) -> Result<(), Failure> {
        for member in members {
            let restart = async {
                let supervisor = self.supervisor.as_ref().ok_or(Refusal::NotSupervised(self.pool.name().clone()))?;
                supervisor.restart(&member.name).await.map_err(|error| Failure::Work(error.to_string()))
            };
            take_out_and_back(self, running, member, outage.clone(), restart).await?;
        }
        Ok(())
    }
}
