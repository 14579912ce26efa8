//! The connection that a probe asks on: dialled, greeted, then kept for pings.

use std::time::Duration;

use serde_json::json;

use super::{
    Dialer, Finding,
    talk::{Talk, meaning},
};
use crate::{
    model::Secret,
    pool::{Identity, Member},
};

const ID_PREFIX: &str = "pilotfish-probe-";

/// One connection to one backend.
#[derive(Debug)]
pub(super) struct ProbeLink(Talk);

impl ProbeLink {
    /// Connects to `member` within `timeout`.
    pub(super) async fn dial(dialer: &Dialer, member: &Member, timeout: Duration) -> Result<Self, Finding> {
        Talk::dial(dialer, member, timeout, ID_PREFIX).await.map(Self)
    }

    /// Says who we are and hears who it is.
    pub(super) async fn greet(&mut self, token: Option<&Secret>) -> Result<Identity, Finding> {
        self.0.greet(token).await
    }

    /// Asks for a sign of life.
    pub(super) async fn ping(&mut self) -> Result<(), Finding> {
        self.0.ask("ping", &json!({})).await?.map(drop).map_err(|failure| meaning(failure.code))
    }

    /// Reads and forgets what the backend says unasked, until the connection ends. Without it the notifications of
    /// all sessions would pile up in the backend. May be dropped at any time; nothing is lost.
    pub(super) async fn ended(&mut self) -> Finding {
        loop {
            if let Err(finding) = self.0.body().await {
                return finding;
            }
        }
    }
}
