//! The whole proxy: built from a [`Config`], run on a runtime of our own, stopped in order.
//!
//! # Layout
//! - `build`: config values into each component's settings.
//! - `fleet`: pools with their probes, name look-ups and supervised CLIs.
//! - `doors`: sockets bound first, then the listeners behind them.
//! - `tenants`: walls between tenants, and how clients say who they are; `shared`: sessions that others may attach to.
//! - `certificates`: TLS on listeners and towards backends.
//! - `seen`: what the admin listener tells; `observer`: what probes report.
//! - `discovery`: backends that come and go.
//! - `operations`: what an operator does to backends; `recycle`: those that have served long enough are started again.
//! - `instances`: pools in which each tenant or user has a CLI of its own.
//! - `cleanup`: sessions that nobody has used for long, or whose clients have gone, are deleted.
//! - `store`: what several proxies share, opened and watched over; `owners`: whose sessions are, in all of them.
//! - `stop`: signals, and the order in which things end; `upgrade`: a new process takes our place.

mod build;
mod certificates;
mod cleanup;
mod discovery;
mod doors;
mod fleet;
mod instances;
mod observer;
mod operations;
mod owners;
mod recycle;
mod seen;
mod shared;
mod stop;
mod store;
mod tenants;
mod upgrade;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use thiserror::Error;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    certificates::Certificates,
    doors::Doors,
    fleet::Fleet,
    seen::Seen,
    stop::Stop,
    tenants::{Tenants, TenantsError},
    upgrade::{Arrival, Upgrade},
};
use crate::{
    backend::tls::FileError,
    config::Config,
    model::Endpoint,
    store::OpenError,
    supervise::SuperviseError,
    telemetry::{Metrics, MetricsError, logs, logs::LogError},
    wire::Methods,
};
pub use upgrade::{Program, UpgradeError};

