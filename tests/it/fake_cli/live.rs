//! The sessions that are live in one fake, and what their connections get to see.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    conn::Conn,
    outbox::Out,
    record::Frame,
    script::{Rule, Step},
    shapes,
    storage::{Kept, Storage},
};

/// One live session.
#[derive(Debug)]
pub struct Live {
    /// Connections that hear its events, in the order of their coming; the last one gets the server's requests.
    pub attached: Vec<usize>,
    pub kept: Kept,
    pub parent: Option<String>,
    /// Cancelled when the running turn is cut.
    pub turn: Option<CancellationToken>,
    /// Message ids and prompts that wait for the running turn.
    pub waiting: VecDeque<(String, String)>,
    pub hooks: bool,
}

/// Everything that changes in a fake, behind its one lock.
#[derive(Debug)]
pub struct State {
    pub process: String,
    pub storage: Storage,
    pub conns: BTreeMap<usize, Arc<Conn>>,
    pub accepted: usize,
    pub live: BTreeMap<String, Live>,
    pub asked: HashMap<(usize, u64), oneshot::Sender<Value>>,
    pub frames: Vec<Frame>,
    pub rules: Vec<Rule>,
    pub reversed: Vec<(Arc<Conn>, Frame)>,
    pub steps: Vec<Step>,
}

impl State {
    pub fn push(&self, conn: usize, bytes: Bytes) {
        if let Some(conn) = self.conns.get(&conn) {
            conn.out.push(Out::Bytes(bytes));
        }
    }

    /// To every connection, attached or not, as the real one's `session.lifecycle`.
    pub fn broadcast(&self, bytes: &Bytes) {
        self.conns.values().for_each(|conn| conn.out.push(Out::Bytes(bytes.clone())));
    }

    pub fn lifecycle(&self, kind: &str, session: &str) {
        if let Some(live) = self.live.get(session) {
            let times = (live.kept.start.as_str(), live.kept.modified.as_str());
            self.broadcast(&shapes::lifecycle(kind, session, Some(times)));
        }
    }

    /// An event to the attached connections; a lasting one also goes into the history.
    pub fn emit(&mut self, session: &str, kind: &str, data: &str, ephemeral: bool) {
        let Some(live) = self.live.get_mut(session) else { return };
        let (text, id) = shapes::event(kind, data, ephemeral, &live.parent);
        let bytes = shapes::session_event(session, &text);
        if !ephemeral {
            live.parent = Some(id);
            live.kept.events.push(text);
            live.kept.modified = shapes::stamp();
        }
        let attached = live.attached.clone();
        attached.into_iter().for_each(|conn| self.push(conn, bytes.clone()));
    }

    /// Puts a live session on the disk: after its first turn only, as the real one does.
    pub fn commit(&mut self, session: &str) {
        if let Some(live) = self.live.get(session).filter(|live| !live.kept.summary.is_empty()) {
            self.storage.write(session, live.kept.clone());
        }
    }

    /// Ends a live session: its turn is cut, its connections hear `session.shutdown`.
    pub fn close(&mut self, session: &str) -> bool {
        let Some(live) = self.live.get_mut(session) else { return false };
        if let Some(turn) = live.turn.take() {
            turn.cancel();
        }
        self.emit(session, "session.shutdown", r#"{"shutdownType":"routine","totalApiDurationMs":0}"#, false);
        self.lifecycle("session.updated", session);
        self.commit(session);
        self.storage.claim(session, None);
        self.storage.tidy(session);
        self.live.remove(session);
        true
    }

    /// Takes a connection off a session; the last one ends it.
    pub fn detach(&mut self, session: &str, conn: usize) {
        let Some(live) = self.live.get_mut(session) else { return };
        let last = live.attached == [conn];
        if last {
            self.close(session);
        } else {
            live.attached.retain(|other| *other != conn);
        }
    }

    /// A connection is gone, and with it what it alone held.
    pub fn gone(&mut self, conn: usize) {
        self.conns.remove(&conn);
        self.asked.retain(|(asked, _), _| *asked != conn);
        let held: Vec<_> = self.live.iter().filter(|(_, live)| live.attached.contains(&conn)).collect();
        let held: Vec<_> = held.into_iter().map(|(id, _)| id.clone()).collect();
        held.iter().for_each(|session| self.detach(session, conn));
    }
}
