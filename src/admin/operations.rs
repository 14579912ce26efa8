//! Orders about backends: drain, undrain, restart, rolling restart. They are taken or refused at once; `/status` tells how they
//! go on.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::{Deserialize, Serialize};

use super::{
    AdminSource,
    reason::reason,
    routes::{ask, refusal},
};

/// A backend as an operator names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendName {
    /// Its name.
    pub name: String,
    /// Its pool; may be left out where only one pool has such a backend.
    pub pool: Option<String>,
}

/// What an operator wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// No new sessions on it, and those that live there go.
    Drain {
        /// Which one.
        backend: BackendName,
        /// How long turns may run on; the pool's own time if not said.
        timeout: Option<Duration>,
        /// Even if nobody else takes sessions.
        force: bool,
    },
    /// It takes sessions again.
    Undrain {
        /// Which one.
        backend: BackendName,
    },
    /// Drain, start again, undrain.
    Restart {
        /// Which one.
        backend: BackendName,
        /// Even if nobody else takes sessions.
        force: bool,
    },
    /// That for each backend of a pool, one after the other.
    RollingRestart {
        /// The pool.
        pool: String,
    },
}

/// What was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Begun {
    /// The pool.
    pub pool: String,
    /// The backend, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The number of the pool's operation that `/status` tells about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<u64>,
    /// Seconds until the drain's deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u64>,
}

/// Why an order is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    /// There is no such backend or pool.
    #[error("{0}")]
    Unknown(String),
    /// It is not said clearly enough.
    #[error("{0}")]
    Unclear(String),
    /// It cannot be done as things are.
    #[error("{0}")]
    Conflict(String),
}

type Source = Arc<dyn AdminSource>;

/// The query of all of them. What an order has no use for is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    pool: Option<String>,
    timeout: Option<String>,
    force: Option<bool>,
}

pub(super) fn routes() -> Router<Source> {
    Router::new()
        .route("/backends/{name}/drain", post(drain))
        .route("/backends/{name}/undrain", post(undrain))
        .route("/backends/{name}/restart", post(restart))
        .route("/pools/{pool}/rolling-restart", post(rolling_restart))
}

type Asked = Result<Query<Wish>, QueryRejection>;

async fn drain(source: State<Source>, headers: HeaderMap, name: Path<String>, asked: Asked) -> Answer {
    let wish = read(asked)?;
    let timeout = wish.timeout.as_deref().map(duration).transpose()?;
    let force = wish.force.unwrap_or_default();
    operate(source, &headers, Order::Drain { backend: wish.backend(name), timeout, force }).await
}

async fn undrain(source: State<Source>, headers: HeaderMap, name: Path<String>, asked: Asked) -> Answer {
    let wish = read(asked)?.without_timeout()?.without_force()?;
    operate(source, &headers, Order::Undrain { backend: wish.backend(name) }).await
}

async fn restart(source: State<Source>, headers: HeaderMap, name: Path<String>, asked: Asked) -> Answer {
    let wish = read(asked)?.without_timeout()?;
    let force = wish.force.unwrap_or_default();
    operate(source, &headers, Order::Restart { backend: wish.backend(name), force }).await
}

async fn rolling_restart(source: State<Source>, headers: HeaderMap, pool: Path<String>, asked: Asked) -> Answer {
    let wish = read(asked)?.without_timeout()?.without_force()?;
    if wish.pool.is_some() {
        return Err(unclear("the pool stands in the path").into());
    }
    operate(source, &headers, Order::RollingRestart { pool: pool.0 }).await
}

type Answer = Result<Response, Response>;

async fn operate(State(source): State<Source>, headers: &HeaderMap, order: Order) -> Answer {
    let reason = reason(headers)?;
    let begun = ask(source, move |source| source.operate(&order, &reason)).await??;
    Ok((StatusCode::ACCEPTED, Json(begun)).into_response())
}

impl From<OrderRefusal> for Response {
    fn from(why: OrderRefusal) -> Self {
        let status = match why {
            OrderRefusal::Unknown(_) => StatusCode::NOT_FOUND,
            OrderRefusal::Unclear(_) => StatusCode::BAD_REQUEST,
            OrderRefusal::Conflict(_) => StatusCode::CONFLICT,
        };
        refusal(status, &why.to_string())
    }
}

fn read(asked: Asked) -> Result<Wish, OrderRefusal> {
    asked.map(|Query(wish)| wish).map_err(|rejection| unclear(&rejection.body_text()))
}

fn duration(text: &str) -> Result<Duration, OrderRefusal> {
    humantime::parse_duration(text).map_err(|_| unclear("`timeout` is a time such as 30s or 5m"))
}

fn unclear(why: &str) -> OrderRefusal {
    OrderRefusal::Unclear(why.to_owned())
}

impl Wish {
    fn backend(&self, Path(name): Path<String>) -> BackendName {
        BackendName { name, pool: self.pool.clone() }
    }

    fn without_timeout(self) -> Result<Self, OrderRefusal> {
        if self.timeout.is_none() { Ok(self) } else { Err(unclear("`timeout` is for a drain")) }
    }

    fn without_force(self) -> Result<Self, OrderRefusal> {
        if self.force.is_none() { Ok(self) } else { Err(unclear("this cannot be forced")) }
    }
}
