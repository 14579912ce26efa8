//! Bound sockets: ports and Unix sockets, as this process made them or another one handed them over.

use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::{
            fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
    sync::Arc,
};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::BACKLOG;
use crate::{
    backend::Plain,
    model::{Endpoint, Peer},
};

/// Which file it is that a path leads to.
type FileId = (u64, u64);

/// A bound socket.
#[derive(Debug)]
pub enum Listening {
    /// A port.
    Tcp(std::net::TcpListener),
    /// A Unix socket, its path, and the file that this path led to.
    Unix(UnixListener, Arc<Path>, Option<FileId>),
}

impl Listening {
    /// Binds `endpoint` now (port 0 works), so that a clash is an error of the caller and not a retry loop in a task. The
    /// socket does not block and may be bound again right after a restart. A Unix socket gets the permissions `mode`; one that
    /// lies there already is taken away only if nobody answers at it.
    pub fn bind(endpoint: &Endpoint, mode: u32) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let socket = Socket::new(Domain::for_address(*address), Type::STREAM, Some(Protocol::TCP))?;
                socket.set_reuse_address(true)?;
                socket.set_nonblocking(true)?;
                socket.bind(&(*address).into())?;
                socket.listen(BACKLOG)?;
                Ok(Self::Tcp(socket.into()))
            }
            Endpoint::Unix(path) => {
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                socket.set_nonblocking(true)?;
                bind_path(&socket, path)?;
                // Nobody gets in before `listen`, so nobody does with other permissions.
                fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
                socket.listen(BACKLOG)?;
                Ok(Self::Unix(OwnedFd::from(socket).into(), path.clone(), file_id(path)))
            }
        }
    }

    /// One that another process bound.
    pub fn handed_over(socket: OwnedFd) -> io::Result<Self> {
        let address = SockRef::from(&socket).local_addr()?;
        if address.as_socket().is_some() {
            return Ok(Self::Tcp(socket.into()));
        }
        let path: Arc<Path> = address.as_pathname().ok_or(io::ErrorKind::InvalidInput)?.into();
        let file = file_id(&path);
        Ok(Self::Unix(socket.into(), path, file))
    }

    /// Where it listens, with the port that it really got.
    pub fn endpoint(&self) -> io::Result<Endpoint> {
        match self {
            Self::Tcp(listener) => Ok(Endpoint::Tcp(listener.local_addr()?)),
            Self::Unix(_, path, _) => Ok(Endpoint::Unix(path.clone())),
        }
    }

    /// A second descriptor of the same socket.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(listener) => Self::Tcp(listener.try_clone()?),
            Self::Unix(listener, path, file) => Self::Unix(listener.try_clone()?, path.clone(), *file),
        })
    }

    /// The port's listener, where it is one.
    pub fn into_tcp(self) -> io::Result<std::net::TcpListener> {
        match self {
            Self::Tcp(listener) => Ok(listener),
            Self::Unix(..) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The number of its descriptor.
    pub fn raw_fd(&self) -> i32 {
        self.as_fd().as_raw_fd()
    }

    /// Takes the file of a Unix socket away, unless another one has come in its place.
    pub(super) fn remove_file(&self) {
        if let Self::Unix(_, path, file) = self
            && file.is_some()
            && file_id(path) == *file
        {
            let _ = fs::remove_file(path);
        }
    }

    pub(super) fn into_acceptor(self) -> io::Result<Acceptor> {
        Ok(match self {
            Self::Tcp(listener) => Acceptor::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Self::Unix(listener, path, file) => {
                Acceptor::Unix(tokio::net::UnixListener::from_std(listener)?, path, file)
            }
        })
    }

    /// Asks the kernel itself for the next client: tokio's view of the socket may lag behind. `None`: nobody waits.
    pub(super) fn accept_waiting(&self) -> Option<io::Result<(Plain, Peer)>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().ok()?;
                let stream = stream.set_nonblocking(true).and_then(|()| tokio::net::TcpStream::from_std(stream));
                Some(stream.map(|stream| (Plain::Tcp(stream), peer.into())))
            }
            Self::Unix(listener, ..) => {
                let (stream, _) = listener.accept().ok()?;
                let stream = stream.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(stream));
                Some(stream.and_then(local))
            }
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, ..) => listener.as_fd(),
        }
    }
}

/// The same on a runtime.
pub(super) enum Acceptor {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener, Arc<Path>, Option<FileId>),
}

impl Acceptor {
    pub(super) async fn accept(&self) -> io::Result<(Plain, Peer)> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, peer)| (Plain::Tcp(stream), peer.into())),
            Self::Unix(listener, ..) => local(listener.accept().await?.0),
        }
    }

    pub(super) fn into_listening(self) -> io::Result<Listening> {
        Ok(match self {
            Self::Tcp(listener) => Listening::Tcp(listener.into_std()?),
            Self::Unix(listener, path, file) => Listening::Unix(listener.into_std()?, path, file),
        })
    }
}

fn local(stream: tokio::net::UnixStream) -> io::Result<(Plain, Peer)> {
    let who = stream.peer_cred()?;
    let process = who.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default();
    Ok((Plain::Unix(stream), Peer::Local { user: who.uid(), process }))
}

fn bind_path(socket: &Socket, path: &Path) -> io::Result<()> {
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        bound => return bound,
    }
    let is_socket = fs::symlink_metadata(path)?.file_type().is_socket();
    // A full queue and a lack of permission are somebody, too.
    let is_left_over =
        is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if !is_left_over {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    fs::remove_file(path)?;
    socket.bind(&address)
}

fn file_id(path: &Path) -> Option<FileId> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
