//! What a test does with a fake: scripts it, makes it speak, and looks at what it heard.

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    outbox::{Close, Out},
    record::Frame,
    script::{Act, Rule, Step},
    server::FakeCli,
    shapes,
    storage::Storage,
};
use crate::deadline::within;

/// A request that the fake sent to a client.
pub struct Asked(oneshot::Receiver<Value>);

impl Asked {
    /// The whole answer (with `result` or `error`); `None` if the connection ended first.
    pub async fn answer(self) -> Option<Value> {
        within(|| "an answer to the server's request".into(), self.0).await.ok()
    }
}

impl FakeCli {
    /// From now on `method` (`*` = every one) gets `act`. The latest rule wins.
    pub fn on(&self, method: &str, act: Act) {
        self.next(usize::MAX, method, act);
    }

    /// The next `count` requests of `method` get `act`.
    pub fn next(&self, count: usize, method: &str, act: Act) {
        self.inner.state().rules.push(Rule { method: method.into(), act, left: count });
    }

    /// Back to the usual for every method.
    pub fn as_usual(&self) {
        self.inner.state().rules.clear();
    }

    /// The steps of every later turn.
    pub fn turns(&self, steps: Vec<Step>) {
        self.inner.state().steps = steps;
    }

    /// Its disk.
    pub fn storage(&self) -> Storage {
        self.inner.options.storage.clone()
    }

    /// Whether events reach no socket from now on; they go on being kept.
    pub fn mute(&self, muted: bool) {
        self.inner.state().muted = muted;
    }

    /// Events of running turns reach the disk at once from now on, not only with the turn's end.
    pub fn write_through(&self) {
        self.inner.state().write_through = true;
    }

    /// Waits until no turn of `session` runs here, whatever its clients were told.
    pub async fn wait_for_rest(&self, session: &str) {
        let rests =
            |cli: &Self| cli.inner.state().live.get(session).is_none_or(|live| live.turn.is_none()).then_some(());
        self.until(&format!("the end of the turn of {session}"), rests).await;
    }

    /// Every frame that arrived so far.
    pub fn frames(&self) -> Vec<Frame> {
        self.inner.state().frames.clone()
    }

    /// Frames of `method` so far.
    pub fn count(&self, method: &str) -> usize {
        self.inner.state().frames.iter().filter(|frame| frame.method() == method).count()
    }

    /// Whether `method` for `session` has arrived.
    pub fn saw(&self, session: &str, method: &str) -> bool {
        self.inner.state().frames.iter().any(|frame| frame.session() == session && frame.method() == method)
    }

    /// The first frame, now or later, that `wanted` likes.
    pub async fn wait_for(&self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        self.until("a frame that the test waits for", |cli| cli.frames().into_iter().find(&wanted)).await
    }

    /// The first frame of `method` for `session`, now or later.
    pub async fn wait_for_method(&self, session: &str, method: &str) -> Frame {
        self.wait_for(|frame| frame.session() == session && frame.method() == method).await
    }

    /// Waits until `count` frames of `method` have arrived.
    pub async fn wait_for_count(&self, method: &str, count: usize) {
        self.until(&format!("{count} x {method}"), |cli| (cli.count(method) >= count).then_some(())).await;
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.inner.state().accepted
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.inner.state().conns.len()
    }

    /// Waits until `count` connections are open.
    pub async fn wait_for_open(&self, count: usize) {
        self.until(&format!("{count} open connections"), |cli| (cli.open() == count).then_some(())).await;
    }

    /// The ids that are live in this process.
    pub fn live(&self) -> Vec<String> {
        self.inner.state().live.keys().cloned().collect()
    }

    /// How many were live at one moment, at the most, since the beginning.
    pub fn most_live(&self) -> usize {
        self.inner.state().most_live
    }

    /// Waits until `session` is live here, or until it is not.
    pub async fn wait_for_live(&self, session: &str, live: bool) {
        let what = format!("session {session} live = {live}");
        self.until(&what, |cli| (cli.inner.state().live.contains_key(session) == live).then_some(())).await;
    }

    /// Any bytes on connection `conn` (its number in [`Frame::conn`]).
    pub fn send_raw(&self, conn: usize, bytes: impl Into<Bytes>) {
        self.inner.state().push(conn, bytes.into());
    }

    /// A notification on every connection; `params` is JSON text.
    pub fn notify(&self, method: &str, params: &str) {
        self.inner.state().broadcast(&shapes::notification(method, params));
    }

    /// An event of `session` to the connections attached to it.
    pub fn event(&self, session: &str, kind: &str, data: &str, ephemeral: bool) {
        self.inner.state().emit(session, kind, data, ephemeral);
    }

    /// `count` ephemeral events of about `size` bytes each, at once and without waiting for a reader.
    pub fn flood(&self, session: &str, count: usize, size: usize) {
        let data = format!(r#"{{"messageId":"flood","deltaContent":"{}"}}"#, "x".repeat(size.saturating_sub(300)));
        let (event, _) = shapes::event("assistant.message_delta", &data, true, &None);
        let bytes = shapes::session_event(session, &event);
        let state = self.inner.state();
        let Some(live) = state.live.get(session) else { return };
        for _ in 0..count {
            live.attached.iter().for_each(|conn| state.push(*conn, bytes.clone()));
        }
    }

    /// A request to the client that attached to `session` last, with ids 1, 2, 3 ... for each connection; `params` are
    /// fields of JSON text behind the session id.
    pub fn ask(&self, session: &str, method: &str, params: &str) -> Asked {
        Asked(self.inner.ask(session, method, params).expect("a live session with a connection"))
    }

    /// Ends connection `conn` behind what is already queued for it.
    pub fn end(&self, conn: usize, how: Close) {
        if let Some(conn) = self.inner.state().conns.get(&conn) {
            conn.out.push(Out::End(how));
        }
    }

    async fn until<T>(&self, what: &str, check: impl Fn(&Self) -> Option<T>) -> T {
        let mut changed = self.inner.changed.subscribe();
        let wait = async {
            loop {
                changed.borrow_and_update();
                if let Some(found) = check(self) {
                    return found;
                }
                changed.changed().await.expect("the fake outlives its waiters");
            }
        };
        within(|| format!("{what} at {}; it heard {:#?}", self.name(), self.frames()), wait).await
    }
}
