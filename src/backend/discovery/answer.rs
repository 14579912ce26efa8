//! What a source says.

use std::{sync::Arc, time::Duration};

use crate::model::Endpoint;

/// What a source said when it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it said.
    pub said: Said,
    /// When it should be asked again.
    pub again: Duration,
}

/// What a source can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// These are the backends, and no others; at least one.
    Backends(Vec<Found>),
    /// There is none.
    Nothing(Fault),
    /// It could not be found out.
    Failed(Fault),
}

/// One backend of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is called, whatever its address.
    pub name: Arc<str>,
    /// Where it listens, any of them. None: it is not known now.
    pub addresses: Vec<Endpoint>,
    /// `host:port` that has to be looked up for that.
    pub host: Option<Arc<str>>,
    /// The name that its certificate should have.
    pub server: Option<Arc<str>>,
    /// Its share of placements.
    pub weight: u32,
    /// Whether the source wants it drained.
    pub drain: bool,
}

/// Why there is no backend in an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such name.
    #[error("there is no such name")]
    NoName,
    /// The name is there, and has no such record; or the file has no backend.
    #[error("there is no backend")]
    Empty,
    /// The server could not say.
    #[error("the name server answers {0}")]
    Refused(String),
    /// Nothing in time.
    #[error("no answer in time")]
    Timeout,
    /// It cannot be asked, or said nothing that is understood.
    #[error("{0}")]
    Broken(String),
}
