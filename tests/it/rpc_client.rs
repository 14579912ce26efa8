//! A raw client: frames of the test's own choice, every wait bounded.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::{Mutex as Turnstile, oneshot, watch},
    task::JoinHandle,
};

use crate::{deadline::within, fake_cli::Close};

/// An error answer.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Value,
}

/// One connection to a proxy or a fake. Ids count from 0 as the Node SDK's do.
pub struct RpcClient {
    writer: Turnstile<OwnedWriteHalf>,
    inbox: Arc<Inbox>,
    ids: AtomicU64,
    reading: JoinHandle<()>,
}

/// One `session.event` as it was heard.
#[derive(Clone, Debug)]
pub struct Heard {
    pub session: String,
    pub id: String,
    pub kind: String,
    pub at: Instant,
}

/// A request that is on its way.
pub struct Pending {
    what: String,
    answer: oneshot::Receiver<Value>,
}

#[derive(Default)]
struct Inbox {
    seen: Mutex<Seen>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Seen {
    pending: HashMap<String, oneshot::Sender<Value>>,
    /// Notifications and server requests, in the order of their coming.
    told: VecDeque<Value>,
    /// Answers to ids that nobody waits for, `null` among them.
    stray: VecDeque<Value>,
    /// Every event ever, also those that were taken.
    heard: Vec<Heard>,
    bytes: u64,
    closed: bool,
}

impl RpcClient {
    /// Opens a connection and starts reading.
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream = within(|| format!("a connection to {addr}"), TcpStream::connect(addr)).await.expect("accepted");
        stream.set_nodelay(true).expect("an open socket");
        let (from, to) = stream.into_split();
        let inbox = Arc::new(Inbox::default());
        let reading = tokio::spawn(inbox.clone().read(from));
        Self { writer: Turnstile::new(to), inbox, ids: AtomicU64::new(0), reading }
    }

    /// Vanishes: the socket is closed, with whatever the kernel makes of it (FIN), or reset.
    pub async fn cut(self, how: Close) {
        let writer = self.writer.into_inner();
        if how == Close::Rst {
            SockRef::from(writer.as_ref()).set_linger(Some(Duration::ZERO)).expect("an open socket");
        }
        self.reading.abort();
        let _ = self.reading.await;
        drop(writer);
    }

    /// A request and its answer.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.start(method, params).await.answer().await
    }

    /// A request whose answer comes later.
    pub async fn start(&self, method: &str, params: Value) -> Pending {
        let id = json!(self.ids.fetch_add(1, Ordering::Relaxed));
        self.start_as(id, method, params).await
    }

    /// A request with an id of the test's choice.
    pub async fn start_as(&self, id: Value, method: &str, params: Value) -> Pending {
        let (answer, answered) = oneshot::channel();
        self.inbox.seen.lock().unwrap().pending.insert(id.to_string(), answer);
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        Pending { what: format!("the answer to {method} {id}"), answer: answered }
    }

    /// A notification.
    pub async fn notify(&self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params})).await;
    }

    /// Answers a server request.
    pub async fn answer(&self, id: &Value, result: Value) {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "result": result})).await;
    }

    /// Any bytes. A connection that the peer has closed takes them silently.
    pub async fn send_raw(&self, bytes: &[u8]) {
        let mut writer = self.writer.lock().await;
        within(|| format!("{} bytes taken", bytes.len()), writer.write_all(bytes)).await.ok();
    }

    /// Says that no more requests will come (FIN), as the SDK's `stop()` does.
    pub async fn finish(&self) {
        self.writer.lock().await.shutdown().await.ok();
    }

    /// The next notification or server request that nobody took yet.
    pub async fn next_notification(&self) -> Value {
        self.take("a notification", |_| true).await
    }

    /// The next `session.event` of `kind` for `session`; those before it stay.
    pub async fn next_event(&self, session: &str, kind: &str) -> Value {
        let wanted = |told: &Value| {
            told["method"] == "session.event"
                && told["params"]["sessionId"] == session
                && told["params"]["event"]["type"] == kind
        };
        self.take(&format!("{kind} of {session}"), wanted).await["params"]["event"].take()
    }

    /// The next server request of `method`.
    pub async fn next_request(&self, method: &str) -> Value {
        self.take(&format!("request {method}"), |told| told["method"] == method && told.get("id").is_some()).await
    }

    /// The first notification or server request that `wanted` likes; those before it stay.
    pub async fn take(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let find = |seen: &mut Seen| {
            let at = seen.told.iter().position(&wanted)?;
            seen.told.remove(at)
        };
        self.until(what, find).await
    }

    /// The next answer that belongs to no request of ours, for instance one with `id: null`.
    pub async fn next_stray(&self) -> Value {
        self.until("a stray answer", |seen| seen.stray.pop_front()).await
    }

    /// Everything told so far and not yet taken.
    pub fn told(&self) -> Vec<Value> {
        self.inbox.seen.lock().unwrap().told.iter().cloned().collect()
    }

    /// The types of all events of `session` told and not yet taken, in order.
    pub fn events(&self, session: &str) -> Vec<String> {
        let of = |told: &Value| told["method"] == "session.event" && told["params"]["sessionId"] == session;
        let kind = |told: Value| told["params"]["event"]["type"].as_str().unwrap_or("").to_owned();
        self.told().into_iter().filter(of).map(kind).collect()
    }

    /// Every event of `session` so far, also those that were taken.
    pub fn heard(&self, session: &str) -> Vec<Heard> {
        self.inbox.seen.lock().unwrap().heard.iter().filter(|heard| heard.session == session).cloned().collect()
    }

    /// What `find` finds among them, now or later.
    pub async fn until_heard<T>(&self, what: &str, session: &str, find: impl Fn(&[Heard]) -> Option<T>) -> T {
        let look = |seen: &mut Seen| {
            let heard: Vec<_> = seen.heard.iter().filter(|heard| heard.session == session).cloned().collect();
            find(&heard)
        };
        self.until(what, look).await
    }

    /// Forgets what was told and heard so far.
    pub fn forget(&self) {
        let mut seen = self.inbox.seen.lock().unwrap();
        seen.told.clear();
        seen.heard.clear();
    }

    /// Whether the peer has ended the connection.
    pub fn is_closed(&self) -> bool {
        self.inbox.seen.lock().unwrap().closed
    }

    /// Waits until the peer ends the connection.
    pub async fn expect_closed(&self) {
        self.until("the end of the connection", |seen| seen.closed.then_some(())).await;
    }

    async fn send(&self, message: &Value) {
        let body = message.to_string();
        self.send_raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
    }

    async fn until<T>(&self, what: &str, check: impl Fn(&mut Seen) -> Option<T>) -> T {
        let mut changed = self.inbox.changed.subscribe();
        let wait = async {
            loop {
                changed.borrow_and_update();
                if let Some(found) = check(&mut self.inbox.seen.lock().unwrap()) {
                    return found;
                }
                changed.changed().await.expect("the inbox outlives its waiters");
            }
        };
        within(|| format!("{what}; {}", self.inbox.summary()), wait).await
    }
}

