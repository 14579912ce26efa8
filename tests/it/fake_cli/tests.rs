//! The fake itself is tested too: a scenario that fails should mean the proxy.

use std::time::Duration;

use serde_json::json;

use super::{Act, Close, FakeCli, Gate, Options, Step, Storage};
use crate::rpc_client::RpcClient;

async fn client(cli: &FakeCli) -> RpcClient {
    let client = RpcClient::connect(cli.addr()).await;
    client.call("connect", json!({})).await.expect("no token needed");
    client
}

async fn one_turn(client: &RpcClient, session: &str) {
    client.call("session.send", json!({"sessionId": session, "prompt": "hi"})).await.expect("a live session");
    client.next_event(session, "session.idle").await;
}

#[tokio::test]
async fn a_turn_has_the_events_of_the_real_one_in_order() {
    let cli = FakeCli::start("cli-1").await;
    let client = client(&cli).await;
    let made = client.call("session.create", json!({"sessionId": "s1"})).await.expect("created");
    assert_eq!(made["sessionId"], "s1");
    client.call("session.send", json!({"sessionId": "s1", "prompt": "hi"})).await.expect("sent");
    client.next_event("s1", "session.idle").await;
    let expected = [
        "session.start",
        "pending_messages.modified",
        "user.message",
        "assistant.turn_start",
        "assistant.message_delta",
        "assistant.message_delta",
        "assistant.message_delta",
        "assistant.message",
        "assistant.turn_end",
        "assistant.idle",
    ];
    assert_eq!(client.events("s1"), expected);
    assert_eq!(
        cli.frames()[2].body,
        br#"{"id":2,"jsonrpc":"2.0","method":"session.send","params":{"prompt":"hi","sessionId":"s1"}}"#[..]
    );
}

#[tokio::test]
async fn a_session_is_live_in_one_fake_and_kept_after_its_first_turn() {
    let storage = Storage::default();
    let options = || Options { storage: storage.clone(), ..Options::default() };
    let (a, b) = (FakeCli::with("a", options()).await, FakeCli::with("b", options()).await);
    let (at_a, at_b) = (client(&a).await, client(&b).await);
    at_a.call("session.create", json!({"sessionId": "s"})).await.expect("created");
    let missing = at_b.call("session.resume", json!({"sessionId": "s"})).await.expect_err("not on the disk yet");
    assert_eq!(
        missing.message,
        "Request session.resume failed with message: Failed to load session events: Session not found: s"
    );
    one_turn(&at_a, "s").await;
    let elsewhere =
        at_b.call("session.send", json!({"sessionId": "s", "prompt": "x"})).await.expect_err("not live here");
    assert_eq!(elsewhere.code, -32603);
    assert_eq!(elsewhere.message, "Request session.send failed with message: Session not found for sessionId: s");
    at_b.call("session.resume", json!({"sessionId": "s"})).await.expect("on the shared disk");
    assert_eq!(at_b.next_event("s", "session.resume").await["data"]["alreadyInUse"], true);
    assert_eq!(at_b.call("session.getLastId", json!({})).await, Ok(json!({"sessionId": "s"})));
}

#[tokio::test]
async fn the_last_connection_ends_its_sessions() {
    let cli = FakeCli::start("cli").await;
    let (first, second) = (client(&cli).await, client(&cli).await);
    first.call("session.create", json!({"sessionId": "mine"})).await.expect("created");
    first.call("session.create", json!({"sessionId": "ours"})).await.expect("created");
    second.call("session.resume", json!({"sessionId": "ours"})).await.expect("attached");
    first.finish().await;
    first.expect_closed().await;
    cli.wait_for_live("mine", false).await;
    assert_eq!(cli.live(), ["ours"]);
}

#[tokio::test]
async fn the_token_is_asked_for() {
    let cli = FakeCli::with("cli", Options { token: Some("secret".into()), ..Options::default() }).await;
    let client = RpcClient::connect(cli.addr()).await;
    assert_eq!(client.call("ping", json!({})).await.expect_err("too early").code, -32001);
    assert_eq!(client.call("connect", json!({"token": "x"})).await.expect_err("wrong").code, -32002);
    assert_eq!(client.call("connect", json!({"token": "secret"})).await.expect("right")["protocolVersion"], 3);
    assert_eq!(client.call("ping", json!({"message": "hi"})).await.expect("let in")["message"], "pong: hi");
}

