//! The task that looks at the files of tokens and keys.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{keys::Keys, tokens::TokenRing};

/// How soon a changed file counts. Its content is compared, not its time: secrets in Kubernetes change by a link to another
/// folder, and a file that is written twice in a second keeps its time.
const EVERY: Duration = Duration::from_secs(1);

/// What is read again.
pub(super) struct Watched {
    pub tokens: TokenRing,
    pub keys: Vec<Keys>,
}

impl Watched {
    /// Looks at all files once.
    pub(super) fn refresh(&mut self) {
        self.tokens.refresh();
        self.keys.iter_mut().for_each(Keys::refresh);
    }

    fn has_files(&self) -> bool {
        self.tokens.has_files() || self.keys.iter().any(Keys::has_file)
    }
}

/// Looks at the files until `cancel`. Nothing runs where there are none.
pub(super) fn spawn(mut watched: Watched, tracker: &TaskTracker, cancel: &CancellationToken) {
    if !watched.has_files() {
        return;
    }
    let look = async move {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A file system that hangs must not hold up a thread that moves bytes.
            let looked = tokio::task::spawn_blocking(move || {
                watched.refresh();
                watched
            });
            match looked.await {
                Ok(back) => watched = back,
                Err(error) => return tracing::error!(reason = %error, "token files are no longer watched"),
            }
        }
    };
    tracker.spawn(cancel.clone().run_until_cancelled_owned(look));
}
