//! What can be set on a dedicated pool.

use std::time::Duration;

use crate::{
    backend::probe::ProbeSettings,
    supervise::{OutfitSettings, SuperviseSettings},
};

/// How the instances of one pool come and go.
#[derive(Debug)]
pub(in crate::app) struct InstancesSettings {
    /// Each user has one, not each tenant.
    pub by_user: bool,
    /// CLIs that run at once, spares included.
    pub most: usize,
    /// Those that are started before anybody needs them.
    pub spares: usize,
    /// One that nobody used for so long is stopped; `None`: never.
    pub idle_stop: Option<Duration>,
    /// A client waits so long for a place and a start.
    pub queue_timeout: Duration,
    /// What each is given.
    pub outfit: OutfitSettings,
    /// How often it is looked whether a token has changed; `None`: never.
    pub token_check: Option<Duration>,
    /// How their processes are run, but for what is each one's own.
    pub supervise: SuperviseSettings,
    /// How they are watched.
    pub probe: ProbeSettings,
}
