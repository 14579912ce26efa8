//! One CLI as its guard sees it: starts it, adopts what it starts, ends all of it.
//!
//! `pilotfish guard -- --grace-ms N ... COMMAND...` is run by the supervisor, with a socket to it as standard input. The guard writes
//! `pid N` to the socket (or `error TEXT`) and then waits for the first of three: the command ends, a TERM, INT or HUP, or the
//! end of the socket (the supervisor wants the end, or is dead). Then everything gets TERM, after the grace KILL,
//! and the guard ends with the command's exit code (128 + n for signal n).
//!
//! The command is not started directly: `guard -- --leash PID ... COMMAND...` takes on the command's user and limits, asks the kernel to
//! kill it when the guard (PID) dies and then becomes the command. So even the KILL of supervisor and guard together leaves no CLI.
//!
//! # Layout
//! - `orders`: what a guard is told.
//! - `lock`: one CLI for one home.
//! - `cgroup`: a control group for the command.
//! - `leash`: what is done inside the command's process before it begins.
//! - `spare`: a command that waits for its identity.

mod cgroup;
mod leash;
mod lock;
mod orders;
mod spare;

use std::{
    ffi::OsString,
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
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::UnixStream,
    signal::unix::{Signal as Signals, SignalKind, signal},
    time::{self, Instant},
};

use self::{cgroup::Group, lock::Lock};
pub(super) use self::{leash::EAR, orders::Orders, spare::Call};
use super::descendants::signal_all;

/// Control groups that guards make begin so.
pub(super) const GROUP_PREFIX: &str = "pilotfish-guard-";

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
    let Some((orders, command)) = Orders::parse(&words) else {
        eprintln!("pilotfish guard: for pilotfish's own use");
        return USAGE;
    };
    match orders.leash {
        Some(parent) => leash::leash(parent, &orders, command),
        None => guard(&orders, &words, command),
    }
}

fn guard(orders: &Orders, words: &[OsString], command: &[OsString]) -> u8 {
    let guarded = || -> io::Result<u8> {
        process::set_child_subreaper(Some(process::getpid()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { Guard::start(orders, words, command).await?.until_the_end(orders.grace).await })
    };
    guarded().unwrap_or_else(|error| {
        eprintln!("pilotfish guard: {error}");
        CANNOT_RUN
    })
}

/// A socket of which lines are read; nothing is lost when whoever reads stops waiting.
type Wire = Lines<BufReader<UnixStream>>;

struct Guard {
    /// The command's process, and the group that it leads.
    main: Pid,
    /// How it ended.
    status: Option<WaitStatus>,
    /// Nobody is left to wait for.
    alone: bool,
    children: Signals,
    orders: [Signals; 3],
    control: Wire,
    /// Where a spare hears who it is; its end is the spare's end.
    ear: Option<Wire>,
    /// The home is this command's as long as we live.
    lock: Option<Lock>,
    group: Option<Group>,
}

impl Guard {
    async fn start(orders: &Orders, words: &[OsString], command: &[OsString]) -> io::Result<Self> {
        let children = signal(SignalKind::child())?;
        let signals =
            [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?];
        let control = StdStream::from(io::stdin().as_fd().try_clone_to_owned()? as OwnedFd);
        let mut control = wire(control)?;

        let prepared = async {
            let lock = match &orders.lock {
                Some(folder) => Some(Lock::take(folder, orders.grace).await?),
                None => None,
            };
            let group = Group::make(&orders.limits)?;
            let (main, ear) = spawn(orders, group.as_ref(), words, command)?;
            Ok((lock, group, main, ear))
        };
        let (lock, group, main, ear) = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => {
                let error: io::Error = error;
                say(&mut control, &format!("error {error}")).await;
                return Err(error);
            }
        };
        say(&mut control, &format!("pid {}", main.as_raw_pid())).await;
        Ok(Self { main, status: None, alone: false, children, orders: signals, control, ear, lock, group })
    }

    async fn until_the_end(mut self, grace: Duration) -> io::Result<u8> {
        let over = self.ear.is_some() && self.wait_for_identity().await;
        while !over && self.status.is_none() {
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
            if let Some(group) = &self.group {
                group.kill();
            }
            signal_all(self.main, Signal::KILL);
            let _ = time::timeout(SWEEP_STEP, self.wait_alone()).await;
        }
    }
}

/// A signal, or the end of the control channel. What comes over it has no meaning.
async fn asked_to_end(orders: &mut [Signals; 3], control: &mut Wire) {
    let [terminate, interrupt, hangup] = orders;
    let silence = async { while matches!(control.next_line().await, Ok(Some(_))) {} };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
        () = silence => {}
    }
}

fn wire(stream: StdStream) -> io::Result<Wire> {
    stream.set_nonblocking(true)?;
    Ok(BufReader::new(UnixStream::from_std(stream)?).lines())
}

/// A word to the supervisor. If it is gone, the next read says so too.
async fn say(control: &mut Wire, line: &str) {
    let line = line.replace('\n', " ") + "\n";
    let _ = control.get_mut().write_all(line.as_bytes()).await;
}

/// Starts the command on its leash; of a spare also our end of what it listens to.
fn spawn(
    orders: &Orders,
    group: Option<&Group>,
    words: &[OsString],
    command: &[OsString],
) -> io::Result<(Pid, Option<Wire>)> {
    let mut inner = Orders { leash: Some(process::getpid().as_raw_pid().cast_unsigned()), ..orders.clone() };
    inner.limits.cgroup = group.map(|group| group.path().to_owned());
    let mut leash = Command::new("/proc/self/exe");
    leash.args(own_words(words)).args(inner.words()).args(command).process_group(0);
    let ear = if orders.spare {
        let (ours, theirs) = StdStream::pair()?;
        leash.stdin(Stdio::from(OwnedFd::from(theirs)));
        Some(wire(ours)?)
    } else {
        leash.stdin(Stdio::null());
        None
    };
    let child = leash.spawn()?;
    let main = Pid::from_raw(child.id().cast_signed()).ok_or(io::ErrorKind::InvalidData)?;
    Ok((main, ear))
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
