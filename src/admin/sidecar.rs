//! What a side-car tells: whether it works, whether it gets through, and its metrics.

use std::{io, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{host::Hosts, routes};
use crate::telemetry::{MetricsError, TEXT_FORMAT};

/// What is asked of a side-car.
pub trait SidecarSource: Send + Sync + 'static {
    /// All metrics as Prometheus text.
    fn metrics(&self) -> Result<String, MetricsError>;

    /// Why clients should not come now; nothing if they should.
    fn not_ready(&self) -> Option<&'static str>;
}

type Source = Arc<dyn SidecarSource>;

/// Answers `/livez`, `/readyz` and `/metrics` on `listener` until `cancel`.
pub async fn serve_sidecar(
    listener: TcpListener,
    source: Arc<dyn SidecarSource>,
    cancel: CancellationToken,
) -> io::Result<()> {
    let pages = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(source);
    let router = routes::guarded(pages, Hosts::of(listener.local_addr()?));
    super::serve_router(listener, router, CancellationToken::new(), cancel).await
}

async fn readyz(State(source): State<Source>) -> Response {
    match source.not_ready() {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(source): State<Source>) -> Response {
    match source.metrics() {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => routes::broken(&error),
    }
}
