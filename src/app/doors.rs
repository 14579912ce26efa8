//! Sockets: all bound before anything starts, opened when everything behind them stands.

use std::{sync::Arc, time::Instant};

use pingora_core::services::Service as _;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    App, AppError, Bound, build,
    seen::Seen,
    upgrade::{self, Named},
};
use crate::{
    admin,
    config::{Config, Mode},
    model::Endpoint,
    pool::Load,
    route::{Quarters, Router},
    serve::{
        accept::{Entry, Gate, Listener, Listening},
        connection::{Choose, ConnectionMode},
        session::{SessionMode, Shared},
    },
};

/// What the admin listener is called beside the config's own.
const ADMIN: &str = "admin";

/// Bound sockets in the order of the config, the admin listener's last.
pub(super) struct Doors {
    listeners: Vec<(Mode, Named)>,
    admin: Named,
}

/// The running accept loops.
pub(super) struct Open {
    loops: JoinSet<()>,
    stop: watch::Sender<bool>,
    /// Shut, the loops rest; stopped then, they leave who waits to another process that has the sockets.
    pub gate: Gate,
    /// Leaves the admin address to another process.
    pub retire_admin: CancellationToken,
    /// All of them once more, the admin listener's too, for a process that takes over.
    pub sockets: Vec<Named>,
}

impl Doors {
    /// Binds them all, except for those that another process handed over.
    pub(super) fn bind(config: &Config, handed_over: &mut Vec<Named>) -> Result<Self, AppError> {
        let mut bind = |name: &str, bind: Endpoint, mode: u32| {
            let socket = upgrade::take(handed_over, name, &bind).map_or_else(|| Listening::bind(&bind, mode), Ok);
            match socket {
                Ok(socket) => Ok(Named { name: name.into(), bind, socket }),
                Err(source) => Err(AppError::Bind { name: name.into(), address: bind, source }),
            }
        };
        // The admin listener first: for port 0 its name decides, and no other listener may take what is its own.
        let admin = bind(ADMIN, config.admin.bind.into(), 0)?;
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            listeners.push((listener.mode, bind(&listener.name, listener.bind.clone(), listener.socket_mode)?));
        }
        Ok(Self { listeners, admin })
    }

    /// The addresses, with real ports.
    pub(super) fn bound(&self) -> Result<Vec<Bound>, AppError> {
        let mut all = Vec::new();
        for (mode, named) in &self.listeners {
            all.push(Bound { name: named.name.clone(), mode: mode.as_str(), address: named.socket.endpoint()? });
        }
        all.push(Bound { name: ADMIN.into(), mode: ADMIN, address: self.admin.socket.endpoint()? });
        Ok(all)
    }

    /// Opens all: each listener is a pingora service on our own runtime.
    pub(super) fn open(self, app: &Arc<App>, seen: Arc<Seen>, admin_end: &CancellationToken) -> Result<Open, AppError> {
        let (stop, stopped) = watch::channel(false);
        let mut loops = JoinSet::new();
        let gate = Gate::default();
        let mut sockets = vec![again(&self.admin)?];
        let admin = tokio::net::TcpListener::from_std(self.admin.socket.into_tcp()?)?;
        let retire_admin = CancellationToken::new();
        let (end, retired) = (admin_end.clone(), retire_admin.clone());
        tokio::spawn(async move {
            if let Err(error) = admin::serve_until_retired(admin, seen, retired, end).await {
                tracing::error!(reason = %error, "admin listener ended");
            }
        });
        for ((_, named), set) in self.listeners.into_iter().zip(&app.config.listeners) {
            sockets.push(again(&named)?);
            let Named { name, socket, .. } = named;
            let metrics = app.metrics.listener(&name);
            let handler = match set.mode {
                Mode::Session => session_mode(app, set).handler(),
                Mode::Connection => connection_mode(app, set).handler(),
            };
            let listener = Listener::new(&name, socket, set.max_clients, metrics, handler);
            let mut listener = listener.behind(gate.clone()).through(entry(app, set));
            let stopped = stopped.clone();
            loops.spawn(async move { listener.start_service(None, stopped, 1).await });
        }
        Ok(Open { loops, stop, gate, retire_admin, sockets })
    }
}

impl Open {
    /// Closes the listeners' sockets.
    pub(super) async fn close(mut self) {
        self.sockets.clear();
        self.stop.send_replace(true);
        while self.loops.join_next().await.is_some() {}
    }
}

/// What clients of a listener go through first; nothing where they come plain and from nobody else's hand.
fn entry(app: &App, set: &crate::config::Listener) -> Option<Entry> {
    let tls = app.certificates.of_listener(&set.name);
    (tls.is_some() || !set.proxy_protocol_from.is_empty()).then(|| Entry {
        proxies: set.proxy_protocol_from.clone(),
        tls,
        limit: set.session.header_timeout,
        lobby: app.tenants.lobby(),
        door: app.tenants.door(),
        tracker: app.stop.clients.clone(),
        kill: app.stop.stage.kill.clone(),
    })
}

/// A second descriptor of the same socket.
fn again(named: &Named) -> Result<Named, AppError> {
    Ok(Named { name: named.name.clone(), bind: named.bind.clone(), socket: named.socket.try_clone()? })
}

fn session_mode(app: &App, set: &crate::config::Listener) -> SessionMode {
    let (squadron, pool) = (&app.fleet.pools[&set.pool], &app.config.pools[&set.pool]);
    let wall = app.tenants.wall(&set.pool);
    SessionMode::new(Shared {
        dialer: squadron.dialer.clone(),
        settings: build::session(set, pool, wall.as_deref(), app.config.admin.tenant_metrics),
        router: Router::new(squadron.pool.clone(), squadron.registry.clone()),
        quarters: squadron.instances.clone().map(|instances| instances as Arc<dyn Quarters>),
        wall,
        login: app.tenants.login(&set.name),
        patience: app.tenants.patience(),
        lobby: app.tenants.lobby(),
        door: app.tenants.door(),
        metrics: app.metrics.clone(),
        listener: app.metrics.listener(&set.name),
        pool: app.metrics.pool(&set.pool),
        tracker: app.stop.clients.clone(),
        stage: app.stop.stage.clone(),
        clients: app.stop.numbers.clone(),
    })
}

fn connection_mode(app: &App, set: &crate::config::Listener) -> ConnectionMode {
    let (squadron, pool) = (&app.fleet.pools[&set.pool], &app.config.pools[&set.pool]);
    let members = squadron.pool.clone();
    let choose: Choose = Arc::new(move |client, tried| {
        let key = crate::balance::hash_key(client.host().to_string().as_bytes());
        let tried: Vec<&str> = tried.iter().map(|member| &*member.name).collect();
        members.place(key, &tried, Load::Links, Instant::now())
    });
    ConnectionMode {
        settings: build::connection(set, pool),
        dialer: squadron.dialer.clone(),
        choose,
        metrics: app.metrics.clone(),
        listener: app.metrics.listener(&set.name),
        tracker: app.stop.clients.clone(),
        kill: app.stop.stage.kill.clone(),
    }
}
