//! From us to the command: what has to be done inside its process before it begins.

use std::{
    ffi::OsString,
    fs, io,
    os::{
        fd::AsFd,
        unix::{fs::DirBuilderExt, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
};

use rustix::{
    process::{self, Pid, Resource, Rlimit, Signal},
    thread,
};

use super::{CANNOT_RUN, NOT_FOUND, orders::Orders};
use crate::supervise::settings::{Credentials, Limits};

/// The number of the descriptor at which a spare hears who it is.
pub(in crate::supervise) const EAR: &str = "PILOTFISH_SPARE_FD";

/// Becomes the command, tied to the life of `parent`.
pub(super) fn leash(parent: u32, orders: &Orders, command: &[OsString]) -> u8 {
    let error = match become_it(parent, orders, command) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    eprintln!("pilotfish guard: cannot run {}: {error}", command[0].display());
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN }
}

fn become_it(parent: u32, orders: &Orders, command: &[OsString]) -> io::Result<std::convert::Infallible> {
    if let Some(group) = &orders.limits.cgroup {
        enter(group)?;
    }
    limit(None, &orders.limits)?;
    if let Some(credentials) = orders.credentials {
        drop_to(credentials)?;
    }
    if orders.lock.is_some() {
        own_temporaries()?;
    }
    if orders.sealed {
        thread::set_no_new_privs(true)?;
    }
    // After the change of the user, which takes the leash off.
    process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if process::getppid().is_none_or(|pid| pid.as_raw_pid().cast_unsigned() != parent) {
        return Err(io::Error::other("the guard is gone"));
    }
    let mut next = Command::new(&command[0]);
    next.args(&command[1..]);
    if orders.spare {
        // A copy survives the exec; the first one does not.
        let ear = rustix::io::dup(io::stdin().as_fd())?;
        next.stdin(Stdio::null()).env(EAR, std::os::fd::AsRawFd::as_raw_fd(&ear).to_string());
        let error = next.exec();
        drop(ear);
        return Err(error);
    }
    Err(next.exec())
}

/// The folder for temporary files, where it is missing. Made by its user: what is in a home is not ours to trust.
fn own_temporaries() -> io::Result<()> {
    let Some(folder) = std::env::var_os("TMPDIR") else { return Ok(()) };
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// This process moves into a control group.
fn enter(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

/// Limits that are the process's own, and go on to whatever it starts. `None` is this process.
pub(super) fn limit(pid: Option<Pid>, limits: &Limits) -> io::Result<()> {
    let all = [
        (Resource::Nofile, limits.open_files),
        (Resource::Fsize, limits.file_size),
        (Resource::Nproc, limits.processes),
    ];
    for (resource, limit) in all.into_iter().filter_map(|(resource, limit)| Some((resource, limit?))) {
        // Only root can lift what was set above us.
        let most = process::getrlimit(resource).maximum.map_or(limit, |most| most.min(limit));
        process::prlimit(pid, resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// Nothing of the old user is left. Only this thread changes; the exec that follows makes it the process.
fn drop_to(who: Credentials) -> io::Result<()> {
    let (uid, gid) = (rustix::process::Uid::from_raw(who.uid), rustix::process::Gid::from_raw(who.gid));
    thread::set_thread_groups(&[gid])?;
    thread::set_thread_res_gid(gid, gid, gid)?;
    thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}
