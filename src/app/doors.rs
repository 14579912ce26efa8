//! Sockets: all bound before anything starts, opened when everything behind them stands.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Instant,
};

use pingora_core::services::Service as _;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{App, AppError, Bound, build, seen::Seen};
use crate::{
    admin,
    config::{Config, Mode},
    pool::Load,
    route::Router,
    serve::{
        accept::{self, Listener},
        connection::{Choose, ConnectionMode},
        session::{SessionMode, Shared},
    },
};

/// Bound sockets in the order of the config, the admin listener's last.
pub(super) struct Doors {
    listeners: Vec<(String, Mode, TcpListener)>,
    admin: TcpListener,
}

/// The running accept loops.
pub(super) struct Open {
    loops: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Doors {
    pub(super) fn bind(config: &Config) -> Result<Self, AppError> {
        let bind = |name: &str, address: SocketAddr| {
            accept::bind(address).map_err(|source| AppError::Bind { name: name.into(), address, source })
        };
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            listeners.push((listener.name.clone(), listener.mode, bind(&listener.name, listener.bind)?));
        }
        Ok(Self { listeners, admin: bind("admin", config.admin.bind)? })
    }

    /// The addresses, with real ports.
    pub(super) fn bound(&self) -> Result<Vec<Bound>, AppError> {
        let mut all = Vec::new();
        for (name, mode, socket) in &self.listeners {
            all.push(Bound { name: name.clone(), mode: mode.as_str(), address: socket.local_addr()? });
        }
        all.push(Bound { name: "admin".into(), mode: "admin", address: self.admin.local_addr()? });
        Ok(all)
    }

    /// Opens all: each listener is a pingora service on our own runtime.
    pub(super) fn open(self, app: &Arc<App>, seen: Arc<Seen>, admin_end: &CancellationToken) -> Result<Open, AppError> {
        let (stop, stopped) = watch::channel(false);
        let mut loops = JoinSet::new();
        let admin = tokio::net::TcpListener::from_std(self.admin)?;
        let end = admin_end.clone();
        tokio::spawn(async move {
            if let Err(error) = admin::serve(admin, seen, end).await {
                tracing::error!(reason = %error, "admin listener ended");
            }
        });
        for ((name, _, socket), set) in self.listeners.into_iter().zip(&app.config.listeners) {
            let metrics = app.metrics.listener(&name);
            let handler = match set.mode {
                Mode::Session => session_mode(app, set).handler(),
                Mode::Connection => connection_mode(app, set).handler(),
            };
            let mut listener = Listener::new(&name, socket, set.max_clients, metrics, handler);
            let stopped = stopped.clone();
            loops.spawn(async move { listener.start_service(None, stopped, 1).await });
        }
        Ok(Open { loops, stop })
    }
}

impl Open {
    /// Closes the listeners' sockets.
    pub(super) async fn close(mut self) {
        self.stop.send_replace(true);
        while self.loops.join_next().await.is_some() {}
    }
}

fn session_mode(app: &App, set: &crate::config::Listener) -> SessionMode {
    let (squadron, pool) = (&app.fleet.pools[&set.pool], &app.config.pools[&set.pool]);
    let wall = app.tenants.wall(&set.pool);
    SessionMode::new(Shared {
        settings: build::session(set, pool, wall.as_deref(), app.config.admin.tenant_metrics),
        router: Router::new(squadron.pool.clone(), squadron.registry.clone()),
        wall,
        login: app.tenants.login(&set.name),
        patience: app.tenants.patience(),
        lobby: app.tenants.lobby(),
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
        let key = crate::balance::hash_key(client.ip().to_string().as_bytes());
        let tried: Vec<&str> = tried.iter().map(|member| &*member.name).collect();
        members.place(key, &tried, Load::Links, Instant::now())
    });
    ConnectionMode {
        settings: build::connection(set, pool),
        choose,
        metrics: app.metrics.clone(),
        listener: app.metrics.listener(&set.name),
        tracker: app.stop.clients.clone(),
        kill: app.stop.stage.kill.clone(),
    }
}
