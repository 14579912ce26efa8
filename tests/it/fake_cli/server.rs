//! The process: its listener, its life and its death.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};
use tokio_util::sync::CancellationToken;

use super::{conn, conn::Conn, live::State, outbox::Close, script::usual_turn, shapes, storage::Storage};

/// What a fake is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `COPILOT_CONNECTION_TOKEN`.
    pub token: Option<String>,
    /// Its disk; clone one into several fakes for shared storage.
    pub storage: Storage,
    /// What `connect` and `ping` say, 3 unless told.
    pub protocol_version: Option<u64>,
}

/// One fake CLI. Dropping it kills it.
pub struct FakeCli {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub name: String,
    addr: Mutex<SocketAddr>,
    pub options: Options,
    pub changed: watch::Sender<()>,
    pub frozen: watch::Sender<bool>,
    state: Mutex<State>,
    process: Mutex<(CancellationToken, Close)>,
    budget: AtomicU64,
}

/// Sockets that hold the ports of fakes for as long as the tests run, so that nobody else has one while its fake is dead.
static HELD: Mutex<Vec<socket2::Socket>> = Mutex::new(Vec::new());

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let bind = |addr: SocketAddr| {
        let socket = socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&addr.into())?;
        socket.set_nonblocking(true)?;
        std::io::Result::Ok(socket)
    };
    let socket = bind(addr)?;
    if addr.port() == 0 {
        let held = socket.local_addr()?.as_socket().ok_or(std::io::ErrorKind::Other)?;
        HELD.lock().unwrap().push(bind(held)?);
    }
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

impl FakeCli {
    /// A fake with storage of its own and no token, on a free port of loopback.
    pub async fn start(name: &str) -> Self {
        Self::with(name, Options::default()).await
    }

    /// A fake with `options`.
    pub async fn with(name: &str, options: Options) -> Self {
        Self::at(name, "127.0.0.1:0".parse().expect("an address"), options).await
    }

    /// The same at an address of its own.
    pub async fn at(name: &str, addr: SocketAddr, options: Options) -> Self {
        let listener = listen(addr).expect("a free port");
        let addr = listener.local_addr().expect("the bound address");
        let inner = Arc::new(Inner::new(name, addr, options));
        inner.run(listener);
        Self { inner }
    }

    /// Where it listens, also after [`FakeCli::restart`].
    pub fn addr(&self) -> SocketAddr {
        *self.inner.addr.lock().unwrap()
    }

    /// Its name in the pool.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Ends the process: the listener closes, every connection ends as `how` says, live sessions are forgotten with what
    /// they did since their last finished turn.
    pub fn die(&self, how: Close) {
        self.inner.die(how);
    }

    /// Starts a dead one again at the same address; only its storage is as before.
    pub async fn restart(&self) {
        self.restart_at(self.addr()).await;
    }

    /// Starts a dead one again at another address.
    pub async fn restart_elsewhere(&self) -> SocketAddr {
        self.restart_at("127.0.0.1:0".parse().expect("an address")).await
    }

    async fn restart_at(&self, addr: SocketAddr) -> SocketAddr {
        self.inner.die(Close::Fin);
        let listener = listen(addr).expect("a free port, or its own again");
        let addr = listener.local_addr().expect("the bound address");
        *self.inner.addr.lock().unwrap() = addr;
        *self.inner.process.lock().unwrap() = (CancellationToken::new(), Close::Fin);
        self.inner.budget.store(u64::MAX, Ordering::Relaxed);
        self.inner.run(listener);
        addr
    }

    /// Dies as soon as it has written `bytes` more bytes, over all connections: in the middle of a frame if that is where it falls.
    pub fn die_after_bytes(&self, bytes: u64) {
        self.inner.budget.store(bytes, Ordering::Relaxed);
    }

    /// As SIGSTOP: the kernel still accepts, nothing is read, answered or written.
    pub fn freeze(&self) {
        self.inner.frozen.send_replace(true);
    }

    /// As SIGCONT.
    pub fn thaw(&self) {
        self.inner.frozen.send_replace(false);
    }
}

impl Drop for FakeCli {
    fn drop(&mut self) {
        self.inner.die(Close::Fin);
    }
}

impl Inner {
    fn new(name: &str, addr: SocketAddr, options: Options) -> Self {
        let state = State {
            process: name.into(),
            storage: options.storage.clone(),
            conns: Default::default(),
            accepted: 0,
            live: Default::default(),
            most_live: 0,
            asked: Default::default(),
            frames: Vec::new(),
            rules: Vec::new(),
            reversed: Vec::new(),
            steps: usual_turn(),
            muted: false,
            write_through: false,
        };
        Self {
            name: name.into(),
            addr: Mutex::new(addr),
            options,
            changed: watch::Sender::new(()),
            frozen: watch::Sender::new(false),
            state: Mutex::new(state),
            process: Mutex::new((CancellationToken::new(), Close::Fin)),
            budget: AtomicU64::new(u64::MAX),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How the process ended (meaningful once its token is cancelled).
    pub fn ending(&self) -> Close {
        self.process.lock().unwrap().1
    }

    pub fn die(&self, how: Close) {
        let mut process = self.process.lock().unwrap();
        process.1 = how;
        process.0.cancel();
        drop(process);
        let mut state = self.state();
        for (session, live) in std::mem::take(&mut state.live) {
            live.turn.iter().for_each(CancellationToken::cancel);
            state.storage.claim(&session, None);
            state.storage.tidy(&session);
            state.storage.disk().homes.leave(&session, &self.name);
        }
        (state.muted, state.write_through) = (false, false);
        state.reversed.clear();
        state.conns.clear();
        state.asked.clear();
        drop(state);
        self.changed.send_replace(());
    }

    /// How many of `wanted` bytes may still be written.
    pub fn spend(&self, wanted: usize) -> usize {
        let wanted = wanted as u64;
        let before = self
            .budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                (left != u64::MAX).then(|| left.saturating_sub(wanted))
            })
            .unwrap_or(u64::MAX);
        before.min(wanted) as usize
    }

    pub fn is_spent(&self) -> bool {
        self.budget.load(Ordering::Relaxed) == 0
    }

    /// Sends a request of the server to the connection that attached last; `params` are fields of JSON text.
    pub fn ask(&self, session: &str, method: &str, params: &str) -> Option<oneshot::Receiver<Value>> {
        let mut state = self.state();
        let conn = *state.live.get(session)?.attached.last()?;
        let id = state.conns.get(&conn)?.next_request();
        let (answer, answered) = oneshot::channel();
        state.asked.insert((conn, id), answer);
        let comma = if params.is_empty() { "" } else { "," };
        let params = format!(r#"{{"sessionId":{}{comma}{params}}}"#, shapes::quote(session));
        state.push(conn, shapes::request(id, method, &params));
        Some(answered)
    }

    fn run(self: &Arc<Self>, listener: TcpListener) {
        let process = self.process.lock().unwrap().0.clone();
        let inner = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = process.cancelled() => {}
                () = conn::while_thawed(inner.frozen.subscribe(), inner.accept(listener, &process)) => {}
            }
        });
    }

    async fn accept(self: &Arc<Self>, listener: TcpListener, process: &CancellationToken) {
        while let Ok((stream, _)) = listener.accept().await {
            let conn = {
                let mut state = self.state();
                state.accepted += 1;
                let conn = Arc::new(Conn::new(state.accepted));
                state.conns.insert(conn.id, conn.clone());
                conn
            };
            self.changed.send_replace(());
            tokio::spawn(conn::serve(self.clone(), conn, stream, process.clone()));
        }
    }
}
