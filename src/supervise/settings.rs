//! What can be set on a supervised pool.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::ports::Ports;
use crate::model::Secret;

/// The value of an environment variable.
#[derive(Clone, Debug)]
pub enum EnvValue {
    /// May be seen by anybody; `{port}` and `{name}` are filled in.
    Plain(String),
    /// Passed on as it is, and struck out of the output.
    Secret(Secret),
}

/// As whom a CLI runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its user.
    pub uid: u32,
    /// Its group, and its only one.
    pub gid: u32,
}

/// What one CLI may use, with all that it starts. What is not set has no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Bytes of memory, by a control group.
    pub memory: Option<u64>,
    /// Processors, by a control group.
    pub cpu: Option<f64>,
    /// Processes and threads, by a control group.
    pub pids: Option<u32>,
    /// The control group below which its own is made. Without it these three have no effect.
    pub cgroup: Option<PathBuf>,
    /// Open files of a process.
    pub open_files: Option<u64>,
    /// Bytes of the largest file that a process may write.
    pub file_size: Option<u64>,
    /// Processes and threads of its user.
    pub processes: Option<u64>,
}

impl Limits {
    /// Whether any of them is one of a control group.
    pub(super) fn needs_group(&self) -> bool {
        self.memory.is_some() || self.cpu.is_some() || self.pids.is_some()
    }
}

/// How the CLIs of one pool are run.
#[derive(Clone, Debug)]
pub struct SuperviseSettings {
    /// The program and its arguments; `{port}` and `{name}` are filled in.
    pub command: Vec<String>,
    /// Added to our own environment.
    pub env: Vec<(String, EnvValue)>,
    /// Variables of our own environment that the CLIs do not get: those that our secrets came in. An agent
    /// can run `env`.
    pub withhold_env: Vec<String>,
    /// Where they run; ours if not given.
    pub working_dir: Option<PathBuf>,
    /// Their `COPILOT_HOME`; `{name}` is filled in, which gives each its own.
    pub copilot_home: Option<String>,
    /// Becomes `COPILOT_CONNECTION_TOKEN`.
    pub connection_token: Option<Secret>,
    /// More that is struck out of the output.
    pub secrets: Vec<Secret>,
    /// The address that they listen on.
    pub host: IpAddr,
    /// The ports that they get; `0..=0` for any free one.
    pub ports: RangeInclusive<u16>,
    /// From the start of a process until its health is good; then it is started again.
    pub start_timeout: Duration,
    /// How long a running process may look down before it is started again.
    pub unresponsive_timeout: Duration,
    /// From TERM to KILL.
    pub stop_timeout: Duration,
    /// The first pause before a restart; each later one is twice as long.
    pub backoff_first: Duration,
    /// The longest pause before a restart.
    pub backoff_max: Duration,
    /// Healthy for this long, and the next pause is the first one again.
    pub stable_after: Duration,
    /// Lines of output a second that are logged; what is more is counted.
    pub output_lines_per_second: u32,
    /// As whom they run; as we do if not given.
    pub credentials: Option<Credentials>,
    /// Nothing that they start can become another user.
    pub sealed: bool,
    /// What each may use.
    pub limits: Limits,
    /// A folder in which only one of them may live at a time, whichever pilotfish starts it.
    pub lock: Option<PathBuf>,
    /// They are not told their token before it is sure that they are the ones that listen on their ports. Not for commands whose
    /// process is not the one that listens.
    pub private: bool,
    /// Who gives the ports, where several supervisors share `ports`.
    pub landlord: Option<Arc<Ports>>,
    /// The program of the guard, and the arguments before the command.
    pub guard: Vec<OsString>,
}

impl Default for SuperviseSettings {
    /// `/proc/self/exe` is the program that runs, even after its file was replaced by an update.
    fn default() -> Self {
        Self {
            command: ["copilot", "--headless", "--no-auto-update", "--port", "{port}"].map(String::from).to_vec(),
            env: Vec::new(),
            withhold_env: Vec::new(),
            working_dir: None,
            copilot_home: None,
            connection_token: None,
            secrets: Vec::new(),
            host: Ipv4Addr::LOCALHOST.into(),
            ports: 0..=0,
            start_timeout: Duration::from_secs(60),
            unresponsive_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(5),
            backoff_first: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            stable_after: Duration::from_secs(60),
            output_lines_per_second: 100,
            credentials: None,
            sealed: false,
            limits: Limits::default(),
            lock: None,
            private: false,
            landlord: None,
            guard: ["/proc/self/exe", "guard", "--"].map(OsString::from).to_vec(),
        }
    }
}

impl SuperviseSettings {
    /// Everything that must not be in a log.
    pub(super) fn all_secrets(&self) -> impl Iterator<Item = &Secret> {
        let from_env = self.env.iter().filter_map(|(_, value)| match value {
            EnvValue::Secret(secret) => Some(secret),
            EnvValue::Plain(_) => None,
        });
        from_env.chain(&self.connection_token).chain(&self.secrets)
    }

    /// The settings make sense for `members` processes.
    pub(super) fn check(&self, members: usize) -> Result<(), SuperviseError> {
        if self.command.is_empty() {
            return Err(SuperviseError::NoCommand);
        }
        if self.guard.is_empty() {
            return Err(SuperviseError::NoGuard);
        }
        let (first, last) = (*self.ports.start(), *self.ports.end());
        if first != 0 && self.ports.len() < members {
            return Err(SuperviseError::FewPorts { first, last, needed: members });
        }
        Ok(())
    }
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SuperviseError {
    /// There is nothing to run.
    #[error("the command is empty")]
    NoCommand,
    /// There is nothing to guard with.
    #[error("the guard's command is empty")]
    NoGuard,
    /// Each process needs its own.
    #[error("the ports {first} to {last} are too few for {needed} processes")]
    FewPorts {
        /// The first of the range.
        first: u16,
        /// The last of the range.
        last: u16,
        /// As many as there are processes.
        needed: usize,
    },
}
