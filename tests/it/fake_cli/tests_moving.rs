//! What moving, failover and orphans rest on: how sessions end, come back, and who was seen to have them.

use serde_json::{Value, json};

use super::{Act, Close, FakeCli, Gate, Options, Step, Storage};
use crate::rpc_client::RpcClient;

async fn pair() -> (Storage, FakeCli, FakeCli) {
    let storage = Storage::default();
    let options = || Options { storage: storage.clone(), ..Options::default() };
    let (a, b) = (FakeCli::with("a", options()).await, FakeCli::with("b", options()).await);
    (storage, a, b)
}

async fn client(cli: &FakeCli) -> RpcClient {
    let client = RpcClient::connect(cli.addr()).await;
    client.call("connect", json!({})).await.expect("no token needed");
    client
}

async fn send(client: &RpcClient, prompt: &str) {
    client.call("session.send", json!({"sessionId": "s", "prompt": prompt})).await.expect("a live session");
}

async fn turn(client: &RpcClient, prompt: &str) {
    send(client, prompt).await;
    client.next_event("s", "session.idle").await;
}

#[tokio::test]
async fn a_close_says_nothing_and_a_detach_or_destroy_says_shutdown() {
    for (method, told) in [("sessions.close", false), ("session.detach", true), ("session.destroy", true)] {
        let (storage, a, b) = pair().await;
        let (at_a, at_b) = (client(&a).await, client(&b).await);
        at_a.call("session.create", json!({"sessionId": "s"})).await.expect("created");
        turn(&at_a, "one").await;
        at_a.call(method, json!({"sessionId": "s"})).await.expect("ended");
        // Whatever is told stands before the answer.
        assert_eq!(at_a.events("s").contains(&"session.shutdown".into()), told, "{method}");
        assert_eq!(storage.history("s").last().expect("kept"), "session.shutdown");
        let resumed = at_b.call("session.resume", json!({"sessionId": "s"})).await.expect("on the disk");
        assert_eq!(resumed["sessionId"], "s");
        assert_eq!(at_b.next_event("s", "session.resume").await["data"]["alreadyInUse"], false);
        assert_ne!(storage.history("s").last().expect("kept"), "session.resume", "a resume alone writes nothing");
        turn(&at_b, "two").await;
        let told = at_b.call("session.getMessages", json!({"sessionId": "s"})).await.expect("live");
        let kinds: Vec<&str> =
            told["events"].as_array().expect("events").iter().filter_map(|event| event["type"].as_str()).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == "assistant.message").count(), 2, "{kinds:?}");
        assert_eq!((storage.already_in_use(), storage.overlaps()), (0, Vec::new()));
        assert_eq!((storage.homes("s"), storage.executed("two")), (vec!["b".to_owned()], 1));
    }
}

#[tokio::test]
async fn two_homes_at_once_and_double_executions_are_seen() {
    let (storage, a, b) = pair().await;
    let (at_a, at_b) = (client(&a).await, client(&b).await);
    at_a.call("session.create", json!({"sessionId": "s"})).await.expect("created");
    turn(&at_a, "one").await;
    at_b.call("session.resume", json!({"sessionId": "s"})).await.expect("taken all the same");
    turn(&at_b, "one").await;
    assert_eq!(storage.already_in_use(), 1);
    assert_eq!(storage.overlaps()[0].fakes, ["a", "b"]);
    assert_eq!(storage.executed_twice(), [("one".to_owned(), vec!["a".to_owned(), "b".to_owned()])]);
    b.die(Close::Fin);
    assert_eq!(storage.homes("s"), ["a"]);
}

#[tokio::test]
async fn a_session_without_a_turn_has_to_be_made_again() {
    let (storage, a, b) = pair().await;
    let (at_a, at_b) = (client(&a).await, client(&b).await);
    at_a.call("session.create", json!({"sessionId": "s"})).await.expect("created");
    at_a.call("sessions.close", json!({"sessionId": "s"})).await.expect("ended");
    let absent = at_b.call("session.resume", json!({"sessionId": "s"})).await.expect_err("never on the disk");
    assert!(absent.message.ends_with("Failed to load session events: Session not found: s"), "{absent:?}");
    at_b.call("session.create", json!({"sessionId": "s"})).await.expect("made again");
    turn(&at_b, "one").await;
    at_b.call("sessions.close", json!({"sessionId": "s"})).await.expect("ended");
    // A create over what is on the disk begins anew: the history is lost.
    at_a.call("session.create", json!({"sessionId": "s"})).await.expect("made");
    let told = at_a.call("session.getMessages", json!({"sessionId": "s"})).await.expect("live");
    assert_eq!(told["events"].as_array().map(Vec::len), Some(1));
    assert_eq!(storage.overlaps(), []);
}

#[tokio::test]
async fn a_death_keeps_finished_turns_or_what_was_written_through() {
    for through in [false, true] {
        let (storage, a, b) = pair().await;
        let at_a = client(&a).await;
        at_a.call("session.create", json!({"sessionId": "s"})).await.expect("created");
        turn(&at_a, "one").await;
        let before = storage.events("s");
        if through {
            a.write_through();
        }
        a.turns(vec![Step::Delta("d".into()), Step::Die(Close::Fin)]);
        let _ = at_a.start("session.send", json!({"sessionId": "s", "prompt": "two"})).await;
        at_a.expect_closed().await;
        assert_eq!(storage.events("s") > before, through);
        let at_b = client(&b).await;
        at_b.call("session.resume", json!({"sessionId": "s"})).await.expect("kept");
        assert_eq!(at_b.next_event("s", "session.resume").await["data"]["alreadyInUse"], false);
        turn(&at_b, "three").await;
        assert_eq!(storage.overlaps(), []);
    }
}

