//! Backends that cannot be reached, or accept and say nothing: what waits for them goes elsewhere.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    raw::frame,
    rig::{ONCE, Plan, Rig, assert_ours, create, id_at, order, turn},
};
use crate::fake_cli::{Act, Close};

const BLIND: Plan<'static> = Plan {
    backends: 3,
    storage: "shared",
    listener: "",
    session: "",
    timeouts: "",
    pool: "connect_timeout = \"200ms\"",
    health: ONCE,
    shutdown: "",
    more: "",
    backend: |_| "",
    token: None,
    env: &[],
};

#[tokio::test]
async fn a_dial_that_is_refused_at_create_is_not_noticed() {
    let rig = Rig::with(BLIND).await;
    let client = rig.client().await;
    client.call("plugins.builtin.set", json!({"mark": 1})).await.expect("set up");
    rig.cli[2].die(Close::Rst);
    let session = id_at("refused", 3, 2);
    create(&client, &session).await;
    let home = rig.home(&session);
    assert_ne!(home, 2);
    turn(&client, &session).await;
    let heard = rig.heard(home, rig.conn(home, &session));
    assert_eq!(heard.iter().filter(|method| *method == "session.create").count(), 1);
    assert!(heard.contains(&"plugins.builtin.set".to_owned()));
    // A create without an id as well, and several at once on one dead backend.
    let mut open = Vec::new();
    for number in 0..9 {
        let other = rig.client().await;
        let id = id_at(&format!("burst{number}"), 3, 2);
        open.push((other.start("session.create", json!({"sessionId": id})).await, other));
    }
    for (created, _client) in open {
        created.answer().await.expect("placed elsewhere");
    }
    for _ in 0..9 {
        client.call("session.create", json!({})).await.expect("placed elsewhere");
    }
}

#[tokio::test]
async fn one_that_accepts_and_never_answers_connect_is_left_behind() {
    let rig = Rig::with(BLIND).await;
    let client = rig.client_at(0).await;
    rig.cli[1].freeze();
    let started = Instant::now();
    let session = id_at("frozen", 3, 1);
    create(&client, &session).await;
    assert_ne!(rig.home(&session), 1);
    turn(&client, &session).await;
    println!("left a silent backend behind after {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(5));
    rig.cli[1].thaw();
}

#[tokio::test]
async fn all_dead_is_an_error_at_once_and_not_for_ever() {
    let rig = Rig::with(BLIND).await;
    let client = rig.client().await;
    rig.cli.iter().for_each(|cli| cli.die(Close::Rst));
    super::admin::until(&rig.proxy, "links", &[], |links| links == 0.0).await;
    let error = client.call("session.create", json!({"sessionId": "nowhere"})).await.expect_err("nobody there");
    assert_ours(&error, -32010, "no_backend");
    for cli in &rig.cli {
        cli.restart().await;
    }
    // A backend that refused is left alone for a second.
    let created = async { while client.call("session.create", json!({"sessionId": "nowhere"})).await.is_err() {} };
    crate::deadline::within(|| "a create that works again".into(), created).await;
    turn(&client, "nowhere").await;
}

/// The refusal comes with the first bytes of something else behind it; the link that takes its place must not read them.
#[tokio::test]
async fn a_refused_greeting_sends_the_session_elsewhere() {
    let rig = Rig::with(BLIND).await;
    // Neither the backend that refuses nor the next in the session's order is the client's own: a new link takes the place.
    let session = (0..).map(|number| id_at(&format!("greet{number}"), 3, 0)).find(|id| order(id, 3)[1] == 1);
    let session = session.expect("one of a few");
    let client = rig.client_at(2).await;
    let id = |number: u32| {
        format!(r#"{{"jsonrpc":"2.0","id":"pilotfish-{number}","error":{{"code":-32002,"message":"no"}}}}"#)
    };
    let bytes = [frame(id(1)), b"Content-Length: 4\r\n\r\nnull\r\nrubbish".to_vec()].concat();
    rig.cli[0].on("connect", Act::Raw(bytes));
    create(&client, &session).await;
    assert_eq!(rig.home(&session), 1, "the next in its order, at the first try");
    turn(&client, &session).await;
    client.call("ping", json!({})).await.expect("fine");
}

#[tokio::test]
async fn an_old_server_without_connect_is_served() {
    let rig = Rig::with(BLIND).await;
    for cli in &rig.cli {
        cli.on("connect", Act::Fail { code: -32601, message: "Unhandled method connect".into() });
    }
    let client = rig.stranger().await;
    let error = client.call("connect", json!({})).await.expect_err("the backend's own answer");
    assert_eq!((error.code, error.message.as_str()), (-32601, "Unhandled method connect"));
    for home in 0..3 {
        let session = id_at("old", 3, home);
        create(&client, &session).await;
        assert_eq!(rig.home(&session), home);
        turn(&client, &session).await;
    }
}
