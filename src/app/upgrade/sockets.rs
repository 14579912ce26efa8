//! Listening sockets on their way from the old process to the new one.
//!
//! Pingora sends them. What it sends is received by ourselves: its own receiver gives bare numbers, which nobody owns without
//! `unsafe`, looks for a sender once a second, and panics where we can say why.

use std::{
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    time::Duration,
};

use pingora_core::server::Fds;
use rustix::{
    cmsg_space,
    event::{PollFd, PollFlags, Timespec, poll},
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg},
};

use crate::{model::Endpoint, serve::accept::Listening};

/// Sockets in one message; the kernel takes 253.
const AT_ONCE: usize = 200;

/// The names of so many sockets, as pingora writes them.
const NAMES: usize = 2048;

/// The sender has been told that we listen, so it is there at once or gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// A listening socket, and the config's words for it.
#[derive(Debug)]
pub(in crate::app) struct Named {
    /// The listener, `admin` for the admin listener.
    pub name: String,
    /// Its address in the config; port 0 stays 0.
    pub bind: Endpoint,
    pub socket: Listening,
}

/// Finds what a listener named `name` with the address `bind` can take over: the socket that has this address, or, for port
/// 0, the one that was bound under the same name.
pub(in crate::app) fn take(all: &mut Vec<Named>, name: &str, bind: &Endpoint) -> Option<Listening> {
    let has_address = |named: &Named| named.socket.endpoint().is_ok_and(|real| real == *bind);
    let at = all.iter().position(has_address);
    let at = at.or_else(|| all.iter().position(|named| named.name == name && named.bind == *bind))?;
    Some(all.swap_remove(at).socket)
}

/// Sends the sockets to whoever listens at `path`. Blocks.
pub(super) fn send(path: &Path, sockets: &[Listening]) -> io::Result<()> {
    let path = path.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
    let numbers: Vec<usize> = (0..sockets.len()).collect();
    for some in numbers.chunks(AT_ONCE) {
        let mut fds = Fds::new();
        for number in some {
            // Each goes under its place in the list that the new process was told.
            fds.add(number.to_string(), sockets[*number].raw_fd());
        }
        fds.send_to_sock(path).map_err(|errno| io::Error::from_raw_os_error(errno as i32))?;
    }
    Ok(())
}

/// Waits at `listener` for `count` sockets; they come in the order of the sender's list. `talk` is another connection of the
/// sender's: when that ends, so does the wait. Blocks.
pub(super) fn receive(listener: &UnixListener, talk: impl AsFd, count: usize) -> io::Result<Vec<Listening>> {
    let mut all: Vec<Option<Listening>> = (0..count).map(|_| None).collect();
    while all.iter().any(Option::is_none) {
        let mut both = [PollFd::new(listener, PollFlags::IN), PollFd::new(&talk, PollFlags::RDHUP)];
        poll(&mut both, Some(&patience()))?;
        if !both[0].revents().contains(PollFlags::IN) {
            let is_gone = both[1].revents().intersects(PollFlags::RDHUP | PollFlags::HUP);
            return Err(if is_gone { io::ErrorKind::UnexpectedEof } else { io::ErrorKind::TimedOut }.into());
        }
        let (stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        for (number, socket) in message(&stream)? {
            *all.get_mut(number).ok_or(io::ErrorKind::InvalidData)? = Some(Listening::handed_over(socket)?);
        }
    }
    Ok(all.into_iter().flatten().collect())
}

fn patience() -> Timespec {
    Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 }
}

/// One message of pingora's: names with blanks between them, and as many descriptors.
fn message(stream: &UnixStream) -> io::Result<Vec<(usize, OwnedFd)>> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(AT_ONCE))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut names = [0; NAMES];
    let got = recvmsg(stream, &mut [IoSliceMut::new(&mut names)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            sockets.extend(some);
        }
    }
    let names = std::str::from_utf8(&names[..got.bytes]).map_err(|_| io::ErrorKind::InvalidData)?;
    let numbers: Result<Vec<usize>, _> = names.split_ascii_whitespace().map(str::parse).collect();
    let numbers = numbers.map_err(|_| io::ErrorKind::InvalidData)?;
    if numbers.is_empty() || numbers.len() != sockets.len() || got.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(numbers.into_iter().zip(sockets).collect())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpStream, thread};

    use super::*;
    use crate::app::upgrade::folder::Folder;

    fn any() -> Endpoint {
        ([127, 0, 0, 1], 0).into()
    }

    fn named(name: &str) -> Named {
        Named { name: name.into(), bind: any(), socket: Listening::bind(&any(), 0).unwrap() }
    }

    #[test]
    fn sockets_arrive_in_order_with_those_who_wait_in_their_queues() {
        let folder = Folder::new().unwrap();
        let listener = UnixListener::bind(folder.sockets()).unwrap();
        let ours: Vec<Listening> = (0..AT_ONCE + 3).map(|_| Listening::bind(&any(), 0).unwrap()).collect();
        let addresses: Vec<Endpoint> = ours.iter().map(|socket| socket.endpoint().unwrap()).collect();
        let waiting = TcpStream::connect(addresses[1].tcp().unwrap()).unwrap();
        let (path, count) = (folder.sockets(), ours.len());
        let sender = thread::spawn(move || send(&path, &ours));
        let (talk, _other) = UnixStream::pair().unwrap();
        let theirs = receive(&listener, &talk, count).unwrap();
        sender.join().unwrap().unwrap();
        let arrived: Vec<Endpoint> = theirs.iter().map(|socket| socket.endpoint().unwrap()).collect();
        assert_eq!(arrived, addresses);
        let second = theirs.into_iter().nth(1).unwrap().into_tcp().unwrap();
        second.set_nonblocking(false).unwrap();
        assert_eq!(second.accept().unwrap().1, waiting.local_addr().unwrap());
    }

    #[test]
    fn a_sender_that_is_gone_is_not_waited_for() {
        let folder = Folder::new().unwrap();
        let listener = UnixListener::bind(folder.sockets()).unwrap();
        let (talk, other) = UnixStream::pair().unwrap();
        drop(other);
        assert_eq!(receive(&listener, &talk, 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_message_without_sockets_is_refused() {
        let (one, other) = UnixStream::pair().unwrap();
        io::Write::write_all(&mut &one, b"0").unwrap();
        assert_eq!(message(&other).unwrap_err().kind(), io::ErrorKind::InvalidData);
        drop(one);
        assert_eq!(message(&other).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_listener_takes_its_address_first_and_its_name_for_port_0() {
        let mut all = vec![named("a"), named("b")];
        let (a, b) = (all[0].socket.endpoint().unwrap(), all[1].socket.endpoint().unwrap());
        assert!(take(&mut all, "c", &any()).is_none());
        assert_eq!(take(&mut all, "renamed", &b).unwrap().endpoint().unwrap(), b);
        assert_eq!(take(&mut all, "a", &any()).unwrap().endpoint().unwrap(), a);
        assert!(all.is_empty());
    }
}
