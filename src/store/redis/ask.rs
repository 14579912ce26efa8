//! Asks the store: in time, or with an error.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value};
use tokio::time;

use super::{Redis, links::Links, names::slot, scripts::Call};
use crate::{
    store::{Hold, LIMIT, StoreError},
    telemetry::{StoreOp, StoreOutcome},
};

/// The rest of [`LIMIT`] is for the way to the caller.
const DEADLINE: Duration = LIMIT.saturating_sub(Duration::from_millis(15));

/// So many are asked at a time, which takes Redis some milliseconds: others are not kept waiting by that.
const SOME: usize = 500;

/// A hold of ours ends sooner than in the store by this and a hundredth of it: clocks do not run at the same speed.
const DRIFT: Duration = Duration::from_millis(2);

impl Redis {
    /// Runs one script.
    pub(super) async fn call<T: FromRedisValue>(&self, op: StoreOp, call: Call) -> Result<T, StoreError> {
        let slot = call.keys.first().map_or(0, |name| slot(name));
        let value = self.ask(op, async |links: &Links| links.call(slot, &call).await).await?;
        understood(value)
    }

    /// Runs many, some at a time.
    pub(super) async fn calls(&self, op: StoreOp, calls: Vec<Call>) -> Result<Vec<i64>, StoreError> {
        let placed: Vec<_> =
            calls.into_iter().map(|call| (call.keys.first().map_or(0, |name| slot(name)), call)).collect();
        let mut answers = Vec::with_capacity(placed.len());
        for some in placed.chunks(SOME) {
            let values = self.ask(op, async |links: &Links| links.calls(some).await).await?;
            for value in values {
                answers.push(understood(value)?);
            }
        }
        Ok(answers)
    }

    /// Runs one command about one key.
    pub(super) async fn command<T: FromRedisValue>(
        &self,
        op: StoreOp,
        name: &str,
        command: redis::Cmd,
    ) -> Result<T, StoreError> {
        let value = self.ask(op, async |links: &Links| links.command(slot(name), &command).await).await?;
        understood(value)
    }

    async fn ask<T>(
        &self,
        op: StoreOp,
        question: impl AsyncFnOnce(&Links) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let losses = self.state.losses();
        let asked = async {
            let links = self.state.links()?;
            match time::timeout(DEADLINE, question(&links)).await {
                // What the one before answered is worth nothing.
                Ok(Ok(_)) if self.state.losses() != losses => Err(StoreError::Unavailable),
                Ok(answer) => answer.map_err(|error| self.judge(&error)),
                Err(_) => Err(self.unavailable()),
            }
        };
        let answer = asked.await;
        let outcome = match &answer {
            Ok(_) => StoreOutcome::Ok,
            Err(StoreError::Unavailable) => StoreOutcome::Unavailable,
            Err(StoreError::Refused) => StoreOutcome::Refused,
        };
        self.state.metrics.asked(op, outcome, started.elapsed());
        answer
    }

    /// What an error means. The watcher looks at once where it can do something about it.
    fn judge(&self, error: &RedisError) -> StoreError {
        use ServerErrorKind as Server;
        match error.kind() {
            ErrorKind::Io | ErrorKind::Server(Server::ReadOnly | Server::MasterDown | Server::ClusterDown) => {
                self.unavailable()
            }
            ErrorKind::Server(Server::Moved) | ErrorKind::ClusterConnectionNotFound => {
                self.state.resharded.store(true, Ordering::Release);
                self.unavailable()
            }
            ErrorKind::Server(Server::Ask | Server::TryAgain | Server::BusyLoading) => StoreError::Unavailable,
            _ => {
                tracing::debug!(code = error.code().unwrap_or_default(), "the store refused");
                StoreError::Refused
            }
        }
    }

    fn unavailable(&self) -> StoreError {
        self.state.suspect.store(true, Ordering::Release);
        self.state.wake.notify_one();
        StoreError::Unavailable
    }

    /// A hold that was asked for at `sent`.
    pub(super) fn hold(&self, token: u64, sent: Instant) -> Hold {
        self.highest.fetch_max(token, Ordering::Relaxed);
        Hold { token, until: self.until(sent) }
    }

    pub(super) fn until(&self, sent: Instant) -> Instant {
        sent + self.ttl.saturating_sub(self.ttl / 100 + DRIFT)
    }

    /// How long a hold lasts, in microseconds.
    pub(super) fn span(&self) -> String {
        self.ttl.as_micros().to_string()
    }

    pub(super) fn floor(&self) -> String {
        self.highest.load(Ordering::Relaxed).to_string()
    }
}

fn understood<T: FromRedisValue>(value: Value) -> Result<T, StoreError> {
    redis::from_redis_value(value).map_err(|_| StoreError::Refused)
}
