//! Tokens: the client's ends at the proxy, the backend's begins there.

use std::time::Instant;

use serde_json::json;

use super::rig::{Plan, Rig, create, id_at};
use crate::fake_cli::{FakeCli, Options};

const TOKENS: Plan<'static> = Plan {
    backends: 2,
    storage: "shared",
    listener: "connection_token = { env = \"IT_FRONT\" }",
    session: "auth_timeout = \"300ms\"",
    timeouts: "",
    pool: "connection_token = { env = \"IT_BACK\" }",
    health: super::rig::OFTEN,
    shutdown: "",
    more: "",
    backend: |_| "",
    token: Some("back-secret-31"),
    env: &[("IT_FRONT", "front-secret-17"), ("IT_BACK", "back-secret-31")],
};

#[tokio::test]
async fn tokens_are_swapped_on_every_link_and_told_to_nobody() {
    let rig = Rig::with(TOKENS).await;
    let client = rig.stranger().await;
    let params =
        json!({"token": "front-secret-17", "clientInfo": {"name": "swap"}, "enableGitHubTelemetryForwarding": false});
    let answer = client.call("connect", params).await.expect("welcome");
    assert_eq!(answer["version"], "1.0.102");
    for home in 0..2 {
        let session = id_at("swap", 2, home);
        create(&client, &session).await;
        let conn = rig.conn(home, &session);
        let greeting = rig.cli[home].wait_for(|frame| frame.conn == conn && frame.method() == "connect").await;
        let wanted = json!({
            "token": "back-secret-31", "clientInfo": {"name": "swap"}, "enableGitHubTelemetryForwarding": false
        });
        assert_eq!(greeting.params(), &wanted);
    }
    let (_, metrics) = super::admin::page(&rig.proxy, "/metrics").await;
    let (_, status) = super::admin::page(&rig.proxy, "/status").await;
    for secret in ["front-secret-17", "back-secret-31"] {
        assert!(!rig.proxy.output().contains(secret) && !metrics.contains(secret) && !status.contains(secret));
    }
}

#[tokio::test]
async fn nothing_passes_before_connect() {
    let rig = Rig::with(TOKENS).await;
    let client = rig.stranger().await;
    for method in ["ping", "session.create", "session.list", "runtime.shutdown", "nobody.knows", "plugins.builtin.set"]
    {
        let error = client.call(method, json!({"sessionId": "early"})).await.expect_err("not authenticated");
        assert_eq!((error.code, error.message.as_str()), (-32001, "AUTHENTICATION_REQUIRED"), "{method}");
    }
    client.notify("session.send", json!({"sessionId": "early"})).await;
    for token in [json!("front-secret-1"), json!(null)] {
        let error = client.call("connect", json!({"token": token})).await.expect_err("wrong");
        assert_eq!((error.code, error.message.as_str()), (-32002, "AUTHENTICATION_FAILED"));
    }
    client.call("connect", json!({"token": "front-secret-17"})).await.expect("the right one at last");
    create(&client, "early").await;
    let home = rig.home("early");
    assert_eq!(rig.heard(home, rig.conn(home, "early")), ["connect", "session.create"]);
}

#[tokio::test]
async fn three_wrong_tokens_are_enough() {
    let rig = Rig::with(TOKENS).await;
    let client = rig.stranger().await;
    for token in [json!("x"), json!(7), json!("front-secret-17 ")] {
        let error = client.call("connect", json!({"token": token})).await.expect_err("wrong");
        assert_eq!((error.code, error.message.as_str()), (-32002, "AUTHENTICATION_FAILED"));
        assert!(error.data.is_null(), "as the runtime has it: {error:?}");
    }
    client.expect_closed().await;
}

#[tokio::test]
async fn a_client_without_a_token_is_closed_at_the_deadline() {
    let rig = Rig::with(TOKENS).await;
    let started = Instant::now();
    let (silent, busy) = (rig.stranger().await, rig.stranger().await);
    // A large frame must not be collected for somebody unknown.
    busy.send_raw(b"Content-Length: 9000000\r\n\r\n{\"jsonrpc\":\"2.0\",").await;
    let known = rig.stranger().await;
    known.call("connect", json!({"token": "front-secret-17"})).await.expect("welcome");
    silent.expect_closed().await;
    busy.expect_closed().await;
    assert!(started.elapsed().as_millis() >= 300, "not before the deadline");
    known.call("ping", json!({})).await.expect("it stays");
}

#[tokio::test]
async fn a_client_that_never_says_connect_is_served_where_no_token_is_asked_for() {
    let rig = Rig::with(Plan { listener: "", ..TOKENS }).await;
    let client = rig.stranger().await;
    for home in 0..2 {
        let session = id_at("mute", 2, home);
        create(&client, &session).await;
        assert_eq!(rig.heard(home, rig.conn(home, &session)), ["connect", "session.create"]);
    }
    client.call("ping", json!({})).await.expect("fine");
}

#[tokio::test]
async fn a_token_that_the_backends_refuse_keeps_them_down() {
    let options = Options { token: Some("another".into()), ..Options::default() };
    let cli = vec![FakeCli::with("cli-1", options).await];
    let rig = Rig::over(Plan { backends: 1, listener: "", ..TOKENS }, cli).await;
    rig.down(0).await;
    let client = rig.stranger().await;
    let answer = client.call("connect", json!({})).await;
    // Nobody is up, so the checks are not believed and the backend is asked after all: it says so itself.
    assert_eq!(answer.expect_err("refused").message, "AUTHENTICATION_FAILED");
    super::admin::until(&rig.proxy, "probes_total", &["outcome=\"unauthenticated\""], |count| count >= 1.0).await;
}
