//! Who belongs to a guard, read from `/proc`.

use std::fs;

use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};

/// Signals the process group `group` and every child of this process. Orphans are adopted (we are their sub-reaper), so those
/// that left the group with `setsid` are children sooner or later.
pub(super) fn signal_all(group: Pid, signal: Signal) {
    // Both fail only when there is nobody left to signal.
    let _ = kill_process_group(group, signal);
    for child in children(getpid()) {
        let _ = kill_process(child, signal);
    }
}

/// The children of `parent`, zombies included.
fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_pid().cast_unsigned();
    pids().filter(|pid| parent_of(*pid) == Some(parent)).filter_map(|pid| Pid::from_raw(pid.cast_signed())).collect()
}

/// Every process that there is.
pub(super) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Who started `pid`, or adopted it.
pub(super) fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_parent(&stat)
}

/// The process group that `pid` is in.
pub(super) fn group_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    field(&stat, 2)
}

/// `pid (name) state parent group ...`, where the name may hold anything, also brackets and spaces.
fn parse_parent(stat: &str) -> Option<u32> {
    field(stat, 1)
}

/// A number behind the name, counted from 0.
fn field(stat: &str, at: usize) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_confuse_it() {
        assert_eq!(parse_parent("12 (a) 1 (b) S 34 12 12 0"), Some(34));
        assert_eq!(parse_parent("1 (init) S 0 1 1 0"), Some(0));
        assert_eq!(parse_parent(""), None);
    }

    #[test]
    fn finds_a_real_child() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        assert!(children(getpid()).contains(&pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children(getpid()).contains(&pid));
    }
}
