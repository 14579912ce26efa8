//! What comes before a client's first byte: the header of a load balancer, and TLS. Not in the accept loop: each client has a
//! task of its own for it, with a deadline, so a slow one holds up nobody but itself.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration, time::Instant};

use thiserror::Error;
use tokio::{select, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    backend::{Plain, Socket, tls::ServerTls},
    model::{Network, Peer},
    serve::{
        door::Door,
        lobby::Lobby,
        proxy_header::{self, HeaderFault, Told},
    },
    telemetry::Rejection,
    tls::{Name, Side},
};

/// What clients of a listener go through before they are served.
pub struct Entry {
    /// Who has to begin with a header of the PROXY protocol. From others it is not taken.
    pub proxies: Vec<Network>,
    /// TLS, where the listener has it.
    pub tls: Option<ServerTls>,
    /// How long all of it may take.
    pub limit: Duration,
    /// Those of one address who are in their handshake are not too many.
    pub lobby: Arc<Lobby>,
    /// Addresses that flood.
    pub door: Arc<Door>,
    /// The tasks.
    pub tracker: TaskTracker,
    /// Ends them.
    pub kill: CancellationToken,
}

/// A client that is through.
pub(super) struct Entered {
    pub socket: Socket,
    pub peer: Peer,
    /// Where it went, as a load balancer says.
    pub destination: Option<SocketAddr>,
    /// Who its certificate says that it is; `None` without one.
    pub certificate: Option<Box<[Name]>>,
}

/// Why a client is not let in.
#[derive(Debug, Error)]
pub(super) enum Turned {
    #[error("the load balancer sent {0}")]
    Header(#[from] HeaderFault),
    #[error("{}", Side { other: "the client", trusted: "`client_ca`" }.explain(.0))]
    Tls(io::Error),
    #[error("not through in time")]
    Late,
    #[error("too many of its address are in their handshake")]
    Crowd,
    #[error("its address floods")]
    Flood,
    #[error("the proxy ends")]
    End,
}

impl Turned {
    pub(super) fn rejection(&self) -> Rejection {
        match self {
            Self::Header(_) => Rejection::ProxyHeader,
            Self::Tls(_) | Self::Late => Rejection::Handshake,
            Self::Crowd | Self::Flood => Rejection::Denied,
            Self::End => Rejection::Draining,
        }
    }
}

impl Entry {
    /// Whether a client that comes from there has anything to go through.
    pub(super) fn concerns(&self, peer: &Peer) -> bool {
        self.tls.is_some() || self.is_proxy(peer)
    }

    fn is_proxy(&self, peer: &Peer) -> bool {
        self.proxies.iter().any(|network| network.holds(peer))
    }

    /// Takes it through.
    pub(super) async fn pass(&self, stream: Plain, peer: Peer) -> Result<Entered, Turned> {
        let kill = self.kill.child_token();
        select! {
            biased;
            () = kill.cancelled() => Err(Turned::End),
            passed = timeout(self.limit, self.steps(stream, peer)) => passed.unwrap_or(Err(Turned::Late)),
        }
    }

    async fn steps(&self, mut stream: Plain, mut peer: Peer) -> Result<Entered, Turned> {
        let mut destination = None;
        if self.is_proxy(&peer)
            && let Told::Between { source, destination: to } = proxy_header::read(&mut stream).await?
        {
            (peer, destination) = (source.into(), Some(to));
        }
        let Some(tls) = &self.tls else {
            return Ok(Entered { socket: stream.into(), peer, destination, certificate: None });
        };
        let host = peer.host();
        if !self.door.admits(host, Instant::now()) {
            return Err(Turned::Flood);
        }
        let mut place = self.lobby.enter(host);
        let shaken = select! {
            shaken = tls.accept(stream) => shaken,
            () = std::future::poll_fn(|cx| place.poll_asked_to_go(cx)) => return Err(Turned::Crowd),
        };
        match shaken {
            Ok((stream, names)) => {
                let certificate =
                    Some(names.into_boxed_slice()).filter(|_| stream.get_ref().1.peer_certificates().is_some());
                Ok(Entered { socket: Socket::Tls(stream), peer, destination, certificate })
            }
            Err(error) => {
                self.door.refused(host, Instant::now());
                Err(Turned::Tls(error))
            }
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { proxies, tls, limit, .. } = self;
        f.debug_struct("Entry")
            .field("proxies", proxies)
            .field("tls", tls)
            .field("limit", limit)
            .finish_non_exhaustive()
    }
}
