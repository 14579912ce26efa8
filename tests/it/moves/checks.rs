//! Orders of an operator, prompts with texts of their own, and what must be true after everything.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    deadline::within,
    fake_cli::{FakeCli, Storage},
    process::Pilotfish,
    rpc_client::{Heard, Pending, RpcClient, RpcError},
    session::{
        admin,
        rig::{Plan, Rig, create, name},
    },
};

/// Three backends, and nothing that waits longer than a test may.
pub const THREE: Plan<'static> = Plan {
    backends: 3,
    storage: "shared",
    listener: "",
    session: "",
    timeouts: "",
    pool: "rehome_wait = \"8s\"\nmove_timeout = \"3s\"",
    health: crate::session::rig::OFTEN,
    shutdown: "drain_timeout = \"5s\"",
    more: "",
    backend: |_| "",
    token: None,
    env: &[],
};

/// Within so long of the death of their backend open calls are answered. A debug build on a busy machine gets more.
pub const ANSWERED: Duration = Duration::from_millis(if cfg!(debug_assertions) { 400 } else { 100 });

/// An order of the operator; status code and body of the answer.
pub async fn order(proxy: &Pilotfish, path: &str) -> (u16, String) {
    let ask = async {
        let mut stream = TcpStream::connect(proxy.addr("admin")).await.expect("the admin listener");
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Pilotfish-Reason: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("an open connection");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        answer
    };
    let answer = within(|| format!("POST {path}"), ask).await;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    (code, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
}

/// Drains backend number `at`; the order is taken.
pub async fn drain(proxy: &Pilotfish, at: usize, more: &str) {
    let (code, body) = order(proxy, &format!("/backends/{}/drain{more}", name(at))).await;
    assert!((200..300).contains(&code), "{code} {body}");
}

/// Lets backend number `at` take sessions again.
pub async fn undrain(proxy: &Pilotfish, at: usize) {
    let (code, body) = order(proxy, &format!("/backends/{}/undrain", name(at))).await;
    assert!((200..300).contains(&code), "{code} {body}");
}

/// Waits until `/status` says that backend number `at` is `state`.
pub async fn until_state(proxy: &Pilotfish, at: usize, state: &str) {
    let wait = async {
        loop {
            let page = admin::status(proxy).await;
            if state_of(&page, &name(at)) == Some(state) {
                return;
            }
        }
    };
    within(|| format!("{} {state}; pilotfish printed\n{}", name(at), proxy.output()), wait).await;
}

/// The state of a backend, wherever in the page it stands.
fn state_of<'a>(page: &'a Value, backend: &str) -> Option<&'a str> {
    match page {
        Value::Object(map) if map.get("name").is_some_and(|name| name == backend) && map.contains_key("state") => {
            map["state"].as_str()
        }
        Value::Object(map) => map.values().find_map(|value| state_of(value, backend)),
        Value::Array(all) => all.iter().find_map(|value| state_of(value, backend)),
        _ => None,
    }
}

/// Sends a prompt of this text and waits for its acceptance.
pub async fn say(client: &RpcClient, session: &str, text: &str) {
    say_later(client, session, text).await.answer().await.unwrap_or_else(|error| panic!("{session} {text}: {error:?}"));
}

/// Sends a prompt of this text.
pub async fn say_later(client: &RpcClient, session: &str, text: &str) -> Pending {
    client.start("session.send", json!({"sessionId": session, "prompt": text})).await
}

/// A whole turn with a text of its own, without an error in it.
pub async fn converse(client: &RpcClient, session: &str, text: &str) {
    let before = client.heard(session).len();
    say(client, session, text).await;
    let ended = idle_behind(client, session, before).await;
    let errors = client.heard(session)[before..].iter().filter(|heard| heard.kind == "session.error").count();
    assert_eq!(errors, 0, "{session} {text} {ended:?}");
}

/// The first `session.idle` behind the first `before` events of a session.
pub async fn idle_behind(client: &RpcClient, session: &str, before: usize) -> Heard {
    kind_behind(client, session, before, "session.idle").await
}

/// The first event of `kind` behind the first `before` ones of a session.
pub async fn kind_behind(client: &RpcClient, session: &str, before: usize, kind: &str) -> Heard {
    let what = format!("{kind} of {session} behind {before}");
    client
        .until_heard(&what, session, |heard| heard.iter().skip(before).find(|heard| heard.kind == kind).cloned())
        .await
}

/// A session with one finished turn, `first of {session}`.
pub async fn settled(client: &RpcClient, session: &str) {
    create(client, session).await;
    converse(client, session, &first(session)).await;
}

/// The prompt of [`settled`].
pub fn first(session: &str) -> String {
    format!("first of {session}")
}

/// The texts of all prompts in a session's history, as its home tells them.
pub async fn prompts(client: &RpcClient, session: &str) -> Vec<String> {
    let told = read(client, session).await.unwrap_or_else(|error| panic!("the history of {session}: {error:?}"));
    let events = told["events"].as_array().cloned().unwrap_or_default();
    let said = events.iter().filter(|event| event["type"] == "user.message");
    said.map(|event| event["data"]["content"].as_str().unwrap_or("").to_owned()).collect()
}

/// The history of a session. What was sent in the instant before the end of the backend's connection is answered as lost; it is
/// asked once more then.
pub async fn read(client: &RpcClient, session: &str) -> Result<Value, RpcError> {
    match client.call("session.getMessages", json!({"sessionId": session})).await {
        Err(error) if error.code == -32011 => client.call("session.getMessages", json!({"sessionId": session})).await,
        answer => answer,
    }
}

/// No event came twice.
pub fn assert_once(client: &RpcClient, session: &str) {
    let mut counts: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for heard in client.heard(session) {
        counts.entry(heard.id).or_insert((0, heard.kind)).0 += 1;
    }
    let twice: Vec<_> = counts.iter().filter(|(_, (count, _))| *count > 1).collect();
    assert!(twice.is_empty(), "{session}: {twice:?} of {:?}", kinds(client, session));
}

/// The types of all events of a session.
pub fn kinds(client: &RpcClient, session: &str) -> Vec<String> {
    client.heard(session).into_iter().map(|heard| heard.kind).collect()
}

/// Nothing was executed twice, no session had two homes, and no resume met a living one.
pub fn assert_sound(storage: &Storage) {
    assert_eq!(storage.executed_twice(), []);
    assert_eq!(storage.overlaps(), []);
    assert_eq!(storage.already_in_use(), 0);
}

/// The same for the shared disk of a rig.
pub fn assert_rig_sound(rig: &Rig) {
    assert_sound(&rig.cli[0].storage());
}

/// Waits until `session` is live at backend number `at` and nowhere else.
pub async fn until_home(rig: &Rig, session: &str, at: usize) {
    rig.cli[at].wait_for_live(session, true).await;
    assert_eq!(rig.cli[0].storage().homes(session), [name(at)]);
}

/// How long something took since `start` may not be more than `limit`.
pub fn assert_within(what: &str, start: Instant, limit: Duration) {
    let took = start.elapsed();
    assert!(took <= limit, "{what} took {took:?}");
}

/// The number of a fake that has `session` live.
pub fn live_anywhere(rig: &Rig, session: &str) -> Option<usize> {
    rig.cli.iter().position(|cli: &FakeCli| cli.live().iter().any(|live| live == session))
}
