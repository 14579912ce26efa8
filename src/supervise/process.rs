//! One CLI as we see it: its guard, and the socket that holds the guard's life.

use std::{
    fmt, io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream as StdStream, process::ExitStatusExt},
    },
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    process::{Child, ChildStderr, ChildStdout, Command},
    time,
};

use super::{
    guard::Orders,
    settings::{EnvValue, SuperviseSettings},
};

/// The guard tells the CLI's process id at once, or something is wrong with it.
/// It may have to wait until the one before has ended, which has its own grace.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// What a guard may take beyond the grace to sweep up.
const SWEEP_TIME: Duration = Duration::from_secs(12);

/// How a CLI ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // As a shell says it, and as the guard passes it on.
            Self::Code(code @ 129..) => write!(f, "signal {}", code - 128),
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "guard killed by signal {signal}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// A running CLI. Dropping it closes the socket, which makes the guard end it.
#[derive(Debug)]
pub(super) struct Process {
    guard: Child,
    control: Option<BufReader<UnixStream>>,
    /// The CLI's process, and the group that it leads.
    pub(super) pid: Pid,
}

impl Process {
    /// Starts the guard, which starts the CLI, and waits for the CLI's process id.
    pub(super) async fn spawn(
        settings: &SuperviseSettings,
        name: &str,
        port: u16,
    ) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        Self::begin(settings, name, port, orders(settings)).await
    }

    /// The same for one that waits for its identity: nobody's limits, user or home.
    pub(super) async fn spawn_spare(
        settings: &SuperviseSettings,
        name: &str,
        port: u16,
    ) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        let (grace, sealed) = (settings.stop_timeout, settings.sealed);
        Self::begin(settings, name, port, Orders { grace, sealed, spare: true, ..Orders::default() }).await
    }

    async fn begin(
        settings: &SuperviseSettings,
        name: &str,
        port: u16,
        orders: Orders,
    ) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut control = BufReader::new(UnixStream::from_std(ours)?);
        let mut guard = command(settings, name, port, &orders, theirs.into())?.spawn()?;
        let (Some(stdout), Some(stderr)) = (guard.stdout.take(), guard.stderr.take()) else {
            return Err(io::Error::other("the guard has no output"));
        };
        let pid = time::timeout(settings.stop_timeout + GREETING_TIMEOUT, greeting(&mut control))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
        Ok((Self { guard, control: Some(control), pid }, stdout, stderr))
    }

    /// The next word of the guard. Not to be called again after it was dropped: a part of the word is lost.
    pub(super) async fn word(&mut self) -> io::Result<String> {
        let control = self.control.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut line = String::new();
        if control.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// A line to the guard.
    pub(super) async fn tell(&mut self, line: &str) -> io::Result<()> {
        let control = self.control.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        control.write_all(format!("{line}\n").as_bytes()).await
    }

    /// Waits for the end. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> Exit {
        let exit = self.guard.wait().await.map_or(Exit::Unknown, exit_of);
        if matches!(exit, Exit::Signal(_) | Exit::Unknown) {
            // The guard did not get to it. The kernel has killed the CLI itself; this is for what it started.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        exit
    }

    /// Whether its guard is there.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.guard.try_wait(), Ok(None))
    }

    /// Ends it: TERM, after `grace` KILL, the whole group and all that it left behind.
    pub(super) async fn stop(&mut self, grace: Duration) -> Exit {
        self.control = None;
        if let Ok(exit) = time::timeout(grace + SWEEP_TIME, self.ended()).await {
            return exit;
        }
        // The guard hangs. Fails only if it has ended meanwhile.
        let _ = self.guard.start_kill();
        self.ended().await
    }
}

async fn greeting(control: &mut BufReader<UnixStream>) -> io::Result<Pid> {
    let mut line = String::new();
    control.read_line(&mut line).await?;
    if let Some(why) = line.trim_end().strip_prefix("error ") {
        return Err(io::Error::other(why.to_owned()));
    }
    let pid = line.trim_end().strip_prefix("pid ").and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::other("the guard did not start the command"))
}

fn exit_of(status: ExitStatus) -> Exit {
    let code = status.code().map(Exit::Code);
    code.or(status.signal().map(Exit::Signal)).unwrap_or(Exit::Unknown)
}

/// What the guard has to know.
pub(super) fn orders(settings: &SuperviseSettings) -> Orders {
    Orders {
        grace: settings.stop_timeout,
        lock: settings.lock.clone(),
        credentials: settings.credentials,
        sealed: settings.sealed,
        limits: settings.limits.clone(),
        ..Orders::default()
    }
}

/// The guard's command line. A process group of its own keeps a Ctrl-C at our terminal away from it: we
/// drain first.
fn command(
    settings: &SuperviseSettings,
    name: &str,
    port: u16,
    orders: &Orders,
    control: OwnedFd,
) -> io::Result<Command> {
    let (program, words) = settings.guard.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(words).args(orders.words());
    command.args(settings.command.iter().map(|word| fill(word, name, port)));
    command.stdin(Stdio::from(control)).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    for name in &settings.withhold_env {
        command.env_remove(name);
    }
    command.envs(variables(settings, name, port));
    if let Some(folder) = &settings.working_dir {
        command.current_dir(folder);
    }
    Ok(command)
}

/// The variables that are set for it.
pub(super) fn variables(settings: &SuperviseSettings, name: &str, port: u16) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    if let Some(home) = &settings.copilot_home {
        variables.push(("COPILOT_HOME".to_owned(), fill(home, name, port)));
    }
    if let Some(token) = &settings.connection_token {
        variables.push(("COPILOT_CONNECTION_TOKEN".to_owned(), token.expose().to_owned()));
    }
    variables.extend(settings.env.iter().map(|(key, value)| match value {
        EnvValue::Plain(text) => (key.clone(), fill(text, name, port)),
        EnvValue::Secret(secret) => (key.clone(), secret.expose().to_owned()),
    }));
    variables
}

fn fill(text: &str, name: &str, port: u16) -> String {
    text.replace("{port}", &port.to_string()).replace("{name}", name)
}
