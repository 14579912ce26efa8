//! The control group below which each CLI gets one of its own (cgroup v2).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::supervise::guard::GROUP_PREFIX;

const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

/// The group that was set, or else our own, ready to have groups below it. `None`, after a warning: there is none; then there are no
/// limits on memory, processors and processes.
pub(super) fn base(set: Option<&Path>) -> Option<PathBuf> {
    let found = match set {
        Some(path) => Ok(path.to_owned()),
        None => own(),
    };
    match found.and_then(|path| prepare(&path).map(|()| path)) {
        Ok(path) => {
            sweep(&path);
            Some(path)
        }
        Err(error) => {
            tracing::warn!(
                reason = %error,
                "limits on memory, cpu and pids have no effect: they need a control group (cgroup v2) that pilotfish may write to"
            );
            None
        }
    }
}

/// The group that this process is in.
fn own() -> io::Result<PathBuf> {
    let (mounts, groups) = (fs::read_to_string("/proc/self/mounts")?, fs::read_to_string("/proc/self/cgroup")?);
    let mount = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (_, place, kind) = (words.next()?, words.next()?, words.next()?);
        (kind == "cgroup2").then_some(place)
    });
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let (mount, group) = mount.zip(group).ok_or_else(|| io::Error::other("there is no cgroup v2 here"))?;
    Ok(Path::new(mount).join(group.trim_start_matches('/')))
}

/// Lets groups below it have limits. The kernel wants a group with processes of its own to have none below, so we move down first.
fn prepare(path: &Path) -> io::Result<()> {
    let told = |what: &str, error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
    let controllers = path.join("cgroup.controllers");
    let has = fs::read_to_string(&controllers).map_err(|error| told(&controllers.display().to_string(), error))?;
    if let Some(missing) = CONTROLLERS.iter().find(|name| !has.split_whitespace().any(|word| word == **name)) {
        return Err(io::Error::other(format!("{} has no controller `{missing}`", path.display())));
    }
    let control = path.join("cgroup.subtree_control");
    let on = fs::read_to_string(&control).unwrap_or_default();
    if CONTROLLERS.iter().all(|name| on.split_whitespace().any(|word| word == *name)) {
        return Ok(());
    }
    let wanted = CONTROLLERS.map(|name| format!("+{name}")).join(" ");
    let busy = match fs::write(&control, &wanted) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => true,
        done => return done.map_err(|error| told(&control.display().to_string(), error)),
    };
    debug_assert!(busy);
    let below = path.join("pilotfish");
    if let Err(error) = fs::create_dir(&below)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(told(&below.display().to_string(), error));
    }
    fs::write(below.join("cgroup.procs"), "0").map_err(|error| told("moving down", error))?;
    fs::write(&control, &wanted).map_err(|error| told(&control.display().to_string(), error))
}

/// Groups of guards that were killed. Those that are in use stay: they cannot be removed.
fn sweep(path: &Path) {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(GROUP_PREFIX)) {
        let _ = fs::remove_dir(entry.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_to_have_all_controllers() {
        let path = std::env::temp_dir().join(format!("pilotfish-group-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(path.join(format!("{GROUP_PREFIX}1"))).unwrap();
        assert!(base(Some(&path)).is_none(), "no cgroup at all");
        fs::write(path.join("cgroup.controllers"), "cpuset cpu pids\n").unwrap();
        assert!(prepare(&path).unwrap_err().to_string().contains("no controller `memory`"));
        fs::write(path.join("cgroup.controllers"), "cpuset cpu io memory pids\n").unwrap();
        assert_eq!(base(Some(&path)), Some(path.clone()));
        assert_eq!(fs::read_to_string(path.join("cgroup.subtree_control")).unwrap(), "+memory +cpu +pids");
        assert!(!path.join(format!("{GROUP_PREFIX}1")).exists());
        fs::remove_dir_all(&path).unwrap();
    }
}