#[tokio::test]
async fn what_was_kept_but_not_told_is_read_behind_the_last_known_event() {
    let (storage, a, b) = pair().await;
    let at_a = client(&a).await;
    at_a.call("session.create", json!({"sessionId": "s"})).await.expect("created");
    turn(&at_a, "one").await;
    a.turns(vec![Step::Mute(true), Step::Delta("unheard".into())]);
    send(&at_a, "two").await;
    let known = at_a.next_event("s", "assistant.turn_start").await;
    let known = match at_a.events("s").contains(&"assistant.turn_start".into()) {
        true => at_a.next_event("s", "assistant.turn_start").await,
        false => known,
    };
    a.wait_for_rest("s").await;
    let idle = at_a.call("session.metadata.activity", json!({"sessionId": "s"})).await;
    assert_eq!(idle, Ok(json!({"abortable": false, "hasActiveWork": false})));
    assert!(!at_a.events("s").iter().any(|kind| kind == "session.idle"));
    a.die(Close::Fin);
    let at_b = client(&b).await;
    at_b.call("session.resume", json!({"sessionId": "s"})).await.expect("kept");
    let params = json!({"sessionId": "s", "cursor": known["id"], "includeEphemeral": false, "max": 1000});
    let read = at_b.call("session.eventLog.read", params).await.expect("live");
    let kinds: Vec<&Value> = read["events"].as_array().expect("events").iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["assistant.message", "assistant.turn_end", "session.resume"]);
    assert_eq!((&read["hasMore"], &read["cursorStatus"]), (&json!(false), &json!("ok")));
    let cursor = json!({"sessionId": "s", "cursor": read["cursor"], "includeEphemeral": false});
    let read = at_b.call("session.eventLog.read", cursor).await.expect("live");
    assert_eq!(read["events"], json!([]));
    let unknown = json!({"sessionId": "s", "cursor": "nobody", "max": 2});
    let read = at_b.call("session.eventLog.read", unknown).await.expect("live");
    assert_eq!((&read["cursorStatus"], &read["hasMore"]), (&json!("expired"), &json!(true)));
    assert_eq!(storage.executed("two"), 1);
}

#[tokio::test]
async fn tools_and_permissions_are_answered_by_whoever_is_there() {
    let cli = FakeCli::start("cli").await;
    let (client, other) = (client(&cli).await, client(&cli).await);
    cli.turns(vec![Step::Tool("lookup".into()), Step::Permission("rm x".into())]);
    let tools = json!({"sessionId": "s", "tools": [{"name": "lookup"}]});
    client.call("session.create", tools.clone()).await.expect("created");
    let clash = other.call("session.resume", tools).await.expect_err("its tool is taken");
    assert!(clash.message.ends_with("External tool name clash: lookup already registered by another connection"));
    other.call("session.resume", json!({"sessionId": "s"})).await.expect("without tools");
    send(&client, "hi").await;
    let asked = client.next_event("s", "external_tool.requested").await;
    let answer = |request: &Value, result: Value| json!({"sessionId": "s", "requestId": request, "result": result});
    let (tool, permission) =
        ("session.tools.handlePendingToolCall", "session.permissions.handlePendingPermissionRequest");
    let params = answer(&asked["data"]["requestId"], json!("found "));
    assert_eq!(other.call(tool, params.clone()).await, Ok(json!({"success": true})));
    assert_eq!(other.call(tool, params).await, Ok(json!({"success": false})));
    let asked = client.next_event("s", "permission.requested").await;
    let list = client.call("session.permissions.pendingRequests", json!({"sessionId": "s"})).await.expect("live");
    assert_eq!(list["items"][0]["requestId"], asked["data"]["requestId"]);
    let params = answer(&asked["data"]["requestId"], json!({"kind": "user-not-available"}));
    assert_eq!(client.call(permission, params).await, Ok(json!({"success": true})));
    let said = other.next_event("s", "assistant.message").await;
    assert_eq!(said["data"]["content"], "found denied-no-approval-rule-and-could-not-request-from-user");
}

#[tokio::test]
async fn the_dead_do_nothing_and_come_back_at_either_address() {
    let (storage, a, _b) = pair().await;
    let at_a = client(&a).await;
    let gate = Gate::new();
    a.next(1, "session.create", Act::Hold(gate.clone()));
    let held = at_a.start("session.create", json!({"sessionId": "s"})).await;
    gate.reached(1).await;
    a.die(Close::Fin);
    assert_eq!(held.outcome().await, None);
    gate.open();
    let first = a.addr();
    a.restart().await;
    assert_eq!(a.addr(), first);
    assert!(a.live().is_empty() && storage.homes("s").is_empty());
    let second = a.restart_elsewhere().await;
    assert_eq!(a.addr(), second);
    client(&a).await.call("session.create", json!({"sessionId": "s"})).await.expect("alive");
}