#[tokio::test]
async fn acts_replace_answers() {
    let cli = FakeCli::start("cli").await;
    let client = client(&cli).await;
    let gate = Gate::new();
    cli.next(1, "ping", Act::Hold(gate.clone()));
    let held = client.start("ping", json!({})).await;
    gate.reached(1).await;
    client.call("ping", json!({})).await.expect("only the first is held");
    gate.open();
    held.answer().await.expect("let through");

    cli.next(1, "ping", Act::Fail { code: -32601, message: "Unhandled method ping".into() });
    assert_eq!(client.call("ping", json!({})).await.expect_err("scripted").code, -32601);
    cli.next(1, "ping", Act::Answer("[1]".into()));
    assert_eq!(client.call("ping", json!({})).await, Ok(json!([1])));
    cli.next(1, "ping", Act::Delay(Duration::from_millis(1)));
    client.call("ping", json!({})).await.expect("a little later");
    cli.on("ping", Act::Reverse(2));
    let (one, two) = (client.start("ping", json!({})).await, client.start("ping", json!({})).await);
    one.answer().await.expect("second");
    two.answer().await.expect("first");
    cli.as_usual();
    cli.next(1, "ping", Act::Ignore);
    cli.next(1, "connect", Act::Raw(b"Content-Length: 2\r\n\r\n{}".to_vec()));
    client.start("connect", json!({})).await;
    assert_eq!(client.next_stray().await, json!({}));
    cli.next(1, "*", Act::End(Close::Rst));
    let lost = client.start("ping", json!({})).await;
    assert_eq!(lost.outcome().await, None);
}

