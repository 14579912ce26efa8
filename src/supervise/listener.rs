//! Whose a listening port is, from `/proc`.
//!
//! A port that we found free may be another program's by the time our process binds it. Whoever says our tokens to that program has given them away, so
//! nobody dials a port before the process that listens there is known to be ours.

use std::{fs, path::Path};

use rustix::process::Pid;

use super::descendants::{group_of, pids};

/// The state of a listening socket in the kernel's tables.
const LISTENING: &str = "0A";

/// Whether a process of `group` listens on `port`. `None`: this cannot be known here.
pub(super) fn listens(group: Pid, port: u16) -> Option<bool> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    if tables.iter().all(Result::is_err) {
        return None;
    }
    let sockets: Vec<String> = tables.iter().flatten().flat_map(|table| listeners(table, port)).collect();
    if sockets.is_empty() {
        return Some(false);
    }
    let group = group.as_raw_pid().cast_unsigned();
    let mut members = std::iter::once(group).chain(pids().filter(|pid| *pid != group && group_of(*pid) == Some(group)));
    let mut seen = false;
    let found = members.any(|pid| {
        let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        seen = true;
        open.flatten().any(|entry| is_one(&entry.path(), &sockets))
    });
    // Another user's descriptors are closed to us; then the token has to do.
    (found || seen).then_some(found)
}

fn is_one(open: &Path, sockets: &[String]) -> bool {
    let Ok(target) = fs::read_link(open) else { return false };
    sockets.iter().any(|socket| target.as_os_str() == socket.as_str())
}

/// The sockets that listen on `port`, as they stand in a folder of descriptors.
fn listeners(table: &str, port: u16) -> Vec<String> {
    let wanted = format!("{port:04X}");
    let lines = table.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
        let (_, here) = local.rsplit_once(':')?;
        (here == wanted && *state == LISTENING).then(|| format!("socket:[{inode}]"))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, process::Command};

    use super::*;

    #[test]
    fn a_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1130 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0\n   \
            1: 0100007F:1130 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0\n garbage\n";
        assert_eq!(listeners(table, 0x1130), ["socket:[4711]"]);
        assert!(listeners(table, 0x9999).is_empty());
    }

    #[test]
    fn ours_is_told_from_anothers() {
        use std::os::unix::process::CommandExt;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = rustix::process::getpid();
        assert_eq!(listens(own, port), Some(true));
        let mut other = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let group = Pid::from_raw(other.id().cast_signed()).unwrap();
        assert_eq!(listens(group, port), Some(false), "somebody else listens there");
        other.kill().unwrap();
        other.wait().unwrap();
        drop(listener);
        assert_eq!(listens(own, port), Some(false));
    }
}
