//! Two tenants in front of fakes, and frames of the test's own spelling.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{
    deadline::within,
    process::Pilotfish,
    rpc_client::{RpcClient, RpcError},
    session::{
        raw::{Raw, frame},
        rig::{Plan, Rig},
    },
};

/// Tokens as the tests know them.
pub const ALICE: &str = "alice-token-000000000001";
pub const BOB: &str = "bob-token-00000000000002";

/// Tenants `alice` and `bob` with one token each.
pub const TWO: &str = r#"
[[tenant]]
name = "alice"
tokens = [{ env = "IT_ALICE" }]
[[tenant]]
name = "bob"
tokens = [{ env = "IT_BOB" }]
"#;

pub const ENV: &[(&str, &str)] = &[("IT_ALICE", ALICE), ("IT_BOB", BOB)];

/// How sessions get their owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    Prefix,
    Registry,
}

impl Ids {
    /// Lines of the pool's table.
    pub fn lines(self) -> &'static str {
        match self {
            Self::Prefix => "session_ids = \"prefix\"",
            Self::Registry => "session_ids = \"registry\"",
        }
    }

    /// An id for a session of `tenant`.
    pub fn id(self, tenant: &str, rest: &str) -> String {
        match self {
            Self::Prefix => format!("{tenant}--{rest}"),
            Self::Registry => format!("of-{tenant}-{rest}"),
        }
    }
}

/// Alice and bob in front of `backends` fakes.
pub async fn two(ids: Ids, backends: usize) -> Rig {
    Rig::with(Plan { backends, pool: ids.lines(), more: TWO, env: ENV, ..Plan::default() }).await
}

/// A client that has logged in.
pub async fn login(rig: &Rig, token: &str) -> RpcClient {
    let client = rig.stranger().await;
    client.call("connect", json!({"token": token})).await.expect("a right token");
    client
}

/// What an operator asks of the admin listener: status code and body. `reason` goes into the header that says why.
pub async fn operate(proxy: &Pilotfish, method: &str, target: &str, reason: Option<&str>) -> (u16, String) {
    let reason = reason.map_or_else(String::new, |reason| format!("X-Pilotfish-Reason: {reason}\r\n"));
    let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{reason}Connection: close\r\n\r\n");
    let asking = async {
        let mut stream = TcpStream::connect(proxy.addr("admin")).await.expect("the admin listener");
        stream.write_all(request.as_bytes()).await.expect("an open connection");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        answer
    };
    let answer = within(|| format!("{method} {target}"), asking).await;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

/// Checks that a call was answered as one about a session that does not exist.
pub fn assert_absent(answer: Result<Value, RpcError>, method: &str, id: &str) {
    let whole = match answer {
        Ok(result) => json!({"jsonrpc": "2.0", "id": 0, "result": result}),
        Err(error) if error.data.is_null() => {
            json!({"jsonrpc": "2.0", "id": 0, "error": {"code": error.code, "message": error.message}})
        }
        Err(error) => panic!("{method} {id}: {error:?}"),
    };
    let wanted: Value = serde_json::from_str(&absent(method, id)).expect("JSON");
    assert_eq!(whole, wanted, "{method} {id}");
}

/// Checks that a call was refused because its method is not allowed.
pub fn assert_denied(answer: Result<Value, RpcError>, method: &str) {
    let error = answer.expect_err(method);
    assert_eq!((error.code, &error.data["reason"]), (-32601, &json!("denied_by_policy")), "{method}: {error:?}");
}

/// A prompt that no session should ever hear.
pub const PROMPT: &str = "not for your ears";

/// The least that a call about `id` needs.
pub fn params(method: &str, id: &str) -> String {
    let prompt = if method == "session.send" { json!(PROMPT) } else { Value::Null };
    if prompt.is_null() { json!({ "sessionId": id }) } else { json!({"sessionId": id, "prompt": prompt}) }.to_string()
}

/// What the runtime answers to `method` about a session that does not exist, with the id of [`Spelt::call`]'s answers.
pub fn absent(method: &str, id: &str) -> String {
    let usual =
        |why: &str| format!(r#""error":{{"code":-32603,"message":"Request {method} failed with message: {why}"}}"#);
    let member = match method {
        "session.resume" => usual(&format!("Failed to load session events: Session not found: {id}")),
        "session.getMessages" => usual(&format!("Session not found: {id}")),
        "session.delete" => format!(r#""result":{{"success":false,"error":"Session file not found for {id}"}}"#),
        "session.destroy" => r#""result":{"success":false}"#.into(),
        "session.detach" => r#""result":{"success":true}"#.into(),
        "session.getMetadata" => r#""result":{}"#.into(),
        "sessions.fork" => usual(&format!("Cannot fork session {id}: no persisted or in-memory events found")),
        _ => usual(&format!("Session not found for sessionId: {id}")),
    };
    format!(r#"{{"jsonrpc":"2.0","id":0,{member}}}"#)
}

/// The answer to a `connect` with this token. It comes from an address of loopback that nobody used before, so that no
/// wrong token delays the next.
pub async fn knock(proxy: &Pilotfish, token: &str) -> String {
    static ADDRESS: AtomicU32 = AtomicU32::new(0x7f01_0001);
    let address = Ipv4Addr::from(ADDRESS.fetch_add(1, Ordering::Relaxed));
    let params = json!({ "token": token });
    let body = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"connect","params":{params}}}"#);
    let knocking = async {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((address, 0))).expect("loopback has many addresses");
        let mut stream = socket.connect(proxy.addr("sdk")).await.expect("accepted");
        stream.write_all(&frame(body)).await.expect("taken");
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert_ne!(stream.read_buf(&mut answer).await.expect("an open connection"), 0, "it ended");
        }
        String::from_utf8(answer).expect("UTF-8")
    };
    let answer = within(|| "an answer to connect".into(), knocking).await;
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

/// A client whose frames are spelt by the test.
pub struct Spelt {
    raw: Raw,
    next: u64,
}

impl Spelt {
    pub async fn login(rig: &Rig, token: &str) -> Self {
        let mut spelt = Self { raw: Raw::connect(rig.proxy.addr("sdk")).await, next: 1 };
        let answer = spelt.call("connect", &json!({"token": token}).to_string()).await;
        assert!(answer.contains("\"ok\":true"), "{answer}");
        spelt
    }

    /// The answer's body to a request with these params; notifications before it are kept out.
    pub async fn call(&mut self, method: &str, params: &str) -> String {
        self.call_and_hear(method, params).await.0
    }

    /// The answer, and what was told before it.
    pub async fn call_and_hear(&mut self, method: &str, params: &str) -> (String, Vec<String>) {
        let id = self.next;
        self.next += 1;
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        self.raw.send(&frame(body)).await;
        let mut told = Vec::new();
        loop {
            let body = self.raw.body().await.unwrap_or_else(|| panic!("the connection ended before {method}"));
            let text = String::from_utf8(body).expect("UTF-8");
            let value: Value = serde_json::from_str(&text).expect("JSON");
            if value.get("method").is_none() && value["id"] == id {
                // The number is the only thing that may differ between two answers.
                return (text.replacen(&format!("\"id\":{id}"), "\"id\":0", 1), told);
            }
            assert!(value["id"].is_null() || value.get("method").is_some(), "{method}: a stray answer {text}");
            if value["id"].is_null() && value.get("method").is_none() {
                return (text, told);
            }
            told.push(text);
        }
    }
}
