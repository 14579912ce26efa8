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
    log::Entry,
    outbox::Out,
    pending::Pending,
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
    /// Everything that was told since it is live here, behind what was on the disk then.
    pub log: Vec<Arc<Entry>>,
    pub pending: Vec<Pending>,
    /// Client tools and whose they are: no two connections may have one of the same name.
    pub tools: BTreeMap<String, usize>,
}

/// Whether the end of a session is told to its connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// `session.shutdown`, as for `session.detach`, `session.destroy` and a lost connection.
    Shutdown,
    /// Nothing, as for `sessions.close` and `session.delete`.
    Nothing,
}

/// Everything that changes in a fake, behind its one lock.
#[derive(Debug)]
pub struct State {
    pub process: String,
    pub storage: Storage,
    pub conns: BTreeMap<usize, Arc<Conn>>,
    pub accepted: usize,
    pub live: BTreeMap<String, Live>,
    /// How many were live at one moment, at the most.
    pub most_live: usize,
    pub asked: HashMap<(usize, u64), oneshot::Sender<Value>>,
    pub frames: Vec<Frame>,
    pub rules: Vec<Rule>,
    pub reversed: Vec<(Arc<Conn>, Frame)>,
    pub steps: Vec<Step>,
    /// Events reach no socket.
    pub muted: bool,
    /// Events of a running turn reach the disk at once, not only with its end.
    pub write_through: bool,
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
        let Some(bytes) = self.note(session, kind, data, ephemeral) else { return };
        if self.muted {
            return;
        }
        let attached = self.live.get(session).map_or_else(Vec::new, |live| live.attached.clone());
        attached.into_iter().for_each(|conn| self.push(conn, bytes.clone()));
    }

    /// An event that nobody is told yet.
    fn note(&mut self, session: &str, kind: &str, data: &str, ephemeral: bool) -> Option<Bytes> {
        let live = self.live.get_mut(session)?;
        let (text, id) = shapes::event(kind, data, ephemeral, &live.parent);
        let bytes = shapes::session_event(session, &text);
        let entry = Arc::new(Entry { id, text, ephemeral });
        live.log.push(entry.clone());
        if !ephemeral {
            live.parent = Some(entry.id.clone());
            live.kept.events.push(entry);
            live.kept.modified = shapes::stamp();
            // A resume alone writes nothing to the real one's disk.
            if self.write_through && live.turn.is_some() {
                self.commit(session);
            }
        }
        Some(bytes)
    }

    /// Puts a live session on the disk: after its first turn only, as the real one does.
    pub fn commit(&mut self, session: &str) {
        if let Some(live) = self.live.get(session).filter(|live| !live.kept.summary.is_empty()) {
            self.storage.write(session, live.kept.clone());
        }
    }

    /// Ends a live session: its turn is cut without a word, its history is on the disk.
    pub fn close(&mut self, session: &str, told: Told) -> bool {
        let Some(live) = self.live.get_mut(session) else { return false };
        if let Some(turn) = live.turn.take() {
            turn.cancel();
        }
        let shutdown = r#"{"shutdownType":"routine","totalApiDurationMs":0}"#;
        if told == Told::Shutdown {
            self.emit(session, "session.shutdown", shutdown, false);
            self.lifecycle("session.updated", session);
        } else {
            self.note(session, "session.shutdown", shutdown, false);
        }
        self.commit(session);
        self.storage.claim(session, None);
        self.storage.tidy(session);
        self.storage.disk().homes.leave(session, &self.process);
        self.live.remove(session);
        true
    }

    /// Takes a connection off a session; the last one ends it.
    pub fn detach(&mut self, session: &str, conn: usize) {
        let Some(live) = self.live.get_mut(session) else { return };
        let last = live.attached == [conn];
        if last {
            self.close(session, Told::Shutdown);
        } else {
            live.attached.retain(|other| *other != conn);
            live.tools.retain(|_, owner| *owner != conn);
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
