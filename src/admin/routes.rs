//! The answers.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tracing::error;

use super::{AdminSource, cleanup, host::Hosts, operations, shares, upgrade};
use crate::telemetry::TEXT_FORMAT;

type Source = Arc<dyn AdminSource>;

/// All routes.
pub fn router(source: Source, hosts: Hosts) -> Router {
    let pages = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .route("/shares", get(shares::list).post(shares::grant).delete(shares::revoke))
        .merge(operations::routes())
        .route("/cleanup", get(cleanup::list).post(cleanup::begin))
        .route("/upgrade", get(upgrade::state).post(upgrade::begin))
        .with_state(source);
    guarded(pages, hosts)
}

/// The same pages with answers for all else, behind the guard.
pub(super) fn guarded(pages: Router, hosts: Hosts) -> Router {
    pages
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "no such page") })
        .method_not_allowed_fallback(|| async { refusal(StatusCode::METHOD_NOT_ALLOWED, "not a method of this page") })
        .layer(middleware::from_fn_with_state(hosts, guard))
}

/// Refuses strangers' host names and requests with a body; marks every answer as not for caches or other pages.
async fn guard(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let mut answer = match refuse(&hosts, &request) {
        Some(refused) => refused,
        None => next.run(request).await,
    };
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if answer.status() == StatusCode::METHOD_NOT_ALLOWED && !answer.headers().contains_key(header::ALLOW) {
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    answer
}

fn refuse(hosts: &Hosts, request: &Request) -> Option<Response> {
    let headers = request.headers();
    let named = headers.get_all(header::HOST).iter().map(|value| value.to_str().unwrap_or_default());
    if !named.chain(request.uri().authority().map(|authority| authority.as_str())).all(|host| hosts.allow(host)) {
        return Some(refusal(StatusCode::MISDIRECTED_REQUEST, "this listener answers to loopback names only"));
    }
    if has_body(headers) && request.method() != Method::HEAD {
        return Some(refusal(StatusCode::PAYLOAD_TOO_LARGE, "no request of this listener has a body"));
    }
    None
}

fn has_body(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).map(HeaderValue::as_bytes);
    headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|length| length != b"0")
}

pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

/// Asks the source on a thread that may block: it reads `/proc` and takes locks.
pub(super) async fn ask<T: Send + 'static>(
    source: Source,
    question: impl FnOnce(&dyn AdminSource) -> T + Send + 'static,
) -> Result<T, Response> {
    spawn_blocking(move || question(&*source)).await.map_err(|failure| broken(&failure))
}

pub(super) fn broken(failure: &dyn std::error::Error) -> Response {
    error!(reason = %failure, "admin request failed");
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal error, see the log")
}

async fn metrics(State(source): State<Source>) -> Result<Response, Response> {
    let text = ask(source, |source| source.metrics()).await?.map_err(|failure| broken(&failure))?;
    Ok(([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response())
}

#[derive(serde::Deserialize)]
struct Detail {
    verbose: Option<String>,
}

async fn readyz(State(source): State<Source>, Query(detail): Query<Detail>) -> Result<Response, Response> {
    let readiness = ask(source, |source| source.readiness()).await?;
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if detail.verbose.is_some() {
        let body: Value = json!({ "ready": readiness.is_ready(), "reasons": readiness.reasons });
        return Ok((status, Json(body)).into_response());
    }
    let lines: String = readiness.reasons.iter().map(|reason| format!("{reason}\n")).collect();
    Ok((status, if lines.is_empty() { "ok\n".to_owned() } else { lines }).into_response())
}

async fn status(State(source): State<Source>) -> Result<Response, Response> {
    Ok(Json(ask(source, |source| source.status()).await?).into_response())
}
