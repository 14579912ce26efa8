//! Watches over the store: connects, asks all the time whether it is still the one that it was, and says so if not.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{
    RedisSettings,
    connect::{Connector, Trouble},
    find::Finder,
    links::Links,
    names::Names,
    state::State,
};

/// From one look at the store to the next.
pub(super) const PULSE: Duration = Duration::from_millis(200);

/// How long it may take to answer the watcher.
pub(super) const PATIENCE: Duration = Duration::from_millis(400);

/// How long one attempt to connect may take; a Redis that takes 100 ms for an answer is within it.
pub(super) const ATTEMPT: Duration = Duration::from_millis(1000);

const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The background task of a [`super::Redis`].
pub struct Watch {
    pub(super) state: Arc<State>,
    pub(super) settings: RedisSettings,
    pub(super) connector: Arc<Connector>,
    pub(super) names: Names,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    /// Runs until it is cancelled. Without it the store never answers.
    pub async fn run(self, cancel: CancellationToken) {
        let state = self.state.clone();
        cancel.run_until_cancelled(self.watch()).await;
        state.fall(&Trouble::Strange("pilotfish ends"));
    }

    async fn watch(self) {
        let state = self.state.clone();
        let on_push = Arc::new(move |info| state.push(info));
        let mut finder = Finder::new(&self.settings, self.connector.clone(), on_push);
        loop {
            let links = self.connect(&mut finder).await;
            self.state.rise(links);
            let trouble = self.keep(&finder).await;
            self.state.fall(&trouble);
        }
    }

    /// Tries until it is there.
    async fn connect(&self, finder: &mut Finder) -> Links {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let attempt = async {
                let links = finder.find().await?;
                links.subscribe(self.names.channel()).await?;
                Ok(links)
            };
            match time::timeout(ATTEMPT, attempt).await.unwrap_or(Err(Trouble::Late)) {
                Ok(links) => return links,
                Err(trouble) if pause < LONGEST_PAUSE => {
                    tracing::info!(reason = %trouble, "the store cannot be reached")
                }
                // Once is enough for the log.
                Err(trouble) => tracing::debug!(reason = %trouble, "the store cannot be reached"),
            }
            time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Looks again and again until something is wrong.
    async fn keep(&self, finder: &Finder) -> Trouble {
        let mut pulse = time::interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = pulse.tick() => {}
                () = self.state.wake.notified() => {}
            }
            if let Err(trouble) = self.look(finder).await {
                return trouble;
            }
        }
    }

    async fn look(&self, finder: &Finder) -> Result<(), Trouble> {
        let links = self.state.links().map_err(|_| Trouble::Late)?;
        let suspect = self.state.suspect.swap(false, Ordering::AcqRel);
        if self.state.resharded.swap(false, Ordering::AcqRel) {
            return Err(Trouble::Resharded);
        }
        if finder.is_passed_over(&links) {
            return Err(Trouble::Demoted);
        }
        time::timeout(PATIENCE, links.check(suspect)).await.unwrap_or(Err(Trouble::Late))
    }
}
