//! The accept loop of both modes: a pingora service that hands out bare tokio sockets.
//!
//! Pingora's own listening service wraps each socket into a buffered `Stream`, which costs 26-44 KiB for an idle client
//! and about 8 % CPU a message (DESIGN section 7). So this is a service beside it, under the same shutdown watch.

mod entry;
mod listening;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use pingora_core::{
    server::{ListenFds, ShutdownWatch},
    services::Service,
};
use tokio::{
    select,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::sleep,
};
use tracing::{debug, error, warn};

use self::entry::Entered;
pub use self::{entry::Entry, listening::Listening};
use crate::{
    backend::{Plain, Socket},
    model::Peer,
    telemetry::{Held, ListenerMetrics, Rejection, logs::Sparing},
    tls::Name,
};

/// Connections that the kernel keeps for us between two accepts.
const BACKLOG: i32 = 4096;

/// The longest pause after a failed accept; the first is `FIRST_PAUSE`.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Long enough that a full descriptor table does not spin a core, short enough that nobody notices.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// So many who are not let in are told of in a second.
const TOLD: u32 = 10;

/// What is done with a client that was let in. It must not block: it spawns a (tracked) task and returns.
pub type Handler = Arc<dyn Fn(Visitor) + Send + Sync>;

/// A client that was let in.
#[derive(Debug)]
pub struct Visitor {
    /// Its connection.
    pub socket: Socket,
    /// Where it comes from.
    pub peer: Peer,
    /// Its place.
    pub seat: Seat,
    /// Where it went, as a load balancer in front of us says.
    pub destination: Option<SocketAddr>,
    /// Who its certificate says that it is; `None` without one.
    pub certificate: Option<Box<[Name]>>,
}

/// A client's place at its listener: counted in `pilotfish_clients` and against the limit until it is dropped.
#[derive(Debug)]
pub struct Seat {
    _client: Held,
    _permit: OwnedSemaphorePermit,
}

/// Holds listeners back while another process is about to take their sockets over: those who come wait in the kernel's queue.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Gate {
    /// Nobody is accepted any more. A listener that is stopped now leaves its queue to whoever else has the socket.
    pub fn shut(&self) {
        self.0.send_replace(true);
    }

    /// As before.
    pub fn open(&self) {
        self.0.send_replace(false);
    }

    fn is_shut(&self) -> bool {
        *self.0.borrow()
    }

    async fn becomes(&self, shut: bool) {
        // The sender is ours, so this does not fail.
        let _ = self.0.subscribe().wait_for(|now| *now == shut).await;
    }
}

/// A bound socket, its limit, and what to do with those who come.
pub struct Listener {
    name: String,
    socket: Option<Listening>,
    seats: Arc<Semaphore>,
    metrics: Arc<ListenerMetrics>,
    handler: Handler,
    rejected: Sparing,
    turned: Arc<Sparing>,
    entry: Option<Arc<Entry>>,
    gate: Gate,
}

impl Listener {
    /// A listener over a bound socket. A client beyond `max_clients` is accepted and closed at once, because in
    /// the kernel's queue it would only wait without knowing why.
    pub fn new(
        name: &str,
        socket: Listening,
        max_clients: usize,
        metrics: Arc<ListenerMetrics>,
        handler: Handler,
    ) -> Self {
        Self {
            name: name.to_owned(),
            socket: Some(socket),
            seats: Arc::new(Semaphore::new(max_clients.min(Semaphore::MAX_PERMITS))),
            metrics,
            handler,
            rejected: Sparing::new(Duration::from_secs(10)),
            turned: Arc::new(Sparing::of(TOLD, Duration::from_secs(1))),
            entry: None,
            gate: Gate::default(),
        }
    }

    /// The same, behind a gate.
    pub fn behind(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// The same, with something that clients have to go through.
    pub fn through(mut self, entry: Option<Entry>) -> Self {
        self.entry = entry.map(Arc::new);
        self
    }

    /// Accepts until `stop` is ready, then hands out what already waits in the kernel's queue and closes the socket.
    /// Nobody who saw the port open is reset: those last ones are told by the handler that we are going away. Behind a gate
    /// that is shut they are another process's.
    pub async fn accept_until(&mut self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Some(socket) = self.socket.take() else { return Ok(()) };
        let socket = socket.into_acceptor()?;
        let mut stop = std::pin::pin!(stop);
        let mut pause = Pause::default();
        loop {
            if self.gate.is_shut() {
                select! {
                    biased;
                    () = &mut stop => break,
                    () = self.gate.becomes(false) => {}
                }
            }
            let accepted = select! {
                biased;
                () = &mut stop => break,
                () = self.gate.becomes(true) => continue,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = Pause::default();
                    self.admit(stream, peer);
                    // Others on this thread have their turn, and sockets are looked at: with tokio's own 128 accepts at a
                    // time a flood of connections made its neighbours' p99 12.9 ms, so 3.5 ms (2026-11-25, one core).
                    tokio::task::yield_now().await;
                }
                Err(failure) => {
                    self.metrics.rejected.get(Rejection::Failed).inc();
                    let Some(wait) = pause.after(&failure) else { continue };
                    warn!(listener = self.name, reason = %failure, "cannot accept, pausing for {wait:?}");
                    select! {
                        biased;
                        () = &mut stop => break,
                        () = sleep(wait) => {}
                    }
                }
            }
        }
        if !self.gate.is_shut() {
            let socket = socket.into_listening()?;
            socket.remove_file();
            self.empty_queue(&socket);
        }
        Ok(())
    }

