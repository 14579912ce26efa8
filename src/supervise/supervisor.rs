//! The processes of one pool.

use std::sync::{Arc, atomic::Ordering};

use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    keeper::{Keeper, RESTARTED},
    ports::Ports,
    redact::Redactor,
    settings::{SuperviseError, SuperviseSettings},
    spare::Spare,
};
use crate::pool::{Member, Verdict};

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// Not started, or started again in a moment.
    Waiting,
    /// Started, not healthy yet.
    Starting,
    /// Was healthy since it was started.
    Running,
    /// Being ended.
    Stopping,
    /// Ended for good.
    Stopped,
}

impl ChildState {
    /// The word for it in `/status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// One process, for `/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildStatus {
    /// The member's name.
    pub name: Arc<str>,
    /// Where it is in its life.
    pub state: ChildState,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// The port that it has, or had last.
    pub port: Option<u16>,
    /// How the last one ended.
    pub last_end: Option<String>,
    /// How often it was started again.
    pub restarts: u64,
}

/// The processes of one pool. They end with [`Supervisor::stop_all`], or when the token is cancelled that was given at the start, or
/// when this process ends, however it does.
#[derive(Debug)]
pub struct Supervisor {
    children: Vec<Child>,
    cancel: CancellationToken,
}

#[derive(Debug)]
struct Child {
    member: Arc<Member>,
    status: watch::Receiver<ChildStatus>,
    again: Arc<Notify>,
}

/// Why a process is not running again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestartError {
    /// There is none of this name.
    #[error("no supervised backend is named `{0}`")]
    Unknown(String),
    /// The new one ended. It will be started again, after a pause.
    #[error("it was started again but not healthy: {0}")]
    Ended(String),
    /// All of them are being stopped.
    #[error("all backends are being stopped")]
    Stopped,
}

impl Supervisor {
    /// Starts a process for each member. Needs the members' probes running: their verdicts say whether a process is well.
    /// Cancel `cancel` only after the drain, for it ends the processes.
    pub fn start(
        settings: SuperviseSettings,
        members: impl IntoIterator<Item = Arc<Member>>,
        tracker: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Result<Self, SuperviseError> {
        Self::start_with(settings, members, None, tracker, cancel)
    }

    /// The same; the first member's first process is a spare, if there is one.
    ///
    /// # Errors
    /// The settings make no sense.
    pub fn start_with(
        settings: SuperviseSettings,
        members: impl IntoIterator<Item = Arc<Member>>,
        mut spare: Option<Spare>,
        tracker: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Result<Self, SuperviseError> {
        let members: Vec<_> = members.into_iter().collect();
        settings.check(members.len())?;
        let cancel = cancel.child_token();
        let redactor = Arc::new(Redactor::new(settings.all_secrets()));
        let own = || Ports::new(settings.host, settings.ports.clone());
        let ports = settings.landlord.clone().unwrap_or_else(own);
        let settings = Arc::new(settings);
        let keep = |member: Arc<Member>| {
            let (status, heard) = watch::channel(waiting(&member));
            let again = Arc::new(Notify::new());
            let keeper = Keeper {
                settings: settings.clone(),
                member: member.clone(),
                ports: ports.clone(),
                redactor: redactor.clone(),
                status,
                again: again.clone(),
                tracker: tracker.clone(),
                cancel: cancel.clone(),
                spare: spare.take(),
            };
            tracker.spawn(keeper.run());
            Child { member, status: heard, again }
        };
        let children = members.into_iter().map(keep).collect();
        Ok(Self { children, cancel })
    }

    /// Comes back when every process is healthy. Waits for ever if one never is: put a deadline on it.
    pub async fn all_healthy(&self) {
        for Child { member, .. } in &self.children {
            // The sender lives in the member, so this cannot fail.
            let _ = member.verdicts().wait_for(|verdict| *verdict == Verdict::Up).await;
        }
    }

    /// Ends one process in order (TERM, after the stop timeout KILL) and starts it again at once. Comes back when the new one is
    /// healthy, or has ended as well. Whoever stops waiting for that stops nothing.
    ///
    /// # Errors
    /// The new one is not healthy.
    pub async fn restart(&self, name: &str) -> Result<(), RestartError> {
        let unknown = || RestartError::Unknown(name.to_owned());
        let child = self.children.iter().find(|child| &*child.member.name == name).ok_or_else(unknown)?;
        let before = child.member.restarts.load(Ordering::Relaxed);
        child.again.notify_one();
        let again = || child.member.restarts.load(Ordering::Relaxed) > before;
        let mut status = child.status.clone();
        let over = |status: &ChildStatus| match status.state {
            ChildState::Stopped => true,
            ChildState::Running => again(),
            ChildState::Waiting => again() && status.last_end.as_deref() != Some(RESTARTED),
            ChildState::Starting | ChildState::Stopping => false,
        };
        // An error means that the keeper is gone, and its process with it.
        let status = status.wait_for(over).await.map_err(|_| RestartError::Stopped)?;
        match status.state {
            ChildState::Running => Ok(()),
            ChildState::Waiting => Err(RestartError::Ended(status.last_end.clone().unwrap_or_default())),
            _ => Err(RestartError::Stopped),
        }
    }

    /// Ends all processes, side by side: TERM, after the stop timeout KILL, with everything that they started.
    pub async fn stop_all(&self) {
        self.cancel.cancel();
        for Child { status, .. } in &self.children {
            // An error means that the keeper is gone, and its process with it.
            let _ = status.clone().wait_for(|status| status.state == ChildState::Stopped).await;
        }
    }

    /// The process id of each backend whose process runs.
    pub fn running(&self) -> Vec<(Arc<str>, u32)> {
        self.children.iter().filter_map(|child| Some((child.member.name.clone(), child.status.borrow().pid?))).collect()
    }

    /// Tells of each change of the first process, which may be the only one; `None` if there is none.
    pub fn watch(&self) -> Option<watch::Receiver<ChildStatus>> {
        self.children.first().map(|child| child.status.clone())
    }

    /// Every process as it is now.
    pub fn status(&self) -> Vec<ChildStatus> {
        let now = |Child { member, status, .. }: &Child| {
            let restarts = member.restarts.load(Ordering::Relaxed);
            ChildStatus { restarts, ..status.borrow().clone() }
        };
        self.children.iter().map(now).collect()
    }
}

fn waiting(member: &Member) -> ChildStatus {
    let name = member.name.clone();
    ChildStatus { name, state: ChildState::Waiting, pid: None, port: None, last_end: None, restarts: 0 }
}
