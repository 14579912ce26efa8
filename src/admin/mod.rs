//! The admin listener: metrics, liveness, readiness and status, as text and JSON over HTTP.
//!
//! # Layout
//! - [`serve`]: runs it on a bound socket.
//! - [`AdminSource`]: what it asks the proxy; [`Status`], [`Readiness`]: what it is told.
//! - `door`: the sockets, with their limits; `host`: whom a loopback listener answers; `routes`: the answers; `shares`: who else
//!   may attach to a session; `operations`: orders about backends; `reason`: what both of them ask for; `upgrade`: another
//!   process takes our place; `cleanup`: sessions that are deleted; `sidecar`: what `pilotfish tunnel` tells.

mod cleanup;
mod door;
mod host;
mod operations;
mod reason;
mod routes;
mod shares;
mod sidecar;
mod status;
mod upgrade;

use std::{io, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::telemetry::MetricsError;
pub use cleanup::{CleanupBegun, CleanupRun, CleanupStatus};
pub use operations::{BackendName, Begun, Order, OrderRefusal};
pub use shares::{ShareAsk, ShareRefusal, ShareStatus};
pub use sidecar::{SidecarSource, serve_sidecar};
pub use status::{
    BackendDrainStatus, BackendStatus, DiscoveryStatus, DrainStatus, InstanceStatus, ListenerStatus, NotReady,
    OperationStatus, PoolStatus, Readiness, SessionCounts, Status,
};
pub use upgrade::{UpgradeRefusal, UpgradeStatus};

use self::{door::Door, host::Hosts};

/// How long answers that have begun may take after the cancellation.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What the admin listener asks the proxy. Called on a thread that may block for some milliseconds.
pub trait AdminSource: Send + Sync + 'static {
    /// All metrics as Prometheus text.
    fn metrics(&self) -> Result<String, MetricsError>;

    /// Whether new clients should be sent here.
    fn readiness(&self) -> Readiness;

    /// The whole state.
    fn status(&self) -> Status;

    /// Sessions that others may attach to.
    fn shares(&self) -> Vec<ShareStatus>;

    /// Shares a session, for the reason given.
    fn share(&self, asked: &ShareAsk, reason: &str) -> Result<(), ShareRefusal>;

    /// Takes such a share back.
    fn unshare(&self, asked: &ShareAsk, reason: &str) -> Result<(), ShareRefusal>;

    /// Begins what an operator wants done with backends, for the reason given.
    fn operate(&self, order: &Order, reason: &str) -> Result<Begun, OrderRefusal>;

    /// What the clean-up of every pool has done.
    fn cleanups(&self) -> Vec<CleanupStatus>;

    /// Has a pool's clean-up run now, for the reason given; as a dry run or not, or as the config says.
    fn clean_up(&self, pool: &str, dry_run: Option<bool>, reason: &str) -> Result<CleanupBegun, OrderRefusal>;

    /// Whether another process takes our place.
    fn upgrade(&self) -> UpgradeStatus;

    /// Begins that, for the reason given.
    fn begin_upgrade(&self, reason: &str) -> Result<(), UpgradeRefusal>;
}

/// Answers on `listener` until `cancel`; returns when every connection is closed, at most a second later. Cancel it
/// last of all: a drain should be visible to its end.
pub async fn serve(listener: TcpListener, source: Arc<dyn AdminSource>, cancel: CancellationToken) -> io::Result<()> {
    serve_until_retired(listener, source, CancellationToken::new(), cancel).await
}

/// The same; after `retire` no more connections are accepted, because another process does, and those that are there are
/// still answered until `cancel`.
pub async fn serve_until_retired(
    listener: TcpListener,
    source: Arc<dyn AdminSource>,
    retire: CancellationToken,
    cancel: CancellationToken,
) -> io::Result<()> {
    let router = routes::router(source, Hosts::of(listener.local_addr()?));
    serve_router(listener, router, retire, cancel).await
}

async fn serve_router(
    listener: TcpListener,
    router: axum::Router,
    retire: CancellationToken,
    cancel: CancellationToken,
) -> io::Result<()> {
    let cut = CancellationToken::new();
    let door = Door::new(listener, retire, cut.clone())?;
    let serving = axum::serve(door, router).with_graceful_shutdown(cancel.clone().cancelled_owned());
    let mut serving = std::pin::pin!(serving.into_future());
    tokio::select! {
        ended = &mut serving => return ended,
        () = async { cancel.cancelled().await; tokio::time::sleep(LAST_ANSWERS).await } => cut.cancel(),
    }
    serving.await
}