/// Why the proxy does not start. Always the operator's to mend.
#[derive(Debug, Error)]
pub enum AppError {
    /// The log's filter is wrong, or something logs already.
    #[error("cannot start the log: {0}")]
    Log(#[from] LogError),
    /// Metrics that exclude each other.
    #[error("cannot make the metrics: {0}")]
    Metrics(#[from] MetricsError),
    /// The runtime or the signals.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
    /// A listener's address cannot be had.
    #[error("listener `{name}`: cannot listen on {address}: {source}")]
    Bind {
        /// The listener.
        name: String,
        /// Its address.
        address: Endpoint,
        /// The system's reason.
        source: io::Error,
    },
    /// The walls between tenants.
    #[error(transparent)]
    Tenants(#[from] TenantsError),
    /// A supervised pool's settings.
    #[error("pool `{pool}`: {source}")]
    Supervise {
        /// The pool.
        pool: String,
        /// What is wrong.
        source: SuperviseError,
    },
    /// A file of a listener's or pool's TLS.
    #[error("{what}: {source}")]
    Certificates {
        /// Whose.
        what: String,
        /// What is wrong.
        source: FileError,
    },
    /// A file of the store's TLS.
    #[error("store: {0}")]
    Store(#[from] OpenError),
    /// Another process's place cannot be taken.
    #[error("cannot take over: {0}")]
    TakeOver(#[source] UpgradeError),
}

/// Turns of tasks between two looks at the sockets.
const EVENT_INTERVAL: u32 = 8;

/// The listeners open when health has judged every backend, or one of each pool is up, or after this time.
const FIRST_VERDICTS: Duration = Duration::from_millis(1500);

/// A listener that is open.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Its name; `admin` for the admin listener.
    pub name: String,
    /// `session`, `connection` or `admin`.
    pub mode: &'static str,
    /// Its address, with the port that it really got.
    pub address: Endpoint,
}

/// Called with the open listeners once every backend is up.
pub type Ready = Box<dyn FnOnce(&[Bound]) + Send>;

/// How it was started.
#[derive(Default)]
pub struct Start {
    /// Called when every backend is up.
    pub ready: Option<Ready>,
    /// What an upgrade starts; without it there is none.
    pub program: Option<Program>,
    /// Where the process talks whose place is taken.
    pub take_over: Option<PathBuf>,
}

/// Tells the process whose place we were to take, at `path`, why we cannot.
pub fn refuse_take_over(path: &Path, why: &str) {
    let told = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let told = told.and_then(|runtime| runtime.block_on(upgrade::refuse(path, why.to_owned())));
    if let Err(reason) = told {
        eprintln!("pilotfish: the running process could not be told: {reason}");
    }
}

/// Runs the proxy until a signal ends it. Exit code 0 after a stop in order, 1 if it cannot start.
pub fn run(config: Config, start: Start) -> ExitCode {
    match self::start(config, start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pilotfish: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(config: Config, start: Start) -> Result<(), AppError> {
    logs::init(build::log_format(config.log.format), &config.log.level)?;
    logs::keep_panics_quiet();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = config.runtime.worker_threads {
        runtime.worker_threads(threads);
    }
    // Sockets are looked at after so many turns of tasks (tokio's own 61): under a flood the neighbours wait for that.
    runtime.event_interval(EVENT_INTERVAL);
    let runtime = runtime.enable_all().thread_name("pilotfish").build()?;
    let result = runtime.block_on(arrive(config, start));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Meets the process whose place we take, if there is one. It hears why we cannot.
async fn arrive(config: Config, mut start: Start) -> Result<(), AppError> {
    let mut arrival = match start.take_over.take() {
        Some(path) => Some(Arrival::meet(&path).await.map_err(AppError::TakeOver)?),
        None => None,
    };
    // Everything that can clash is tried before anything starts.
    let doors = Doors::bind(&config, arrival.as_mut().map_or(&mut Vec::new(), |arrival| &mut arrival.sockets));
    let result = match doors {
        Ok(doors) => serve(config, doors, start, &mut arrival).await,
        Err(error) => Err(error),
    };
    if let (Err(error), Some(arrival)) = (&result, &mut arrival) {
        arrival.refuse(error.to_string()).await;
    }
    result
}

/// What lives as long as the proxy.
struct App {
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    fleet: Fleet,
    tenants: Tenants,
    certificates: Certificates,
    bound: Vec<Bound>,
    started: Instant,
    stop: Stop,
    upgrade: Upgrade,
}

async fn serve(config: Config, doors: Doors, start: Start, arrival: &mut Option<Arrival>) -> Result<(), AppError> {
    let (signals, config) = (stop::Signals::new()?, Arc::new(config));
    let metrics = Arc::new(Metrics::new(&Methods::get().names())?);
    metrics.set_config_hash(&config.fingerprint);
    let background = (TaskTracker::new(), CancellationToken::new());
    let store = store::open(&config, &metrics, &background.0, &background.1)?;
    let tenants = Tenants::start(&config, &background.0, &background.1)?;
    let certificates = Certificates::start(&config, &background.0, &background.1)?;
    let fleet = Fleet::start(&config, &metrics, &tenants, &certificates, &store, &background.0, &background.1)?;
    let (bound, upgrade) = (doors.bound()?, Upgrade::new(start.program));
    let (started, stop) = (Instant::now(), Stop::default());
    let app = Arc::new(App { config, metrics, fleet, tenants, certificates, bound, started, stop, upgrade });
    app.fleet.found().await;
    match arrival {
        Some(arrival) => arrival.wait_for_go(&app).await.map_err(AppError::TakeOver)?,
        // Whoever connects at the first moment is not told that nobody is there before anybody was asked.
        None => drop(tokio::time::timeout(FIRST_VERDICTS, app.fleet.judged()).await),
    }
    store::first_answer(&*store).await;
    owners::keep(&app.tenants, &store, &background.0, &background.1).await;
    announce(&app.bound);
    let admin_end = CancellationToken::new();
    let seen = Arc::new(Seen::new(app.clone()));
    let open = doors.open(&app, seen, &admin_end)?;
    match arrival.take() {
        Some(arrival) => arrival.accepts(app.clone()).await.map_err(AppError::TakeOver)?,
        None => upgrade::manager::ready(),
    }
    if let Some(ready) = start.ready {
        let app = app.clone();
        let all_up = async move {
            app.fleet.all_up().await;
            ready(&app.bound);
        };
        background.0.spawn(background.1.clone().run_until_cancelled_owned(all_up));
    }
    app.stop.until_the_end(&app, signals, open, &admin_end).await;
    app.fleet.stop().await;
    app.fleet.settle().await;
    background.1.cancel();
    background.0.close();
    background.0.wait().await;
    admin_end.cancel();
    tracing::info!("stopped");
    Ok(())
}

/// Scripts wait for these lines: port 0 becomes known here.
fn announce(bound: &[Bound]) {
    for Bound { name, mode, address } in bound {
        // Nobody reads on: that is no reason not to serve.
        let _ = writeln!(io::stdout(), "listening name={name} mode={mode} addr={address}");
        tracing::info!(listener = name, mode, addr = %address, "listening");
    }
}