    fn admit(&self, stream: Plain, peer: Peer) {
        let Ok(permit) = self.seats.clone().try_acquire_owned() else {
            self.metrics.rejected.get(Rejection::Capacity).inc();
            if let Some(left_out) = self.rejected.pass() {
                warn!(listener = self.name, left_out, "max_clients reached, closing new clients");
            }
            return;
        };
        if let Some(Err(failure)) = stream.tcp().map(|tcp| tcp.set_nodelay(true)) {
            debug!(listener = self.name, client.addr = %peer, reason = %failure, "client was gone before it was served");
            self.metrics.rejected.get(Rejection::Failed).inc();
            return;
        }
        self.metrics.accepted.inc();
        let seat = Seat { _client: Held::one(&self.metrics.clients), _permit: permit };
        match self.entry.as_ref().filter(|entry| entry.concerns(&peer)) {
            None => (self.handler)(Visitor { socket: stream.into(), peer, seat, destination: None, certificate: None }),
            Some(entry) => self.take_through(entry, stream, peer, seat),
        }
    }

    /// The client holds its place meanwhile.
    fn take_through(&self, entry: &Arc<Entry>, stream: Plain, peer: Peer, seat: Seat) {
        let (entry, handler, turned) = (entry.clone(), self.handler.clone(), self.turned.clone());
        let (metrics, name) = (self.metrics.clone(), self.name.clone());
        let tracker = entry.tracker.clone();
        tracker.spawn(async move {
            match entry.pass(stream, peer).await {
                Ok(Entered { socket, peer, destination, certificate }) => {
                    handler(Visitor { socket, peer, seat, destination, certificate });
                }
                Err(why) => {
                    metrics.rejected.get(why.rejection()).inc();
                    match turned.pass() {
                        Some(left_out) => {
                            warn!(listener = name, client.addr = %peer, left_out, reason = %why, "client not let in");
                        }
                        None => debug!(listener = name, client.addr = %peer, reason = %why, "client not let in"),
                    }
                }
            }
        });
    }

    fn empty_queue(&self, socket: &Listening) {
        for _ in 0..BACKLOG {
            match socket.accept_waiting() {
                None => return,
                Some(Ok((stream, peer))) => self.admit(stream, peer),
                Some(Err(_)) => self.metrics.rejected.get(Rejection::Failed).inc(),
            }
        }
    }
}

