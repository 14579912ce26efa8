//! The task that watches one backend: one kept connection, a `ping` at intervals, a verdict.

use std::{future, ops::RangeInclusive, sync::Arc, time::Duration};

use tokio::time::{self, Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Dialer, Finding, probe_link::ProbeLink};
use crate::{
    health::{self, Checker, Thresholds, Verdict},
    model::Secret,
    pool::{LastCheck, Member},
};

/// How a pool's backends are watched.
#[derive(Clone, Debug)]
pub struct ProbeSettings {
    /// How they are reached.
    pub dialer: Dialer,
    /// From the start of one check to the start of the next, at most.
    pub interval: Duration,
    /// Checks of several proxies drift apart by up to this part of the interval.
    pub jitter: f64,
    /// For each answer.
    pub timeout: Duration,
    /// For a connection to be accepted.
    pub connect_timeout: Duration,
    /// Checks in a row that change the verdict.
    pub thresholds: Thresholds,
    /// Between the end of one check and the next one that a suspicion asks for, at least: a backend that
    /// resets a thousand links at once is asked twice a second, not a thousand times.
    pub suspect_gap: Duration,
    /// The versions of the protocol that the pool's clients can speak.
    pub protocol: RangeInclusive<u32>,
    /// The backend's own token, for `connect`.
    pub token: Option<Secret>,
}

impl Default for ProbeSettings {
    /// Protocol 2 to 3: SDK 1.0.14 speaks 3 only, earlier ones 2.
    fn default() -> Self {
        Self {
            dialer: Dialer::default(),
            interval: Duration::from_secs(5),
            jitter: 0.2,
            timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            thresholds: Thresholds::default(),
            suspect_gap: Duration::from_millis(500),
            protocol: 2..=3,
            token: None,
        }
    }
}

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeOutcome {
    /// Whether the backend answered as it should.
    pub ok: bool,
    /// [`Finding::as_str`].
    pub reason: &'static str,
    /// How long it took.
    pub took: Duration,
}

/// Who hears of checks: metrics and logs. Called from the probe's task, so it must not block.
pub trait ProbeObserver: Send + Sync {
    /// A check ended.
    fn probed(&self, member: &Member, outcome: &ProbeOutcome);
    /// The verdict changed.
    fn changed(&self, member: &Member, from: Verdict, to: Verdict, reason: &'static str);
}

/// Starts one task for each member. They end when `cancel` is cancelled.
pub fn spawn(
    members: impl IntoIterator<Item = Arc<Member>>,
    settings: &Arc<ProbeSettings>,
    observer: &Arc<dyn ProbeObserver>,
    tracker: &TaskTracker,
    cancel: &CancellationToken,
) {
    for member in members {
        tracker.spawn(watch(member, settings.clone(), observer.clone(), cancel.clone()));
    }
}

/// Watches one backend until `cancel` is cancelled: the task's body.
pub async fn watch(
    member: Arc<Member>,
    settings: Arc<ProbeSettings>,
    observer: Arc<dyn ProbeObserver>,
    cancel: CancellationToken,
) {
    let checker = Checker::new(settings.thresholds);
    let incarnation = member.incarnation();
    let mut probe = Probe { member, settings, observer, checker, link: None, incarnation };
    cancel.run_until_cancelled_owned(probe.run()).await;
}

struct Probe {
    member: Arc<Member>,
    settings: Arc<ProbeSettings>,
    observer: Arc<dyn ProbeObserver>,
    checker: Checker,
    link: Option<ProbeLink>,
    incarnation: u64,
}

impl Probe {
    async fn run(&mut self) {
        loop {
            let started = Instant::now();
            let finding = self.check().await;
            let ended = Instant::now();
            self.report(finding, ended, ended - started);
            self.wait(started, ended).await;
        }
    }

    /// Until the next check is due, or a suspicion asks for one: then it starts with a new dial, for an old
    /// connection may well live on after the listener has died.
    async fn wait(&mut self, started: Instant, ended: Instant) {
        let random = uuid::Uuid::new_v4().as_u64_pair().1;
        let due = started + health::jittered(self.settings.interval, self.settings.jitter, random);
        tokio::select! {
            () = time::sleep_until(due) => return,
            () = self.member.suspect.notified() => {}
            _ = ended_of(&mut self.link) => {}
        }
        self.link = None;
        // Of a new process nothing is known, and nobody has asked it anything yet.
        if self.member.incarnation() != self.incarnation {
            return;
        }
        time::sleep_until((ended + self.settings.suspect_gap).min(due)).await;
    }

    async fn check(&mut self) -> Finding {
        let incarnation = self.member.incarnation();
        if incarnation != self.incarnation {
            self.incarnation = incarnation;
            self.link = None;
            self.checker.forget();
        }
        match self.examine().await {
            Ok(()) => Finding::Ok,
            Err(finding) => {
                self.link = None;
                finding
            }
        }
    }

    async fn examine(&mut self) -> Result<(), Finding> {
        // One that has been silent for a whole timeout already is given no more than an interval from now on: this way a
        // hung backend is down after interval x fall + timeout even where the timeout is the longer of the two.
        let doubted = self.checker.is_doubted();
        let timeout = if doubted { self.settings.timeout.min(self.settings.interval) } else { self.settings.timeout };
        if let Some(link) = &mut self.link {
            return time::timeout(timeout, link.ping()).await.map_err(|_| Finding::Timeout)?;
        }
        let mut link = ProbeLink::dial(&self.settings.dialer, &self.member, self.settings.connect_timeout).await?;
        let greeting = time::timeout(timeout, link.greet(self.member.token(self.settings.token.as_ref()))).await;
        let identity = greeting.map_err(|_| Finding::Timeout)??;
        let spoken = self.settings.protocol.contains(&identity.protocol_version);
        self.member.identity.store(Some(Arc::new(identity)));
        if !spoken {
            return Err(Finding::Protocol);
        }
        self.link = Some(link);
        Ok(())
    }

    fn report(&mut self, finding: Finding, ended: Instant, took: Duration) {
        let reason = finding.as_str();
        let ended = ended.into_std();
        self.member.last_check.store(Some(Arc::new(LastCheck { at: ended, reason, took })));
        match finding {
            Finding::Ok => self.member.life.checked(self.incarnation, took, ended),
            // Whoever listened there has ended.
            Finding::Refused | Finding::NoAddress => self.member.life.end(),
            _ => {}
        }
        self.observer.probed(&self.member, &ProbeOutcome { ok: finding == Finding::Ok, reason, took });
        if finding == Finding::NoAddress && self.checker.verdict() == Verdict::Unknown {
            // Not started or not resolved yet: nothing was asked, so nothing is known.
            return;
        }
        let Some(change) = self.checker.on_result(ended, finding.outcome()) else { return };
        let from = self.member.set_verdict_at(change.to, ended);
        if from != change.to {
            self.observer.changed(&self.member, from, change.to, reason);
        }
    }
}

/// The end of the kept connection; never without one.
async fn ended_of(link: &mut Option<ProbeLink>) -> Finding {
    match link {
        Some(link) => link.ended().await,
        None => future::pending().await,
    }
}
