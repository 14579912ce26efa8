//! Another process takes our place: asked for, and how it goes.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    AdminSource,
    reason::reason,
    routes::{ask, refusal},
};

/// How an upgrade goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpgradeStatus {
    /// The process that says so. Another one after a success.
    pub pid: u32,
    /// `none`, `running`, `failed`, or `handed_over` (by a process that drains).
    pub state: &'static str,
    /// What the new process is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'static str>,
    /// Why the last one failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Seconds since it has been so.
    pub since_seconds: u64,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeRefusal {
    /// This process cannot be replaced.
    #[error("{0}")]
    NotHere(&'static str),
    /// It has been.
    #[error("another process has taken over already")]
    HandedOver,
}

type Source = Arc<dyn AdminSource>;

pub(super) async fn state(State(source): State<Source>) -> Result<Response, Response> {
    Ok(Json(ask(source, |source| source.upgrade()).await?).into_response())
}

pub(super) async fn begin(State(source): State<Source>, headers: HeaderMap) -> Result<Response, Response> {
    let reason = reason(&headers)?;
    let begun = ask(source, move |source| source.begin_upgrade(&reason).map(|()| source.upgrade())).await?;
    match begun {
        Ok(status) => Ok((StatusCode::ACCEPTED, Json(status)).into_response()),
        Err(why) => Err(refusal(StatusCode::CONFLICT, &why.to_string())),
    }
}