#[async_trait]
impl Service for Listener {
    /// Runs until the watch says stop or its sender is gone. The socket is bound already, so the descriptors of an
    /// older process are not asked; one loop is enough, so `listeners_per_fd` is not either.
    async fn start_service(&mut self, _: Option<ListenFds>, mut shutdown: ShutdownWatch, _: usize) {
        let stop = async move {
            // An error means that the sender is gone: nobody could ever tell us to stop, so we stop.
            let _ = shutdown.wait_for(|stop| *stop).await;
        };
        if let Err(failure) = self.accept_until(stop).await {
            error!(listener = self.name, reason = %failure, "listener ended");
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// How long to wait after an accept that failed.
#[derive(Debug, Default)]
struct Pause(Option<Duration>);

impl Pause {
    /// `None` when the failure was that one client's; otherwise (no descriptors, no memory) a pause that doubles.
    fn after(&mut self, failure: &io::Error) -> Option<Duration> {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if matches!(failure.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            return None;
        }
        let wait = self.0.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
        self.0 = Some(wait);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::{
        net::TcpStream,
        sync::{mpsc, watch},
    };

    use super::*;
    use crate::{model::Endpoint, telemetry::Metrics};

    const EMFILE: i32 = 24;

    fn local() -> (Listening, SocketAddr) {
        let socket = Listening::bind(&([127, 0, 0, 1], 0).into(), 0).unwrap();
        let address = socket.endpoint().unwrap().tcp().unwrap();
        (socket, address)
    }

    fn here(stream: &TcpStream) -> Peer {
        stream.local_addr().unwrap().into()
    }

    #[test]
    fn a_full_descriptor_table_is_waited_for_longer_and_longer() {
        let mut pause = Pause::default();
        let full = io::Error::from_raw_os_error(EMFILE);
        let waits: Vec<_> = (0..12).map(|_| pause.after(&full).unwrap()).collect();
        assert_eq!(waits[0], FIRST_PAUSE);
        assert_eq!(waits[1], FIRST_PAUSE * 2);
        assert_eq!(waits[11], LONGEST_PAUSE);
        assert_eq!(pause.after(&io::ErrorKind::ConnectionAborted.into()), None);
    }

    #[test]
    fn a_taken_port_is_an_error_at_once() {
        let (_first, addr) = local();
        let error = Listening::bind(&Endpoint::Tcp(addr), 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn serves_until_the_watch_says_stop_and_frees_the_port() {
        let metrics = Metrics::new(&[]).unwrap().listener("sdk");
        let (socket, addr) = local();
        let (seen, mut seats) = mpsc::channel(4);
        let handler: Handler = Arc::new(move |client| drop(seen.try_send((client.peer, client.seat))));
        let mut listener = Listener::new("sdk", socket, 10, metrics.clone(), handler);
        let (stop, stopped) = watch::channel(false);
        let service = tokio::spawn(async move { Service::start_service(&mut listener, None, stopped, 1).await });

        let client = TcpStream::connect(addr).await.unwrap();
        let (peer, seat) = seats.recv().await.unwrap();
        assert_eq!(peer, here(&client));
        assert_eq!(metrics.clients.get(), 1);
        drop(seat);
        assert_eq!((metrics.clients.get(), metrics.accepted.get()), (0, 1));

        stop.send_replace(true);
        service.await.unwrap();
        Listening::bind(&Endpoint::Tcp(addr), 0).unwrap();
    }

    #[tokio::test]
    async fn one_client_too_many_is_closed_and_counted() {
        let metrics = Metrics::new(&[]).unwrap().listener("sdk");
        let (socket, addr) = local();
        let (seen, mut seats) = mpsc::channel(4);
        let handler: Handler = Arc::new(move |client| drop(seen.try_send((client.socket, client.seat))));
        let mut listener = Listener::new("sdk", socket, 1, metrics.clone(), handler);
        let (stop, stopped) = watch::channel(false);
        let service = tokio::spawn(async move { Service::start_service(&mut listener, None, stopped, 1).await });

        let _first = TcpStream::connect(addr).await.unwrap();
        let seat = seats.recv().await.unwrap();
        let second = TcpStream::connect(addr).await.unwrap();
        second.readable().await.unwrap();
        assert_eq!(second.try_read(&mut [0; 1]).unwrap(), 0);
        assert_eq!(metrics.rejected.get(Rejection::Capacity).get(), 1);

        drop(seat);
        let _third = TcpStream::connect(addr).await.unwrap();
        seats.recv().await.unwrap();
        stop.send_replace(true);
        service.await.unwrap();
    }

    #[tokio::test]
    async fn behind_a_shut_gate_clients_wait_for_whoever_has_the_socket() {
        let metrics = Metrics::new(&[]).unwrap().listener("sdk");
        let (socket, addr) = local();
        let successor = socket.try_clone().unwrap().into_tcp().unwrap();
        let (seen, mut seats) = mpsc::channel(4);
        let handler: Handler = Arc::new(move |client| drop(seen.try_send((client.socket, client.peer))));
        let gate = Gate::default();
        let mut listener = Listener::new("sdk", socket, 10, metrics, handler).behind(gate.clone());
        let (stop, stopped) = watch::channel(false);
        let service = tokio::spawn(async move { Service::start_service(&mut listener, None, stopped, 1).await });
        let first = TcpStream::connect(addr).await.unwrap();
        assert_eq!(seats.recv().await.unwrap().1, here(&first));
        gate.shut();
        gate.open();
        let second = TcpStream::connect(addr).await.unwrap();
        assert_eq!(seats.recv().await.unwrap().1, here(&second), "nobody took over");
        gate.shut();
        let third = TcpStream::connect(addr).await.unwrap();
        stop.send_replace(true);
        service.await.unwrap();
        assert!(seats.try_recv().is_err());
        successor.set_nonblocking(false).unwrap();
        assert_eq!(successor.accept().unwrap().1, third.local_addr().unwrap());
    }

    #[tokio::test]
    async fn those_in_the_queue_at_the_stop_are_served() {
        let metrics = Metrics::new(&[]).unwrap().listener("sdk");
        let (socket, addr) = local();
        let (seen, mut seats) = mpsc::channel(4);
        let handler: Handler = Arc::new(move |client| seen.try_send(client.peer).unwrap());
        let client = std::net::TcpStream::connect(addr).unwrap();
        let mut listener = Listener::new("sdk", socket, 10, metrics, handler);
        listener.accept_until(std::future::ready(())).await.unwrap();
        let served = seats.recv().await.unwrap();
        assert_eq!(served, client.local_addr().unwrap().into());
    }
}
