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
    io::{AsyncBufReadExt, BufReader},
    net::UnixStream,
    process::{Child, ChildStderr, ChildStdout, Command},
    time,
};

use super::{
    guard::Orders,
    settings::{EnvValue, SuperviseSettings},
};

/// The guard tells the CLI's process id at once, or something is wrong with it.
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
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut control = BufReader::new(UnixStream::from_std(ours)?);
        let mut guard = command(settings, name, port, theirs.into())?.spawn()?;
        let (Some(stdout), Some(stderr)) = (guard.stdout.take(), guard.stderr.take()) else {
            return Err(io::Error::other("the guard has no output"));
        };
        let pid =
            time::timeout(GREETING_TIMEOUT, greeting(&mut control)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok((Self { guard, control: Some(control), pid }, stdout, stderr))
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
        limits: settings.limits.clone(),
        ..Orders::default()
    }
}

/// The guard's command line. A process group of its own keeps a Ctrl-C at our terminal away from it: we
/// drain first.
fn command(settings: &SuperviseSettings, name: &str, port: u16, control: OwnedFd) -> io::Result<Command> {
    let (program, words) = settings.guard.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let fill = |text: &str| text.replace("{port}", &port.to_string()).replace("{name}", name);
    let mut command = Command::new(program);
    command.args(words).args(orders(settings).words());
    command.args(settings.command.iter().map(|word| fill(word)));
    command.stdin(Stdio::from(control)).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    for name in &settings.withhold_env {
        command.env_remove(name);
    }
    if let Some(home) = &settings.copilot_home {
        command.env("COPILOT_HOME", fill(home));
    }
    if let Some(token) = &settings.connection_token {
        command.env("COPILOT_CONNECTION_TOKEN", token.expose());
    }
    for (key, value) in &settings.env {
        match value {
            EnvValue::Plain(text) => command.env(key, fill(text)),
            EnvValue::Secret(secret) => command.env(key, secret.expose()),
        };
    }
    if let Some(folder) = &settings.working_dir {
        command.current_dir(folder);
    }
    Ok(command)
}
