//! One generous deadline for everything a test waits for, so that a hang fails with words instead of stalling the run.

use std::{future::Future, time::Duration};

/// How long any single wait may take. Events on loopback take milliseconds; ten seconds is for a loaded 2-core machine.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Awaits `future`, or panics with `what` (what was waited for, and what was seen instead) at the deadline.
pub async fn within<T>(what: impl FnOnce() -> String, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("nothing within {DEADLINE:?}: {}", what()),
    }
}