impl Pending {
    /// The answer. A connection that ends first is a failure of the test: nothing may hang.
    pub async fn answer(self) -> Result<Value, RpcError> {
        let what = self.what.clone();
        let answer = self.outcome().await.unwrap_or_else(|| panic!("the connection ended before {what}"));
        match answer.get("error") {
            Some(error) => Err(RpcError {
                code: error["code"].as_i64().unwrap_or(0),
                message: error["message"].as_str().unwrap_or("").into(),
                data: error["data"].clone(),
            }),
            None => Ok(answer["result"].clone()),
        }
    }

    /// The whole answer, `None` if the connection ended first.
    pub async fn outcome(self) -> Option<Value> {
        within(|| self.what, self.answer).await.ok()
    }
}

impl Inbox {
    async fn read(self: Arc<Self>, mut from: OwnedReadHalf) {
        let mut buffer = Vec::new();
        loop {
            while let Some(body) = next_body(&mut buffer) {
                self.sort(body);
            }
            let got = from.read_buf(&mut buffer).await.unwrap_or(0);
            let mut seen = self.seen.lock().unwrap();
            seen.bytes += got as u64;
            if got == 0 {
                seen.closed = true;
                seen.pending.clear(); // Wakes those who wait: their answers will not come.
                drop(seen);
                self.changed.send_replace(());
                return;
            }
        }
    }

    fn sort(&self, body: Vec<u8>) {
        let value: Value = serde_json::from_slice(&body)
            .unwrap_or_else(|error| json!({"unreadable": error.to_string(), "body": String::from_utf8_lossy(&body)}));
        let mut seen = self.seen.lock().unwrap();
        if value["method"] == "session.event" {
            let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
            let (params, event) = (&value["params"], &value["params"]["event"]);
            let heard = Heard {
                session: text(&params["sessionId"]),
                id: text(&event["id"]),
                kind: text(&event["type"]),
                at: Instant::now(),
            };
            seen.heard.push(heard);
        }
        let waiting = if value.get("method").is_none() { seen.pending.remove(&value["id"].to_string()) } else { None };
        match waiting {
            Some(waiting) => drop(waiting.send(value)),
            None if value.get("method").is_some() => seen.told.push_back(value),
            None => seen.stray.push_back(value),
        }
        drop(seen);
        self.changed.send_replace(());
    }

    fn summary(&self) -> String {
        let seen = self.seen.lock().unwrap();
        let methods: Vec<_> =
            seen.told.iter().map(|told| (&told["method"], &told["params"]["event"]["type"])).collect();
        format!("{} bytes came, closed: {}, told: {methods:?}, stray: {:?}", seen.bytes, seen.closed, seen.stray)
    }
}

/// Cuts one whole body off the front of `buffer`.
fn next_body(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = buffer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let header = std::str::from_utf8(&buffer[..end]).expect("an ASCII header");
    let length: usize = header
        .strip_prefix("Content-Length: ")
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("a header of its own kind: {header:?}"));
    if buffer.len() < end + 4 + length {
        return None;
    }
    let rest = buffer.split_off(end + 4 + length);
    let mut frame = std::mem::replace(buffer, rest);
    Some(frame.split_off(end + 4))
}
