//! Sessions that are deleted: what was done, and orders to do it now.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::{AdminSource, OrderRefusal, reason::reason, routes::ask};

/// The clean-up of one pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CleanupStatus {
    /// The pool.
    pub pool: String,
    /// After how long a session is too old; without it there is no clean-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// Whether its runs only report.
    pub dry_run: bool,
    /// Seconds until the next run begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_seconds: Option<u64>,
    /// The run that runs, or the one that ended last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<CleanupRun>,
    /// Sessions whose clients have gone, and that are deleted when nobody comes back.
    pub ephemeral_waiting: u64,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CleanupRun {
    /// Its number in this process, from 1.
    pub run: u64,
    /// Whether it deleted nothing.
    pub dry_run: bool,
    /// When it began.
    pub began: String,
    /// How long it took, or has taken so far.
    pub took_seconds: f64,
    /// `running`, `done`, `elsewhere`, `failed` or `stopped`.
    pub outcome: String,
    /// Sessions that the backends listed.
    pub listed: u64,
    /// Sessions that are deleted.
    pub deleted: u64,
    /// Sessions that a dry run would have deleted.
    pub would_delete: u64,
    /// Old ones that somebody has.
    pub kept_live: u64,
    /// Old ones that stay because their ids say so.
    pub excluded: u64,
    /// Old ones that could not be deleted.
    pub failed: u64,
    /// Up to 100 of those that are deleted, or would be.
    pub ids: Vec<String>,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A run that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CleanupBegun {
    /// The pool.
    pub pool: String,
    /// The run's number, which `GET /cleanup` tells about.
    pub run: u64,
    /// Whether it deletes nothing.
    pub dry_run: bool,
}

type Source = Arc<dyn AdminSource>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    pool: String,
    dry_run: Option<bool>,
}

pub(super) async fn list(State(source): State<Source>) -> Result<Response, Response> {
    let pools = ask(source, |source| source.cleanups()).await?;
    Ok(Json(serde_json::json!({ "pools": pools })).into_response())
}

pub(super) async fn begin(
    State(source): State<Source>,
    headers: HeaderMap,
    asked: Result<Query<Wish>, QueryRejection>,
) -> Result<Response, Response> {
    let Query(wish) = asked.map_err(|rejection| OrderRefusal::Unclear(rejection.body_text()))?;
    let reason = reason(&headers)?;
    let begun = ask(source, move |source| source.clean_up(&wish.pool, wish.dry_run, &reason)).await??;
    Ok((StatusCode::ACCEPTED, Json(begun)).into_response())
}
