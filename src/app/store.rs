//! The store that proxies share: opened at the start, watched over to the end.

use std::{sync::Arc, time::Duration};

use tokio::sync::broadcast::error::RecvError;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::build;
use crate::{
    config::Config,
    store::{Memory, OpenError, Redis, Store},
    telemetry::Metrics,
};

/// The listeners wait for the store's first answer, but not longer: live sessions of others go on without it, too.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// The store of the config; the task that watches over it runs until `cancel`.
pub(super) fn open(
    config: &Config,
    metrics: &Metrics,
    tracker: &TaskTracker,
    cancel: &CancellationToken,
) -> Result<Arc<dyn Store>, OpenError> {
    // Unlike every other proxy's, and unlike that of the process before us: what that one held is not ours.
    let proxy = uuid::Uuid::new_v4().simple().to_string();
    let Some(settings) = build::store(&config.store, &proxy) else {
        metrics.store().up.set(1);
        return Ok(Arc::new(Memory::new()));
    };
    tracing::info!(proxy, prefix = settings.prefix, "sessions are shared with other proxies");
    let (store, watch) = Redis::open(settings, metrics.store())?;
    tracker.spawn(watch.run(cancel.clone()));
    Ok(store)
}

/// Waits until the store answers, for a moment.
pub(super) async fn first_answer(store: &dyn Store) {
    let mut told = store.listen();
    let answers = async { while !store.is_up() && !matches!(told.recv().await, Err(RecvError::Closed)) {} };
    if tokio::time::timeout(FIRST_ANSWER, answers).await.is_err() {
        tracing::warn!("the store does not answer yet");
    }
}
