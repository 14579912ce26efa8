//! One backend taken out, worked on, and taken back.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::time;

use super::{
    super::fleet::Squadron,
    Failure, Running, Step,
    admission::{Manner, another_serves},
};
use crate::pool::{Drain, DrainCause, Member, Verdict};

/// Between two looks at the counts of a backend that is drained.
const LOOK: Duration = Duration::from_millis(50);

/// How a backend is taken out.
#[derive(Clone, Debug)]
pub(in crate::app) struct Outage {
    /// Who takes it out.
    pub cause: DrainCause,
    /// Why, in the words of whoever wants it.
    pub reason: Arc<str>,
    /// What the work on it is called.
    pub work: Step,
    /// How long it may take to be healthy after the work.
    pub back: Duration,
    /// Even if nobody else takes sessions.
    pub force: bool,
    /// Takes over a drain that there is, so that it serves afterwards also if an operator had drained it before.
    pub undrain: bool,
}

/// After the deadline turns are aborted, and their sessions go: that takes a moment.
const LAST_TURNS: Duration = Duration::from_secs(8);

/// Waits until nothing is left on `member` (`true`), or until `deadline` or the end of its drain (`false`).
pub(in crate::app) async fn drained(member: &Arc<Member>, deadline: Instant) -> bool {
    emptied(member, deadline, Member::is_drained).await
}

async fn emptied(member: &Arc<Member>, deadline: Instant, is_empty: impl Fn(&Member) -> bool) -> bool {
    let left = async {
        while member.is_draining() && !is_empty(member) {
            time::sleep(LOOK).await;
        }
        member.is_draining()
    };
    time::timeout_at(deadline.into(), left).await.unwrap_or(false)
}

/// Drains `member`, waits until it is empty or the drain's deadline has passed, does `work`, waits until it is healthy, and lets
/// it serve again. Comes back with whether the deadline passed. However it ends, the drain that was begun here is lifted
/// (of a backend that is not healthy nobody expects anything: it is down).
///
/// `work` begins when it is polled, so pass a future, not a task.
pub(in crate::app) async fn take_out_and_back(
    squadron: &Squadron,
    running: &Running,
    member: &Arc<Member>,
    outage: Outage,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<bool, Failure> {
    let operations = &squadron.operations;
    let Outage { cause, reason, work: what, back, force, undrain } = outage;
    let manner = Manner { force, takes_over: undrain };
    running.step(&member.name, Step::Draining);
    let timeout = operations.settings.drain_timeout;
    operations.take_out(&squadron.pool, member, Drain::begin(cause, reason, Some(timeout)), manner)?;
    let _lift = Lift { squadron, member, cause };

    let late = !quiet(squadron, member, Instant::now() + timeout + LAST_TURNS).await;
    if !member.is_draining() {
        return Err(Failure::Undrained);
    }
    if late {
        tell_late(member);
    }
    running.step(&member.name, what);
    work.await?;
    running.step(&member.name, Step::Returning);
    let mut verdicts = member.verdicts();
    // The sender lives in the member, which we hold: only the time can run out.
    let healthy = time::timeout(back, verdicts.wait_for(|verdict| *verdict == Verdict::Up)).await;
    healthy.map_err(|_| Failure::NotBack(back)).map(drop)?;
    running.backend_done(late);
    Ok(late)
}

/// Waits until the work on a drained backend hurts nobody: nothing is left on it; or, where its sessions have nowhere to go, no turn runs.
async fn quiet(squadron: &Squadron, member: &Arc<Member>, deadline: Instant) -> bool {
    let stay = squadron.operations.settings.sessions_stay || !another_serves(&squadron.pool, member);
    if stay {
        return emptied(member, deadline, |member| member.turns.load(Ordering::Acquire) <= 0).await;
    }
    drained(member, deadline).await
}

/// What is left goes the way of sessions whose backend is lost, or stays.
pub(super) fn tell_late(member: &Member) {
    let sessions = member.sessions.load(Ordering::Relaxed);
    tracing::warn!(pool = %member.pool, backend = %member.name, sessions, "drain deadline passed");
}

/// Ends the operation's drain on every way out.
struct Lift<'a> {
    squadron: &'a Squadron,
    member: &'a Member,
    cause: DrainCause,
}

impl Drop for Lift<'_> {
    fn drop(&mut self) {
        self.squadron.operations.lift(self.member, self.cause);
    }
}
