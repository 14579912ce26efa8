//! One CLI as its guard sees it: starts it, adopts what it starts, ends all of it.
//!
//! `pilotfish guard -- --grace-ms N COMMAND...` is run by the supervisor, with a socket to it as standard input. The guard writes
//! `pid N` to the socket and then waits for the first of three: the command ends, a TERM, INT or HUP, or the
//! end of the socket (the supervisor wants the end, or is dead). Then everything gets TERM, after the grace KILL,
//! and the guard ends with the command's exit code (128 + n for signal n).
//!
//! The command is not started directly: `guard -- --leash PID COMMAND...` asks the kernel to kill it when the guard (PID) dies and
//! then becomes the command. So even the KILL of supervisor and guard together leaves no CLI.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream as StdStream, process::CommandExt},
    },
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use rustix::process::{self, Pid, Signal, WaitOptions, WaitStatus};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    signal::unix::{Signal as Signals, SignalKind, signal},
    time::{self, Instant},
};

use super::descendants::signal_all;

pub(super) const GRACE: &str = "--grace-ms";
const LEASH: &str = "--leash";

/// What is left after the command itself has ended gets this long after its TERM.
const STRAGGLERS: Duration = Duration::from_secs(1);
/// How often KILL is sent again: what was a grandchild at the first is a child at the next.
const SWEEP_STEP: Duration = Duration::from_millis(50);
/// A process that the kernel cannot end (it hangs in a driver) must not hold the guard for ever.
const SWEEP_LIMIT: Duration = Duration::from_secs(10);

/// Exit codes as a shell's: could not be run, was not found.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;
const USAGE: u8 = 2;

/// The body of the hidden `guard` command: `words` are all words after it.
pub fn run(words: Vec<OsString>) -> ExitCode {
    ExitCode::from(exit_code(words))
}

/// As [`run`], with the plain number.
pub(super) fn exit_code(words: Vec<OsString>) -> u8 {
    let number = |word: &OsStr| word.to_str().and_then(|word| word.parse::<u32>().ok());
    match words.as_slice() {
        [option, value, command @ ..] if option == LEASH && !command.is_empty() => match number(value) {
            Some(parent) => leash(parent, command),
            None => usage(),
        },
        [option, value, command @ ..] if option == GRACE && !command.is_empty() => match number(value) {
            Some(grace) => guard(Duration::from_millis(grace.into()), &words, command),
            None => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> u8 {
    eprintln!("pilotfish guard: for pilotfish's own use");
    USAGE
}

/// Becomes the command, tied to the life of `parent`.
fn leash(parent: u32, command: &[OsString]) -> u8 {
    let tied = process::set_parent_process_death_signal(Some(Signal::KILL));
    let is_ours = process::getppid().is_some_and(|pid| pid.as_raw_pid().cast_unsigned() == parent);
    if tied.is_err() || !is_ours {
        return CANNOT_RUN;
    }
    let error = Command::new(&command[0]).args(&command[1..]).exec();
    eprintln!("pilotfish guard: cannot run {}: {error}", command[0].display());
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN }
}

fn guard(grace: Duration, words: &[OsString], command: &[OsString]) -> u8 {
    let guarded = || -> io::Result<u8> {
        process::set_child_subreaper(Some(process::getpid()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { Guard::start(words, command).await?.until_the_end(grace).await })
    };
    guarded().unwrap_or_else(|error| {
        eprintln!("pilotfish guard: {error}");
        CANNOT_RUN
    })
}

struct Guard {
    /// The command's process, and the group that it leads.
    main: Pid,
    /// How it ended.
    status: Option<WaitStatus>,
    /// Nobody is left to wait for.
    alone: bool,
    children: Signals,
    orders: [Signals; 3],
    control: UnixStream,
}

impl Guard {
    async fn start(words: &[OsString], command: &[OsString]) -> io::Result<Self> {
        let children = signal(SignalKind::child())?;
        let orders =
            [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?];
        let control = StdStream::from(io::stdin().as_fd().try_clone_to_owned()? as OwnedFd);
        control.set_nonblocking(true)?;
        let mut control = UnixStream::from_std(control)?;

        let child = Command::new("/proc/self/exe")
            .args(own_words(words))
            .arg(LEASH)
            .arg(process::getpid().as_raw_pid().to_string())
            .args(command)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()?;
        let main = Pid::from_raw(child.id().cast_signed()).ok_or(io::ErrorKind::InvalidData)?;
        // If the supervisor is gone already, the next read says so too.
        let _ = control.write_all(format!("pid {}\n", main.as_raw_pid()).as_bytes()).await;
        Ok(Self { main, status: None, alone: false, children, orders, control })
    }

    async fn until_the_end(mut self, grace: Duration) -> io::Result<u8> {
        while self.status.is_none() {
            tokio::select! {
                _ = self.children.recv() => self.reap(),
                () = asked_to_end(&mut self.orders, &mut self.control) => break,
            }
        }
        self.reap();
        if self.status.is_none() {
            let _ = time::timeout(grace, self.terminate(|guard| guard.status.is_some())).await;
        }
        if self.status.is_some() {
            let _ = time::timeout(grace.min(STRAGGLERS), self.terminate(|guard| guard.alone)).await;
        }
        self.sweep().await;
        Ok(code(self.status))
    }

    /// Takes in every child that has ended.
    fn reap(&mut self) {
        loop {
            match process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.main => self.status = Some(status),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => {
                    self.alone = true;
                    return;
                }
            }
        }
    }

    /// TERM to all until `done`: at first to the group, then also to those that became ours as their parents ended.
    async fn terminate(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            signal_all(self.main, Signal::TERM);
            // A stopped process hears TERM only after it goes on.
            signal_all(self.main, Signal::CONT);
            self.children.recv().await;
            self.reap();
        }
    }

    async fn wait_alone(&mut self) {
        while !self.alone {
            self.children.recv().await;
            self.reap();
        }
    }

    /// KILL until nobody is left: the children of a killed process become ours, and are next.
    async fn sweep(&mut self) {
        let limit = Instant::now() + SWEEP_LIMIT;
        while !self.alone && Instant::now() < limit {
            signal_all(self.main, Signal::KILL);
            let _ = time::timeout(SWEEP_STEP, self.wait_alone()).await;
        }
    }
}

/// A signal, or the end of the control channel. What comes over it has no meaning.
async fn asked_to_end(orders: &mut [Signals; 3], control: &mut UnixStream) {
    let [terminate, interrupt, hangup] = orders;
    let silence = async { while matches!(control.read(&mut [0; 64]).await, Ok(1..)) {} };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
        () = silence => {}
    }
}

/// The words between our program and `words`: with them another copy of us comes to the same place.
fn own_words(words: &[OsString]) -> Vec<OsString> {
    let all: Vec<_> = std::env::args_os().collect();
    let end = all.len().saturating_sub(words.len()).max(1);
    all.into_iter().take(end).skip(1).collect()
}

fn code(status: Option<WaitStatus>) -> u8 {
    let exited = status.and_then(WaitStatus::exit_status);
    let signaled = status.and_then(WaitStatus::terminating_signal).map(|signal| 128 + signal);
    exited.or(signaled).and_then(|code| u8::try_from(code).ok()).unwrap_or(CANNOT_RUN)
}
