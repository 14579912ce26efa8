//! The way to the backends: a link to each is kept while it is used.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ahash::AHashMap;
use serde_json::{Value, value::RawValue};

use crate::{
    backend::{Errand, ErrandError, ErrandSettings},
    pool::Member,
};

/// A link that was not used for so long is given up: what the backend tells everybody would pile up in it.
const KEEP: Duration = Duration::from_secs(1);

/// Links to the backends of one pool.
#[derive(Debug)]
pub(super) struct Visits {
    settings: ErrandSettings,
    links: AHashMap<Arc<str>, (Errand, Instant)>,
}

impl Visits {
    pub(super) fn new(settings: ErrandSettings) -> Self {
        Self { settings, links: AHashMap::new() }
    }

    /// Asks a backend something that may be asked twice.
    pub(super) async fn ask(
        &mut self,
        member: &Member,
        method: &str,
        params: &Value,
    ) -> Result<Box<RawValue>, ErrandError> {
        let kept = self.links.remove(&member.name).filter(|(_, used)| used.elapsed() < KEEP);
        if let Some((mut link, _)) = kept {
            let answer = link.ask(method, params).await;
            // A link may have ended since it was used last.
            if !matches!(answer, Err(ErrandError::Link { .. })) {
                self.keep(member, link);
                return answer;
            }
        }
        let mut link = Errand::begin(member, &self.settings).await?;
        let answer = link.ask(method, params).await;
        if !matches!(answer, Err(ErrandError::Link { .. })) {
            self.keep(member, link);
        }
        answer
    }

    /// Goes to a backend for one list. `each` gets the entries.
    pub(super) async fn list(&self, member: &Member, mut each: impl FnMut(&[u8])) -> Result<(), ErrandError> {
        let mut link = Errand::begin(member, &self.settings).await?;
        // Those that another session made in the background, too.
        let all = serde_json::json!({ "source": "local", "includeDetached": true });
        match link.list("sessions.list", &all, &mut each).await {
            Err(ErrandError::Unknown(_)) => link.list("session.list", &serde_json::json!({}), each).await,
            answer => answer,
        }
    }

    fn keep(&mut self, member: &Member, link: Errand) {
        self.links.insert(member.name.clone(), (link, Instant::now()));
    }
}
