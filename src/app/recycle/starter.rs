//! Who starts a backend again.

use std::time::{Duration, Instant};

use tokio::time;

use super::BACK;
use crate::{
    app::{fleet::Squadron, operations::Failure},
    health::Due,
    pool::Member,
    supervise::{Hook, HookCall},
};

/// Between two looks at the last check.
const LOOK: Duration = Duration::from_millis(50);

/// Starts the backend again: the supervisor if it is ours, otherwise the operator's command. Comes back when a check of the new
/// one was good.
pub(super) async fn start_again(
    squadron: &Squadron,
    hook: Option<&Hook>,
    member: &Member,
    due: Due,
) -> Result<(), Failure> {
    if let Some(supervisor) = &squadron.supervisor {
        return supervisor.restart(&member.name).await.map_err(|error| Failure::Work(error.to_string()));
    }
    // The config is refused if neither is there.
    let Some(hook) = hook else { return Err(Failure::Work("there is no on_recycle".into())) };
    let call = HookCall {
        pool: member.pool.clone(),
        backend: member.name.clone(),
        address: member.address().map(|address| address.to_string()).unwrap_or_default(),
        reason: due.as_str(),
    };
    hook.run(&call).await.map_err(|error| Failure::Work(error.to_string()))?;
    // It may have been so fast that no check found the port closed.
    let again = Instant::now();
    member.life.end();
    time::timeout(BACK, checked_since(member, again)).await.map_err(|_| Failure::NotBack(BACK))?;
    member.start_slowly(Instant::now());
    Ok(())
}

/// What was found of the process before says nothing.
async fn checked_since(member: &Member, moment: Instant) {
    member.suspect.notify_one();
    while member.life.lived().is_none_or(|lived| lived.began < moment) {
        time::sleep(LOOK).await;
    }
}
