//! A short visit to a backend on the proxy's own behalf: a connection, some questions, and away again.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, value::RawValue};
use thiserror::Error;
use tokio::{task::yield_now, time};

use super::{
    Dialer, Finding,
    entries::Entries,
    talk::{Failure, MAX_BODY, PIECE, Talk, answer_to},
};
use crate::{model::Secret, pool::Member, wire::frame::read_backend_head};

const ID_PREFIX: &str = "pilotfish-errand-";

/// The longest list that is read: some millions of sessions.
const LONGEST_LIST: usize = 2 << 30;

const METHOD_NOT_FOUND: i64 = -32601;

/// How a pool's backends are visited.
#[derive(Clone, Debug)]
pub struct ErrandSettings {
    /// How they are reached.
    pub dialer: Dialer,
    /// The backends' token.
    pub token: Option<Secret>,
    /// For a connection to be accepted.
    pub connect_timeout: Duration,
    /// For each answer.
    pub timeout: Duration,
    /// For each piece of a list: a backend looks at every session on the disk before it says the first word.
    pub list_timeout: Duration,
}

/// Why a visit was of no use.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ErrandError {
    /// The way there, or what came over it.
    #[error("backend {backend}: {}", .finding.as_str())]
    Link {
        /// The backend.
        backend: Arc<str>,
        /// What is wrong.
        finding: Finding,
    },
    /// It does not know the method.
    #[error("backend {0} does not know the method")]
    Unknown(Arc<str>),
    /// It answered with an error.
    #[error("backend {backend}: {message}")]
    Refused {
        /// The backend.
        backend: Arc<str>,
        /// In its words.
        message: String,
    },
}

/// A visit to one backend.
#[derive(Debug)]
pub struct Errand {
    backend: Arc<str>,
    talk: Talk,
    settings: ErrandSettings,
}

impl Errand {
    /// Goes there.
    pub async fn begin(member: &Member, settings: &ErrandSettings) -> Result<Self, ErrandError> {
        let backend = member.name.clone();
        let link = |finding| ErrandError::Link { backend: backend.clone(), finding };
        let dialled = Talk::dial(&settings.dialer, member, settings.connect_timeout, ID_PREFIX).await;
        let mut talk = dialled.map_err(link)?;
        let greeting = time::timeout(settings.timeout, talk.greet(member.token(settings.token.as_ref()))).await;
        greeting.unwrap_or(Err(Finding::Timeout)).map_err(link)?;
        Ok(Self { backend, talk, settings: settings.clone() })
    }

    /// Asks; the result as it came.
    pub async fn ask(&mut self, method: &str, params: &Value) -> Result<Box<RawValue>, ErrandError> {
        let answer = time::timeout(self.settings.timeout, self.talk.ask(method, params)).await;
        let answer = answer.unwrap_or(Err(Finding::Timeout)).map_err(|finding| self.link(finding))?;
        answer.map_err(|failure| self.refused(failure))
    }

    /// Asks for a list of sessions and gives each of its entries to `each`, as they come. Of an answer that is too long to be
    /// kept only the layout is understood that the runtime gives it.
    pub async fn list(&mut self, method: &str, params: &Value, mut each: impl FnMut(&[u8])) -> Result<(), ErrandError> {
        let id = self.talk.say(method, params).await.map_err(|finding| self.link(finding))?;
        let begin = format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{"sessions":["#);
        loop {
            let (head, length) = self.head().await?;
            let flows = length > PIECE && self.begins(head, begin.as_bytes()).await?;
            if flows || length > MAX_BODY {
                self.talk.received.drain(..head);
                self.flow(flows.then_some(begin.len()), length, &mut each).await?;
            } else {
                let body = self.timed().await?;
                let Some(answer) = answer_to(&id, &body) else { continue };
                let answer = answer.map_err(|finding| self.link(finding))?;
                let result = answer.map_err(|failure| self.refused(failure))?;
                let list: List = serde_json::from_str(result.get()).map_err(|_| self.link(Finding::Malformed))?;
                list.sessions.iter().for_each(|entry| each(entry.get().as_bytes()));
                return Ok(());
            }
            if flows {
                return Ok(());
            }
        }
    }

    /// Whether the body behind the head begins so.
    async fn begins(&mut self, head: usize, begin: &[u8]) -> Result<bool, ErrandError> {
        while self.talk.received.len() < head + begin.len() {
            self.read().await?;
        }
        Ok(self.talk.received[head..].starts_with(begin))
    }

    /// Reads a long body as it comes. `list`: how much of it stands before the first entry; without that it is passed over.
    async fn flow(
        &mut self,
        list: Option<usize>,
        length: usize,
        each: &mut impl FnMut(&[u8]),
    ) -> Result<(), ErrandError> {
        let (mut entries, mut left, mut skip) = (Entries::default(), length, list.unwrap_or_default());
        while left > 0 {
            if self.talk.received.is_empty() {
                self.read().await?;
            }
            let count = left.min(self.talk.received.len());
            if list.is_some() {
                let pushed = entries.push(&self.talk.received[skip..count], &mut *each);
                pushed.map_err(|finding| self.link(finding))?;
            }
            (skip, left) = (0, left - count);
            self.talk.received.drain(..count);
            // A piece takes a fraction of a millisecond; others have their turn in between.
            yield_now().await;
        }
        if list.is_some() && !entries.ended() { Err(self.link(Finding::Malformed)) } else { Ok(()) }
    }

    /// The lengths of the next frame's head and body.
    async fn head(&mut self) -> Result<(usize, usize), ErrandError> {
        loop {
            let head = read_backend_head(&self.talk.received, LONGEST_LIST);
            if let Some(head) = head.map_err(|_| self.link(Finding::Malformed))? {
                return Ok((head.head_len, head.frame_len() - head.head_len));
            }
            self.read().await?;
        }
    }

    async fn timed(&mut self) -> Result<Vec<u8>, ErrandError> {
        let body = time::timeout(self.settings.list_timeout, self.talk.body()).await;
        body.unwrap_or(Err(Finding::Timeout)).map_err(|finding| self.link(finding))
    }

    async fn read(&mut self) -> Result<(), ErrandError> {
        let read = time::timeout(self.settings.list_timeout, self.talk.read()).await;
        read.unwrap_or(Err(Finding::Timeout)).map_err(|finding| self.link(finding))
    }

    fn link(&self, finding: Finding) -> ErrandError {
        ErrandError::Link { backend: self.backend.clone(), finding }
    }

    fn refused(&self, failure: Failure) -> ErrandError {
        match failure.code {
            METHOD_NOT_FOUND => ErrandError::Unknown(self.backend.clone()),
            _ => ErrandError::Refused { backend: self.backend.clone(), message: failure.message },
        }
    }
}

#[derive(serde::Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    sessions: Vec<&'a RawValue>,
}
