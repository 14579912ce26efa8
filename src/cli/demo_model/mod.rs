//! A small OpenAI-compatible model on loopback, so that the whole chain (SDK, pilotfish, CLI, model) answers without an account.
//!
//! The last user message steers it (see [`script`]): without a directive it answers `You said: PROMPT`. It keeps nothing,
//! logs nothing and reads no key, and it speaks just enough HTTP/1.1 for the CLI (see [`http`]).

mod http;
mod reply;
mod script;
mod server;

pub use server::{BindError, DemoModel};

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

/// The name under which the demo model is offered by `/v1/models`; it answers to any other name as well.
pub const MODEL_NAME: &str = "demo";

/// Arguments of `pilotfish demo-model`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
}

/// Serves the demo model until SIGINT or SIGTERM; exit code 1 when the port cannot be had.
pub fn run(args: &Args) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve_until_signal(args.port)),
        Err(error) => failure(&format!("cannot start the runtime: {error}")),
    }
}

async fn serve_until_signal(port: u16) -> ExitCode {
    let model = match DemoModel::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
        Ok(model) => model,
        Err(error) => return failure(&error.to_string()),
    };
    println!("demo model listening on {}", model.local_addr());
    let stop = CancellationToken::new();
    let signals = stop.clone();
    tokio::select! {
        () = model.serve(stop) => ExitCode::SUCCESS,
        stopped = stop_signal() => {
            signals.cancel();
            match stopped {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failure(&format!("cannot listen for signals: {error}")),
            }
        }
    }
}

async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn failure(message: &str) -> ExitCode {
    eprintln!("pilotfish demo-model: {message}");
    ExitCode::FAILURE
}
