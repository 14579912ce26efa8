//! `pilotfish quickstart`: everything on this machine with one command and no config file.
//!
//! It finds or installs the Copilot CLI, writes a config for some supervised CLIs on one shared home, serves it as
//! `pilotfish run` would, and prints an SDK program to paste once all of them are up. With `--demo-model` the CLIs answer
//! from a stub on loopback, without an account.
//!
//! # Layout
//! | file | idea |
//! | --- | --- |
//! | `copilot` | the CLI's real binary: on PATH or among installed packages |
//! | `npm` | its installation under the data folder |
//! | `folder` | where everything is kept |
//! | `port` | a taken port is told before anything starts |
//! | `settings` | the config as TOML |
//! | `model` | the demo model on a thread of its own |
//! | `summary` | what is printed when all is up |
//! | `error` | why it did not come to that |

mod copilot;
mod error;
mod folder;
mod model;
mod npm;
mod port;
mod settings;
mod summary;

pub use error::QuickstartError;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use self::folder::Folder;
use self::model::ModelThread;
use self::settings::Settings;
use self::summary::Summary;

/// Start Copilot CLIs and serve them on this machine, without a config file
#[derive(Debug, Clone, clap::Args)]
pub struct QuickstartArgs {
    /// Also start a model stub, so that prompts are answered without an account
    #[arg(long)]
    pub demo_model: bool,
    /// The port of 127.0.0.1 for SDK clients; 0 takes a free one
    #[arg(long, default_value_t = 4321)]
    pub port: u16,
    /// The port of 127.0.0.1 for health, metrics and status; 0 takes a free one
    #[arg(long, default_value_t = 4320)]
    pub admin_port: u16,
    /// How many CLIs to start
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub backends: u32,
    /// The folder for the CLI package and the sessions
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Where the running pilotfish listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// For SDK clients.
    pub sdk: SocketAddr,
    /// For operators.
    pub admin: SocketAddr,
}

/// Called once, when all CLIs are up.
pub type Ready = Box<dyn FnOnce(Addresses) + Send>;

/// Prepares everything and hands the config's text to `serve`, which serves it until a signal, calls `Ready` when the
/// listeners are bound and every backend is up, and returns the exit code. Exit code 1 when it does not come to that.
pub fn run(args: &QuickstartArgs, serve: impl FnOnce(String, Ready) -> ExitCode) -> ExitCode {
    match prepare(args) {
        Ok((settings, model)) => {
            let ready = announce(args, &settings);
            let code = serve(settings.to_toml(), ready);
            // The CLIs have ended by now, so nobody is left to ask the model.
            if let Some(model) = model {
                model.stop();
            }
            code
        }
        Err(error) => {
            eprintln!("pilotfish quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn prepare(args: &QuickstartArgs) -> Result<(Settings, Option<ModelThread>), QuickstartError> {
    port::check(args.port, args.admin_port)?;
    let folder = Folder::create(args.data.as_deref())?;
    let program = copilot::find_or_install(&folder)?;
    let model = if args.demo_model { Some(ModelThread::start()?) } else { None };
    let settings = Settings {
        port: args.port,
        admin_port: args.admin_port,
        backends: args.backends,
        program,
        home: folder.home(),
        work: folder.work(),
        model: model.as_ref().map(ModelThread::url),
    };
    eprintln!("Starting {} Copilot CLIs ({}) ...", args.backends, settings.program);
    Ok((settings, model))
}

fn announce(args: &QuickstartArgs, settings: &Settings) -> Ready {
    let (backends, home, model) = (args.backends, settings.home.clone(), settings.model.clone());
    Box::new(move |addresses| Summary { addresses, backends, home: &home, model: model.as_deref() }.print())
}
