//! What a service manager (systemd's `Type=notify`) is told: ready, going away, and who is the main process now.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// Everything that listens is open.
pub(in crate::app) fn ready() {
    tell("READY=1");
}

/// A drain has begun.
pub(in crate::app) fn stopping() {
    tell("STOPPING=1");
}

/// Another process is the main one from now on.
pub(super) fn main_process(pid: u32) {
    tell(&format!("MAINPID={pid}"));
}

fn tell(what: &str) {
    let Some(address) = env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(reason) = send(address.as_bytes(), what) {
        tracing::warn!(%reason, what, "the service manager could not be told");
    }
}

fn send(address: &[u8], what: &str) -> io::Result<()> {
    let address = match address.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(address))?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not hold us up.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(what.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_an_abstract_name_are_understood() {
        let name = format!("pilotfish-notify-{}", std::process::id());
        let path = env::temp_dir().join(&name);
        let _ = std::fs::remove_file(&path);
        let at_path = UnixDatagram::bind(&path).unwrap();
        let at_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(path.as_os_str().as_bytes(), "READY=1").unwrap();
        send(format!("@{name}").as_bytes(), "MAINPID=7").unwrap();
        std::fs::remove_file(&path).unwrap();
        for (socket, wanted) in [(at_path, "READY=1"), (at_name, "MAINPID=7")] {
            let mut heard = [0; 32];
            let count = socket.recv(&mut heard).unwrap();
            assert_eq!(&heard[..count], wanted.as_bytes());
        }
        assert!(send(path.as_os_str().as_bytes(), "READY=1").is_err());
    }
}
