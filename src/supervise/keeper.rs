//! The task that keeps one member's process alive.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustix::process::Pid;
use tokio::{
    net::TcpStream,
    process::{ChildStderr, ChildStdout},
    sync::{Notify, watch},
    task::JoinHandle,
    time::{self, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    backoff::Backoff,
    listener,
    output::{self, Origin},
    ports::{PortLease, Ports},
    process::Process,
    redact::Redactor,
    settings::SuperviseSettings,
    spare::{Adopted, Spare},
    supervisor::{ChildState, ChildStatus},
};
use crate::pool::{Member, Verdict};

/// Between two looks whether a process that was started listens by now.
const LISTEN_STEP: Duration = Duration::from_millis(10);
/// While it listens and its health is not good yet, its probe is asked to look again.
const PROBE_STEP: Duration = Duration::from_secs(1);
/// After the end of a process, for the rest of its output.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The last end of one that was ended to be started again.
pub(super) const RESTARTED: &str = "restarted";

/// Why a process is no longer there.
#[derive(Debug)]
enum End {
    /// It could not be started.
    NotStarted(String),
    /// It ended by itself.
    Died(String),
    /// We ended it, because its health was not good in time.
    Sick(&'static str),
    /// We ended it to start it again, because we were asked to.
    Restarted,
    /// We ended it for good.
    Stopped,
}

pub(super) struct Keeper {
    pub(super) settings: Arc<SuperviseSettings>,
    pub(super) member: Arc<Member>,
    pub(super) ports: Arc<Ports>,
    pub(super) redactor: Arc<Redactor>,
    pub(super) status: watch::Sender<ChildStatus>,
    /// Asks for a restart.
    pub(super) again: Arc<Notify>,
    pub(super) tracker: TaskTracker,
    pub(super) cancel: CancellationToken,
    /// Its first process has been started already, and waits for its identity.
    pub(super) spare: Option<Spare>,
}

impl Keeper {
    /// Until `cancel`: starts the process, watches it, starts it again.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(self.settings.backoff_first, self.settings.backoff_max);
        while !self.cancel.is_cancelled() {
            let spare = self.spare.take();
            let end = self.life(spare, &mut backoff).await;
            self.member.set_address(None);
            self.member.suspect.notify_one();
            self.note(&end);
            if self.cancel.is_cancelled() {
                break;
            }
            if !matches!(end, End::Restarted) && !self.rests(&mut backoff).await {
                break;
            }
            // In this order: whoever sees the count grown does not take the end before for the end of the new one.
            self.status.send_modify(|status| status.state = ChildState::Starting);
            self.member.restarts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        self.status.send_modify(|status| status.state = ChildState::Stopped);
    }

    /// The pause before a start; whoever asks for a restart cuts it short. `false` if all ends meanwhile.
    async fn rests(&self, backoff: &mut Backoff) -> bool {
        let pause = backoff.pause(uuid::Uuid::new_v4().as_u64_pair().1);
        tokio::select! {
            () = self.cancel.cancelled() => false,
            () = self.again.notified() => true,
            () = time::sleep(pause) => true,
        }
    }

    /// One process from its start to its end.
    async fn life(&self, spare: Option<Spare>, backoff: &mut Backoff) -> End {
        let (mut process, stdout, stderr, lease) = match self.begin(spare).await {
            Ok(begun) => begun,
            Err(end) => return end,
        };
        self.announce(&process, &lease);
        let silence = CancellationToken::new();
        let output = self.log_output(stdout, stderr, &silence);

        let (mut healthy_since, pid) = (None, process.pid);
        let end = tokio::select! {
            () = self.cancel.cancelled() => End::Stopped,
            () = self.again.notified() => End::Restarted,
            exit = process.ended() => End::Died(exit.to_string()),
            why = self.sickness((pid, lease.port), &mut healthy_since) => End::Sick(why),
        };
        if !matches!(end, End::Died(_)) {
            if matches!(end, End::Restarted) {
                tracing::info!(pool = %self.member.pool, backend = %self.member.name, "supervised backend is stopped to be started again");
            }
            self.status.send_modify(|status| status.state = ChildState::Stopping);
            process.stop(self.settings.stop_timeout).await;
        }
        if healthy_since.is_some_and(|since: Instant| since.elapsed() >= self.settings.stable_after) {
            backoff.reset();
        }
        let _ = time::timeout(LAST_WORDS, async {
            for task in output {
                // It can only fail by a panic, and then there is nothing to wait for.
                let _ = task.await;
            }
        })
        .await;
        silence.cancel();
        end
    }

    /// A process that waited for its identity, or else a new one.
    async fn begin(&self, spare: Option<Spare>) -> Result<Adopted, End> {
        if let Some(spare) = spare {
            match spare.adopt(&self.settings).await {
                Ok(adopted) => return Ok(adopted),
                Err(error) => {
                    tracing::warn!(pool = %self.member.pool, backend = %self.member.name, reason = %error, "a spare could not be used");
                }
            }
        }
        let lease = self.ports.lease(self.status.borrow().port);
        let lease = lease.ok_or_else(|| End::NotStarted("no free port".into()))?;
        let spawned = Process::spawn(&self.settings, &self.member.name, lease.port).await;
        let (process, stdout, stderr) = spawned.map_err(|error| End::NotStarted(error.to_string()))?;
        Ok((process, stdout, stderr, lease))
    }

    /// Comes back when the process has to be started again: it was not healthy in time, or it is so no longer.
    async fn sickness(&self, place: (Pid, u16), healthy_since: &mut Option<Instant>) -> &'static str {
        if time::timeout(self.settings.start_timeout, self.becoming_healthy(place)).await.is_err() {
            return "not healthy in time";
        }
        *healthy_since = Some(Instant::now());
        self.status.send_modify(|status| status.state = ChildState::Running);
        tracing::info!(pool = %self.member.pool, backend = %self.member.name, "supervised backend is healthy");
        let mut verdicts = self.member.verdicts();
        loop {
            // The sender lives in the member, which we hold: neither wait can fail.
            let _ = verdicts.wait_for(|verdict| *verdict == Verdict::Down).await;
            let recovered = verdicts.wait_for(|verdict| *verdict == Verdict::Up);
            if time::timeout(self.settings.unresponsive_timeout, recovered).await.is_err() {
                return "unresponsive";
            }
        }
    }

    /// Until it listens nobody is told its address: a client that dials too early would only be refused. Then the probe
    /// has the word.
    async fn becoming_healthy(&self, (pid, port): (Pid, u16)) {
        let address = SocketAddr::new(self.settings.host, port);
        while TcpStream::connect(address).await.is_err() || self.is_a_strangers(pid, port) {
            time::sleep(LISTEN_STEP).await;
        }
        let mut verdicts = self.member.verdicts();
        // The word on an earlier process says nothing of this one. It is taken back soon, for there is no address.
        let _ = verdicts.wait_for(|verdict| *verdict != Verdict::Up).await;
        self.member.set_address(Some(address.into()));
        loop {
            self.member.suspect.notify_one();
            let up = verdicts.wait_for(|verdict| *verdict == Verdict::Up);
            if time::timeout(PROBE_STEP, up).await.is_ok() {
                return;
            }
        }
    }

    /// Whether somebody else listens on its port; then it will end soon, for it cannot listen there. Only where our word to it is a secret of
    /// its own.
    fn is_a_strangers(&self, pid: Pid, port: u16) -> bool {
        self.settings.private && listener::listens(pid, port) == Some(false)
    }

    fn log_output(&self, stdout: ChildStdout, stderr: ChildStderr, silence: &CancellationToken) -> [JoinHandle<()>; 2] {
        let origin = |stream| Origin { pool: self.member.pool.clone(), backend: self.member.name.clone(), stream };
        let rate = self.settings.output_lines_per_second;
        let out = output::log(stdout, origin("stdout"), self.redactor.clone(), rate, silence.clone());
        let err = output::log(stderr, origin("stderr"), self.redactor.clone(), rate, silence.clone());
        [self.tracker.spawn(out), self.tracker.spawn(err)]
    }

    fn announce(&self, process: &Process, lease: &PortLease) {
        let (pid, port) = (process.pid.as_raw_pid().cast_unsigned(), lease.port);
        tracing::info!(pool = %self.member.pool, backend = %self.member.name, pid, port, "supervised backend started");
        self.status.send_modify(|status| {
            status.state = ChildState::Starting;
            status.pid = Some(pid);
            status.port = Some(port);
        });
    }

    fn note(&self, end: &End) {
        let (pool, backend) = (&self.member.pool, &self.member.name);
        let last_end = match end {
            End::NotStarted(why) => format!("not started: {why}"),
            End::Died(how) => how.clone(),
            End::Sick(why) => (*why).into(),
            End::Restarted => RESTARTED.into(),
            End::Stopped => "stopped".into(),
        };
        match end {
            End::Stopped | End::Restarted => tracing::info!(%pool, %backend, "supervised backend stopped"),
            _ => {
                tracing::warn!(%pool, %backend, reason = %last_end, "supervised backend ended; it will be started again")
            }
        }
        self.status.send_modify(|status| {
            status.state = ChildState::Waiting;
            status.pid = None;
            status.last_end = Some(last_end);
        });
    }
}
