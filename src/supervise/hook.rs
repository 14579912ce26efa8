//! The operator's own command that starts a backend again which we did not start.

use std::{
    fmt, io,
    pin::pin,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::{Child, Command},
    time,
};
use tokio_util::sync::CancellationToken;

use super::{
    output::{self, Origin},
    redact::Redactor,
};

/// Lines of its output a second that are logged.
const OUTPUT_LINES: u32 = 100;
/// After its end, for the rest of its output: what it left running may keep that open for ever.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A command with its deadline.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The program and its arguments; there is no shell.
    pub command: Vec<String>,
    /// After this it is killed, with all that it started and did not send away.
    pub timeout: Duration,
    /// What must not be in the log.
    pub redactor: Arc<Redactor>,
}

/// What the command is told, as environment variables.
#[derive(Clone, Debug)]
pub struct HookCall {
    /// `PILOTFISH_POOL`.
    pub pool: Arc<str>,
    /// `PILOTFISH_BACKEND`.
    pub backend: Arc<str>,
    /// `PILOTFISH_ADDRESS`, as IP and port.
    pub address: String,
    /// `PILOTFISH_REASON`.
    pub reason: &'static str,
}

/// Why it is not known to have done its work. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// There is no such program, or it may not be run.
    #[error("on_recycle could not be started: {0}")]
    NotStarted(#[from] io::Error),
    /// It said so.
    #[error("on_recycle failed: {0}")]
    Failed(ExitStatus),
    /// It was killed.
    #[error("on_recycle did not end within {}", Seconds(*.0))]
    TimedOut(Duration),
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs_f64())
    }
}

impl Hook {
    /// Runs it to its end. Dropped before that, it is killed.
    ///
    /// # Errors
    /// It could not be started, ended with another code than 0, or took too long.
    pub async fn run(&self, call: &HookCall) -> Result<(), HookError> {
        let mut running = Running(self.command(call)?.spawn()?);
        let mut words = pin!(self.log(&mut running.0, call));
        let mut silent = false;
        let ending = async {
            loop {
                // Its output is read meanwhile: a full pipe would stop it.
                tokio::select! {
                    status = running.0.wait() => return status,
                    () = &mut words, if !silent => silent = true,
                }
            }
        };
        let status = time::timeout(self.timeout, ending).await.map_err(|_| HookError::TimedOut(self.timeout))?;
        if !silent {
            let _ = time::timeout(LAST_WORDS, words).await;
        }
        let status = status?;
        if status.success() { Ok(()) } else { Err(HookError::Failed(status)) }
    }

    fn command(&self, call: &HookCall) -> io::Result<Command> {
        let (program, words) = self.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("PILOTFISH_POOL", &*call.pool).env("PILOTFISH_BACKEND", &*call.backend);
        command.env("PILOTFISH_ADDRESS", &call.address).env("PILOTFISH_REASON", call.reason);
        // A group of its own: it can be ended whole, and a Ctrl-C at our terminal is not meant for it.
        command.process_group(0);
        Ok(command)
    }

    fn log(&self, child: &mut Child, call: &HookCall) -> impl Future<Output = ()> + use<> {
        let origin = |stream| Origin { pool: call.pool.clone(), backend: call.backend.clone(), stream };
        let never = CancellationToken::new();
        let out = child.stdout.take().map(|stdout| {
            output::log(stdout, origin("on_recycle stdout"), self.redactor.clone(), OUTPUT_LINES, never.clone())
        });
        let err = child
            .stderr
            .take()
            .map(|stderr| output::log(stderr, origin("on_recycle stderr"), self.redactor.clone(), OUTPUT_LINES, never));
        async move {
            tokio::join!(said(out), said(err));
        }
    }
}

async fn said(log: Option<impl Future<Output = ()>>) {
    if let Some(log) = log {
        log.await;
    }
}

/// A command that runs: dropped before it was waited for, its whole group is killed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // No id: it was waited for, and the number may be another's by now.
        if let Some(pid) = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn hook(script: &str) -> Hook {
        let command = ["sh", "-c", script].map(String::from).to_vec();
        Hook { command, timeout: Duration::from_secs(20), redactor: Arc::new(Redactor::new([])) }
    }

    fn call() -> HookCall {
        HookCall { pool: "p".into(), backend: "cli-1".into(), address: "127.0.0.1:4321".into(), reason: "memory" }
    }

    #[tokio::test]
    async fn it_is_told_what_to_restart() {
        let folder = std::env::temp_dir().join(format!("pilotfish-hook-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let file = folder.join("told");
        let words = "$PILOTFISH_POOL $PILOTFISH_BACKEND $PILOTFISH_ADDRESS $PILOTFISH_REASON";
        hook(&format!("echo {words} > {}", file.display())).run(&call()).await.unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "p cli-1 127.0.0.1:4321 memory\n");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn much_output_does_not_stop_it_and_its_code_is_its_word() {
        hook("yes | head -c 300000; yes | head -c 300000 >&2").run(&call()).await.unwrap();
        let failed = hook("exit 3").run(&call()).await.unwrap_err();
        assert_eq!(failed.to_string(), "on_recycle failed: exit status: 3");
        let missing = Hook { command: vec!["/no/such/program".into()], ..hook("") };
        assert!(matches!(missing.run(&call()).await, Err(HookError::NotStarted(_))));
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_with_what_it_started() {
        let folder = std::env::temp_dir().join(format!("pilotfish-hook-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        let pipe = folder.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Whoever reads the pipe sees its end when the last of the group is dead.
        let hanging = hook(&format!("exec 7>{}; sleep 1000 & wait", pipe.display()));
        let read = tokio::task::spawn_blocking({
            let pipe = pipe.clone();
            move || fs::read(pipe)
        });
        let late = Hook { timeout: Duration::from_millis(300), ..hanging }.run(&call()).await.unwrap_err();
        assert_eq!(late.to_string(), "on_recycle did not end within 0.3s");
        assert_eq!(read.await.unwrap().unwrap(), b"");
        fs::remove_dir_all(&folder).unwrap();
    }
}
