//! `pilotfish tunnel`.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Args;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admin::{self, SidecarSource},
    backend::tls::{self, ClientFiles, ClientTls, FileError},
    model::Endpoint,
    serve::{
        accept::{Listener, Listening},
        tunnel::{Address, NAME, Road, Tunnel},
    },
    telemetry::{
        Metrics, MetricsError,
        logs::{self, Format, LogError},
    },
};

/// Carry plain connections of this machine to a pilotfish over TLS
///
/// The SDKs speak no TLS. Where a pilotfish is reached over a network, this stands beside the application: the SDK connects to
/// --listen as if a Copilot CLI server were there (`cliUrl: "127.0.0.1:4321"`), and each of its connections goes on to --to over
/// TLS. With --cert and --key the proxy knows who comes, by a listener with `tls = { ..., client_ca = ... }`, and a
/// `[[tenant]] certificates = [ ... ]` there makes a token unnecessary.
///
/// While the proxy cannot be reached, new connections wait for --connect-timeout; then their first request is answered with an
/// error that says why. So is one that a wrong certificate stops, at once. When a connection to the proxy ends, so does the
/// SDK's: a client that connects again and resumes its session finds its turn, for pilotfish keeps it (`linger` of the pool).
/// The files are read again when they change. SIGTERM or SIGINT: no more connections, those that run may end within
/// --drain-timeout; a second signal ends at once.
///
/// In front of a plain Copilot CLI on another host no tunnel is needed: a `pilotfish run` there, with a listener that has `tls`
/// and mode "connection", takes TLS, and `[pool.NAME] tls` of the proxy speaks it.
#[derive(Debug, Args)]
pub struct TunnelArgs {
    /// Where SDKs connect: an address and a port (0: a free one), or `unix:` and the path of a socket
    #[arg(long, value_name = "ADDRESS")]
    listen: Endpoint,
    /// The permissions of a Unix socket in --listen, in octal digits
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = mode)]
    socket_mode: u32,
    /// The proxy: a host and a port. Of several the first is taken that answers
    #[arg(long, value_name = "HOST:PORT", required = true)]
    to: Vec<Address>,
    /// TLS, which is always spoken: for those who like to read it
    #[arg(long)]
    tls: bool,
    /// Who may have signed the proxy's certificate, in PEM. Without it: those that this machine trusts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our certificate in PEM, where the proxy asks for one
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of it in PEM, without a passphrase
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The name that the proxy's certificate is for. Without it: the host of --to
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// How long a new connection waits while the proxy cannot be reached
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    connect_timeout: Duration,
    /// How long connections may run on after a signal
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    drain_timeout: Duration,
    /// Connections at a time; more are turned away
    #[arg(long, value_name = "COUNT", default_value_t = 4096)]
    max_clients: usize,
    /// Where /livez, /readyz (whether the proxy was there when it was last tried) and /metrics are: an address and a port
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// What is logged: a level, or directives such as `info,pilotfish::serve=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log_level: String,
    /// One JSON object a line instead of lines for people
    #[arg(long)]
    log_json: bool,
}

/// Why a tunnel does not start. Always the operator's to mend.
#[derive(Debug, Error)]
enum TunnelError {
    #[error("cannot start the log: {0}")]
    Log(#[from] LogError),
    #[error("cannot make the metrics: {0}")]
    Metrics(#[from] MetricsError),
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
    #[error("cannot listen on {address}: {source}")]
    Bind { address: Endpoint, source: io::Error },
    #[error("{0}")]
    Files(#[from] FileError),
}

/// Carries until a signal.
pub fn run(args: TunnelArgs) -> ExitCode {
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pilotfish tunnel: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: TunnelArgs) -> Result<(), TunnelError> {
    logs::init(if args.log_json { Format::Json } else { Format::Text }, &args.log_level)?;
    logs::keep_panics_quiet();
    let files = ClientFiles {
        authorities: args.ca.clone(),
        identity: args.cert.clone().zip(args.key.clone()),
        server_name: args.server_name.clone(),
    };
    let tls = ClientTls::open("the tunnel".to_owned(), files)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("pilotfish").build()?;
    let result = runtime.block_on(serve(args, tls));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(args: TunnelArgs, files: ClientTls) -> Result<(), TunnelError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let bound = Listening::bind(&args.listen, args.socket_mode);
    let bound = bound.map_err(|source| TunnelError::Bind { address: args.listen.clone(), source })?;
    let address = bound.endpoint()?;
    let metrics = Arc::new(Metrics::new(&[])?);
    let admin = match args.admin {
        Some(address) => Some(
            TcpListener::bind(address).await.map_err(|source| TunnelError::Bind { address: address.into(), source })?,
        ),
        None => None,
    };
    let (clients, kill) = (TaskTracker::new(), CancellationToken::new());
    let background = (TaskTracker::new(), CancellationToken::new());
    tls::keep(vec![files.refresh()], &background.0, &background.1);
    let road = Road::new(args.to, files, args.connect_timeout);
    let tunnel = Arc::new(Tunnel::new(road, metrics.clone(), clients.clone(), kill.clone()));
    let mut listener = Listener::new(NAME, bound, args.max_clients, metrics.listener(NAME), tunnel.handler());
    let (stop, mut stopped) = watch::channel(false);
    let accepting = tokio::spawn(async move {
        let stop = async move { drop(stopped.wait_for(|stop| *stop).await) };
        listener.accept_until(stop).await
    });
    // Nobody reads on: that is no reason not to serve.
    let _ = writeln!(io::stdout(), "listening name={NAME} mode={NAME} addr={address}");
    tracing::info!(listener = NAME, addr = %address, "listening");
    let draining = Arc::new(AtomicBool::new(false));
    if let Some(admin) = admin {
        let _ = writeln!(io::stdout(), "listening name=admin mode=admin addr={}", admin.local_addr()?);
        let seen = Arc::new(Seen { metrics: metrics.clone(), tunnel: tunnel.clone(), draining: draining.clone() });
        let cancel = background.1.clone();
        background.0.spawn(async move {
            if let Err(error) = admin::serve_sidecar(admin, seen, cancel).await {
                tracing::error!(reason = %error, "the admin listener ended");
            }
        });
    }
    background.0.spawn(background.1.clone().run_until_cancelled_owned(async move { tunnel.try_out().await }));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(connections = metrics.listener(NAME).connections.get(), "no more connections");
    draining.store(true, Ordering::Relaxed);
    stop.send_replace(true);
    if let Ok(Err(error)) = accepting.await {
        tracing::error!(reason = %error, "the listener ended");
    }
    clients.close();
    let ended = tokio::select! {
        ended = timeout(args.drain_timeout, clients.wait()) => ended.is_ok(),
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
    };
    if !ended {
        tracing::warn!("connections that still ran are cut");
        kill.cancel();
        clients.wait().await;
    }
    background.1.cancel();
    background.0.close();
    background.0.wait().await;
    tracing::info!("stopped");
    Ok(())
}

/// What the admin listener tells.
struct Seen {
    metrics: Arc<Metrics>,
    tunnel: Arc<Tunnel>,
    draining: Arc<AtomicBool>,
}

impl SidecarSource for Seen {
    fn metrics(&self) -> Result<String, MetricsError> {
        self.metrics.gather()
    }

    fn not_ready(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("draining");
        }
        (!self.tunnel.gets_through()).then_some("the proxy cannot be reached")
    }
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).map_err(|_| "octal digits, such as 0600".to_owned())?;
    if mode <= 0o777 { Ok(mode) } else { Err("octal digits, such as 0600".to_owned()) }
}
