//! What a process and all that it started use, read from `/proc`.

use std::fs;

use ahash::AHashMap;

use super::descendants;

/// What the processes of one backend use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory of all of them, in bytes. What they share counts for each.
    pub memory: u64,
    /// Open descriptors of the one that has the most: the limit is each process's own.
    pub descriptors: u64,
}

/// Which processes there are and who started them, as of one moment.
#[derive(Debug)]
pub struct Processes {
    children: AHashMap<u32, Vec<u32>>,
    page: u64,
}

impl Processes {
    /// Reads them all: some ten microseconds each, so not on a thread that has clients to serve.
    pub fn read() -> Self {
        let mut children: AHashMap<u32, Vec<u32>> = AHashMap::new();
        for pid in descendants::pids() {
            if let Some(parent) = descendants::parent_of(pid) {
                children.entry(parent).or_default().push(pid);
            }
        }
        Self { children, page: rustix::param::page_size() as u64 }
    }

    /// What `pid` and its descendants use; `None` if it is no more.
    pub fn usage(&self, pid: u32) -> Option<Usage> {
        let mut usage = Usage { memory: self.memory(pid)?, descriptors: descriptors(pid)? };
        let mut waiting = self.started_by(pid).to_vec();
        while let Some(pid) = waiting.pop() {
            // One that has ended meanwhile uses nothing.
            usage.memory += self.memory(pid).unwrap_or(0);
            usage.descriptors = usage.descriptors.max(descriptors(pid).unwrap_or(0));
            waiting.extend_from_slice(self.started_by(pid));
        }
        Some(usage)
    }

    fn started_by(&self, pid: u32) -> &[u32] {
        self.children.get(&pid).map_or(&[], Vec::as_slice)
    }

    fn memory(&self, pid: u32) -> Option<u64> {
        let pages = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        Some(pages.split(' ').nth(1)?.parse::<u64>().ok()? * self.page)
    }
}

fn descriptors(pid: u32) -> Option<u64> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_counted_with_what_it_started() {
        // The shell waits for a child that has 40 more descriptors than it has itself.
        let script = "for n in $(seq 40); do eval \"exec $((n + 10))</dev/null\"; done; echo ready; read line";
        let mut parent = Command::new("bash")
            .args(["-c", "bash -c \"$1\"; true", "outer", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(parent.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let all = Processes::read();
        let usage = all.usage(parent.id()).unwrap();
        assert!(usage.descriptors >= 40, "{usage:?}");
        assert!(descriptors(parent.id()).unwrap() < 40);
        assert!(usage.memory > all.memory(parent.id()).unwrap(), "{usage:?}");
        drop(parent.stdin.take());
        parent.wait().unwrap();
        assert_eq!(Processes::read().usage(parent.id()), None);
    }
}