#[tokio::test]
async fn a_turn_waits_asks_and_is_aborted() {
    let cli = FakeCli::start("cli").await;
    let client = client(&cli).await;
    let gate = Gate::new();
    let ask = Step::Ask { method: "userInput.request".into(), params: r#""question":"why?""#.into() };
    cli.turns(vec![ask, Step::Wait(gate.clone()), Step::Delta("never".into())]);
    client.call("session.create", json!({"sessionId": "s", "hooks": true})).await.expect("created");
    client.call("session.send", json!({"sessionId": "s", "prompt": "hi"})).await.expect("sent");
    let hook = client.next_request("hooks.invoke").await;
    assert_eq!((&hook["id"], &hook["params"]["hookType"]), (&json!(1), &json!("userPromptSubmitted")));
    client.answer(&hook["id"], json!(null)).await;
    let asked = client.next_request("userInput.request").await;
    assert_eq!((&asked["id"], &asked["params"]["sessionId"]), (&json!(2), &json!("s")));
    client.answer(&asked["id"], json!({"answer": "because"})).await;
    gate.reached(1).await;
    client.call("session.abort", json!({"sessionId": "s"})).await.expect("aborted");
    assert_eq!(client.next_event("s", "session.idle").await["data"]["aborted"], true);
    assert!(!client.events("s").contains(&"assistant.message_delta".into()));
    let asked = cli.ask("s", "hooks.invoke", "");
    let request = client.next_request("hooks.invoke").await;
    client.answer(&request["id"], json!(1)).await;
    assert_eq!(asked.answer().await.expect("answered")["result"], 1);
}

#[tokio::test]
async fn it_dies_at_a_byte_and_comes_back_with_its_disk_only() {
    let cli = FakeCli::start("cli").await;
    let client = client(&cli).await;
    client.call("session.create", json!({"sessionId": "s"})).await.expect("created");
    one_turn(&client, "s").await;
    cli.die_after_bytes(10);
    let lost = client.start("ping", json!({})).await;
    assert_eq!(lost.outcome().await, None);
    client.expect_closed().await;
    assert_eq!(cli.open(), 0);
    cli.restart().await;
    let again = self::client(&cli).await;
    assert!(cli.live().is_empty());
    again.call("session.resume", json!({"sessionId": "s"})).await.expect("kept");
    cli.die(Close::Rst);
    again.expect_closed().await;
}

#[tokio::test]
async fn a_frozen_one_accepts_and_says_nothing() {
    let cli = FakeCli::start("cli").await;
    let before = client(&cli).await;
    cli.freeze();
    let asked = before.start("ping", json!({})).await;
    let late = RpcClient::connect(cli.addr()).await;
    assert_eq!(cli.count("ping"), 0);
    cli.thaw();
    asked.answer().await.expect("thawed");
    late.call("ping", json!({})).await.expect("accepted in the meantime");
    assert_eq!(cli.accepted(), 2);
}

#[tokio::test]
async fn floods_and_garbage_go_out_as_told() {
    let cli = FakeCli::start("cli").await;
    let client = client(&cli).await;
    client.call("session.create", json!({"sessionId": "s"})).await.expect("created");
    cli.flood("s", 1000, 700);
    cli.event("s", "session.title_changed", r#"{"title":"t"}"#, true);
    client.next_event("s", "session.title_changed").await;
    let deltas = client.events("s").iter().filter(|kind| *kind == "assistant.message_delta").count();
    assert_eq!(deltas, 1000);
    cli.notify("session.lifecycle", r#"{"type":"x"}"#);
    client.take("lifecycle x", |told| told["params"]["type"] == "x").await;
    let conn = cli.frames()[0].conn;
    cli.send_raw(conn, &b"Content-Length: 1\r\n\r\n1"[..]);
    assert_eq!(client.next_stray().await, json!(1));
    cli.end(conn, Close::Fin);
    client.expect_closed().await;
    cli.wait_for_open(0).await;
}

#[tokio::test]
async fn the_beginning_of_a_uuid_is_taken_for_the_whole_by_resume_and_delete() {
    const WHOLE: &str = "35ace27a-77e4-4a7d-8c50-78ed7ee28dc6";
    let cli = FakeCli::start("cli").await;
    let (client, other) = (client(&cli).await, client(&cli).await);
    for session in [WHOLE, "deadbee-zzz"] {
        client.call("session.create", json!({"sessionId": session})).await.expect("created");
        one_turn(&client, session).await;
    }
    for (asked, found) in [("35ACE27", true), ("35ace27a-77e4", true), ("35ace2", false), ("deadbee", false)] {
        let opened = other.call("session.resume", json!({"sessionId": asked})).await;
        assert_eq!(opened.is_ok_and(|opened| opened["sessionId"] == WHOLE), found, "{asked}");
    }
    let whole = other.call("session.resume", json!({"sessionId": WHOLE.to_uppercase()})).await;
    assert!(whole.is_err(), "only shorter ones are looked for");
    let found = other.call("sessions.findByPrefix", json!({"prefix": "35ace27"})).await;
    assert_eq!(found, Ok(json!({"sessionId": WHOLE})));
    assert_eq!(other.call("session.delete", json!({"sessionId": "35ace27"})).await, Ok(json!({"success": true})));
    assert_eq!(cli.live(), ["deadbee-zzz"]);
}

#[tokio::test]
async fn client_metadata_know_a_session_before_its_first_turn_and_in_every_process() {
    let storage = Storage::default();
    let options = || Options { storage: storage.clone(), ..Options::default() };
    let (a, b) = (FakeCli::with("a", options()).await, FakeCli::with("b", options()).await);
    let (at_a, at_b) = (client(&a).await, client(&b).await);
    at_a.call("session.create", json!({"sessionId": "s"})).await.expect("created");
    for client in [&at_a, &at_b] {
        let known = client.call("sessions.getClientMetadata", json!({"sessionIds": ["s", "x"]})).await;
        assert_eq!(
            known,
            Ok(json!([{"sessionId": "s", "status": "ok", "metadata": {}}, {"sessionId": "x", "status": "notFound"}]))
        );
        assert_eq!(client.call("session.getMetadata", json!({"sessionId": "s"})).await, Ok(json!({})));
    }
    let missing = at_a.call("sessions.getClientMetadata", json!({})).await.expect_err("no ids");
    assert!(missing.message.ends_with("missing or non-array parameter 'sessionIds'"), "{missing:?}");
    one_turn(&at_a, "s").await;
    assert_eq!(at_a.call("sessions.checkInUse", json!({"sessionIds": ["s"]})).await, Ok(json!({"inUse": []})));
    assert_eq!(at_b.call("sessions.checkInUse", json!({"sessionIds": ["s", "x"]})).await, Ok(json!({"inUse": ["s"]})));
}

#[tokio::test]
async fn many_are_deleted_at_once_and_absent_ones_are_told_too() {
    let cli = FakeCli::start("cli").await;
    let client = client(&cli).await;
    client.call("session.create", json!({"sessionId": "zz"})).await.expect("created");
    let freed = client.call("sessions.bulkDelete", json!({"sessionIds": ["zz", "yy", "zz"]})).await;
    assert_eq!(freed, Ok(json!({"freedBytes": {"yy": 0, "zz": 27450}})));
    for deleted in ["zz", "yy"] {
        let of = |told: &serde_json::Value| {
            told["params"]["type"] == "session.deleted" && told["params"]["sessionId"] == deleted
        };
        client.take(deleted, of).await;
    }
    assert!(cli.live().is_empty());
}

#[tokio::test]
async fn absent_sessions_are_answered_by_each_method_in_its_own_way() {
    let cli = FakeCli::start("cli").await;
    let client = client(&cli).await;
    let says = async |method: &str| match client.call(method, json!({"sessionId": "x"})).await {
        Ok(result) => result.to_string(),
        Err(error) => format!("{} {}", error.code, error.message),
    };
    let failed = |method: &str, why: &str| format!("-32603 Request {method} failed with message: {why}");
    assert_eq!(says("session.destroy").await, r#"{"success":false}"#);
    assert_eq!(says("session.detach").await, r#"{"success":true}"#);
    assert_eq!(says("session.getMetadata").await, "{}");
    assert_eq!(says("sessions.getMetadata").await, "{}");
    assert_eq!(says("sessions.close").await, "{}");
    assert_eq!(says("sessions.open").await, r#"{"status":"not_found"}"#);
    assert_eq!(says("session.delete").await, r#"{"error":"Session file not found for x","success":false}"#);
    let why = "Cannot fork session x: no persisted or in-memory events found";
    assert_eq!(says("sessions.fork").await, failed("sessions.fork", why));
    let why = "Persisted event journal is unavailable for session x";
    assert_eq!(says("sessions.readPersistedEvents").await, failed("sessions.readPersistedEvents", why));
    assert_eq!(says("session.factory.run").await, "-32601 Unhandled method session.factory.run");
}
