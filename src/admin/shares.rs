//! Shares of sessions: who else may attach, told, granted and taken back.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    AdminSource,
    reason::reason,
    routes::{ask, refusal},
};

/// One shared session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShareStatus {
    /// Its pool.
    pub pool: String,
    /// Its id, or a beginning of ids and `*`.
    pub session: String,
    /// Tenants, or users of one as `tenant/user`.
    pub with: Vec<String>,
    /// `config` or `granted`.
    pub source: &'static str,
}

/// Which session, and with whom.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareAsk {
    /// The pool.
    pub pool: String,
    /// The session's id.
    pub session: String,
    /// A tenant, or a user of one as `tenant/user`.
    pub with: String,
}

/// Why a share is not given or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareRefusal {
    /// The pool does not exist or has no tenants.
    #[error("no such pool, or it is not shared by tenants")]
    NoWall,
    /// The session is nobody's here.
    #[error("no tenant of this pool owns this session")]
    NotOwned,
    /// Whoever it names cannot use the pool.
    #[error("`with` is no tenant of this pool; write TENANT or TENANT/USER")]
    Nobody,
    /// There is nothing to take back.
    #[error("nothing of this kind was granted; shares of the config are changed there")]
    NotGranted,
}

type Source = Arc<dyn AdminSource>;

pub(super) async fn list(State(source): State<Source>) -> Result<Response, Response> {
    Ok(Json(json!({ "shares": ask(source, |source| source.shares()).await? })).into_response())
}

pub(super) async fn grant(
    State(source): State<Source>,
    headers: HeaderMap,
    asked: Query<ShareAsk>,
) -> Result<Response, Response> {
    change(source, headers, asked, |source, asked, reason| source.share(asked, reason)).await
}

pub(super) async fn revoke(
    State(source): State<Source>,
    headers: HeaderMap,
    asked: Query<ShareAsk>,
) -> Result<Response, Response> {
    change(source, headers, asked, |source, asked, reason| source.unshare(asked, reason)).await
}

async fn change(
    source: Source,
    headers: HeaderMap,
    Query(asked): Query<ShareAsk>,
    change: impl FnOnce(&dyn AdminSource, &ShareAsk, &str) -> Result<(), ShareRefusal> + Send + 'static,
) -> Result<Response, Response> {
    let reason = reason(&headers)?;
    match ask(source, move |source| change(source, &asked, &reason)).await? {
        Ok(()) => Ok(Json(json!({ "done": true })).into_response()),
        Err(why @ ShareRefusal::Nobody) => Err(refusal(StatusCode::BAD_REQUEST, &why.to_string())),
        Err(why) => Err(refusal(StatusCode::NOT_FOUND, &why.to_string())),
    }
}
