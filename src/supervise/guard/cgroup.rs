//! A control group (cgroup v2) for one command and all that it starts.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::supervise::settings::Limits;

/// The period of a limit on processors, in microseconds: the kernel's own default.
const PERIOD: f64 = 100_000.0;

/// A group below the one that is given. It is removed with the last of its processes, or when it is dropped after that.
#[derive(Debug)]
pub(super) struct Group {
    path: PathBuf,
}

impl Group {
    /// Makes it, with its limits; `None` where none is wanted.
    pub fn make(limits: &Limits) -> io::Result<Option<Self>> {
        let Some(parent) = limits.cgroup.as_ref().filter(|_| limits.needs_group()) else { return Ok(None) };
        let path = parent.join(format!("{}{}", super::GROUP_PREFIX, std::process::id()));
        match fs::create_dir(&path) {
            // Of one with our process id that was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        let group = Self { path };
        group.set("memory.max", limits.memory.map(|bytes| bytes.to_string()))?;
        // Otherwise it would only be slow instead of full.
        group.set_if_there("memory.swap.max", limits.memory.map(|_| "0".to_owned()));
        let quota = |cpus: f64| format!("{} {PERIOD}", (cpus * PERIOD).round().max(1000.0));
        group.set("cpu.max", limits.cpu.map(quota))?;
        group.set("pids.max", limits.pids.map(|pids| pids.to_string()))?;
        Ok(Some(group))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a process in.
    pub fn take_in(&self, pid: u32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
    }

    /// Ends all that is in it, wherever it has gone.
    pub fn kill(&self) {
        // Kernels before 5.14 do not know it; signals do the work then.
        self.set_if_there("cgroup.kill", Some("1".to_owned()));
    }

    fn set(&self, file: &str, value: Option<String>) -> io::Result<()> {
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{}/{file}: {error}", self.path.display()));
        value.map_or(Ok(()), |value| fs::write(self.path.join(file), value).map_err(told))
    }

    fn set_if_there(&self, file: &str, value: Option<String>) {
        if self.path.join(file).exists() {
            // What it is for is done in another way too.
            let _ = self.set(file, value);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Fails only while somebody is in it; the next start of pilotfish removes it then.
        let _ = fs::remove_dir(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_its_limits() {
        let parent = std::env::temp_dir().join(format!("pilotfish-cgroup-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&parent).unwrap();
        let limits = Limits {
            memory: Some(1 << 30),
            cpu: Some(1.5),
            pids: Some(64),
            cgroup: Some(parent.clone()),
            ..Limits::default()
        };
        let group = Group::make(&limits).unwrap().unwrap();
        let read = |file: &str| fs::read_to_string(group.path().join(file)).unwrap();
        assert_eq!((read("memory.max"), read("cpu.max")), ("1073741824".into(), "150000 100000".into()));
        assert_eq!(read("pids.max"), "64");
        group.take_in(12).unwrap();
        assert_eq!(read("cgroup.procs"), "12");
        fs::remove_dir_all(&parent).unwrap();

        assert!(Group::make(&Limits { cgroup: None, ..limits.clone() }).unwrap().is_none());
        let error = Group::make(&Limits { cgroup: Some("/no/such/group".into()), ..limits }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
