//! Requests of backends to the client, and cancelling in both directions.

use serde_json::{Value, json};

use super::{
    raw::frame,
    rig::{Rig, create, id_at},
};
use crate::{
    fake_cli::{Act, Close, Gate},
    rpc_client::RpcClient,
};

/// A client with a session on each of two backends.
async fn pair() -> (Rig, RpcClient, [String; 2]) {
    let rig = Rig::new(2).await;
    let client = rig.client().await;
    let sessions = [id_at("ask", 2, 0), id_at("ask", 2, 1)];
    for session in &sessions {
        create(&client, session).await;
    }
    (rig, client, sessions)
}

#[tokio::test]
async fn colliding_ids_of_two_backends_are_told_apart() {
    let (rig, client, sessions) = pair().await;
    let mut asked = Vec::new();
    for number in 0..3 {
        for (cli, session) in rig.cli.iter().zip(&sessions) {
            asked.push(cli.ask(session, "hooks.invoke", &format!(r#""number":{number}"#)));
        }
    }
    let mut requests: Vec<Value> = Vec::new();
    for _ in 0..6 {
        requests.push(client.next_request("hooks.invoke").await);
    }
    let mut ids: Vec<i64> = requests.iter().map(|request| request["id"].as_i64().expect("an integer")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 6, "{requests:?}");
    // Answered last first: each answer finds the backend and the question that it belongs to.
    for request in requests.iter().rev() {
        let answer = json!({"of": request["params"]["sessionId"], "number": request["params"]["number"]});
        client.answer(&request["id"], answer).await;
    }
    for (at, asked) in asked.into_iter().enumerate() {
        let answer = asked.answer().await.expect("answered");
        let wanted = json!({"of": sessions[at % 2], "number": at / 2});
        assert_eq!((&answer["id"], &answer["result"]), (&json!(at / 2 + 1), &wanted));
    }
}

#[tokio::test]
async fn ids_of_every_kind_get_their_own_back() {
    let (rig, client, sessions) = pair().await;
    let conn = rig.conn(0, &sessions[0]);
    for id in [r#""abc""#, r#""pilotfish-7""#, "0", "9007199254740993", r#""A\"x""#] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"userInput.request","params":{{"sessionId":"{}"}}}}"#,
            sessions[0]
        );
        rig.cli[0].send_raw(conn, frame(&body));
        let request = client.next_request("userInput.request").await;
        assert!(request["id"].is_i64(), "{request}");
        let odd = format!(r#"{{ "result" : {{"a":[1, 2]}} ,"id":{}, "jsonrpc":"2.0"}}"#, request["id"]);
        client.send_raw(&frame(&odd)).await;
        // Byte for byte what the client wrote, but for the id.
        let back = odd.replace(&format!("\"id\":{}", request["id"]), &format!("\"id\":{id}"));
        rig.cli[0].wait_for(|frame| frame.conn == conn && frame.body == back.as_bytes()).await;
    }
    // An error answer too.
    rig.cli[0].send_raw(conn, frame(r#"{"jsonrpc":"2.0","id":77,"method":"hooks.invoke","params":{}}"#));
    let request = client.next_request("hooks.invoke").await;
    let error = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-5,"message":"no"}}}}"#, request["id"]);
    client.send_raw(&frame(error)).await;
    let wanted = r#"{"jsonrpc":"2.0","id":77,"error":{"code":-5,"message":"no"}}"#;
    rig.cli[0].wait_for(|frame| frame.body == wanted.as_bytes()).await;
}

#[tokio::test]
async fn a_backend_takes_its_request_back() {
    let (rig, client, sessions) = pair().await;
    let mut ids = Vec::new();
    for (cli, session) in rig.cli.iter().zip(&sessions) {
        let _ = cli.ask(session, "userInput.request", "");
        ids.push(client.next_request("userInput.request").await["id"].clone());
    }
    // Both are called 1 by their backends.
    for at in [1, 0] {
        let conn = rig.conn(at, &sessions[at]);
        let body = r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}"#;
        rig.cli[at].send_raw(conn, frame(body));
        let told = client.take("a cancellation", |told| told["method"] == "$/cancelRequest").await;
        assert_eq!(told["params"]["id"], ids[at]);
    }
    // One that nobody knows is not passed on.
    let conn = rig.conn(0, &sessions[0]);
    rig.cli[0].send_raw(conn, frame(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":99}}"#));
    client.call("session.getMessages", json!({"sessionId": sessions[0]})).await.expect("behind it");
    assert!(client.told().iter().all(|told| told["method"] != "$/cancelRequest"));
}

#[tokio::test]
async fn a_client_takes_its_request_back_from_whoever_has_it() {
    let (rig, client, sessions) = pair().await;
    let gate = Gate::new();
    for id in [json!(5000), json!("five")] {
        rig.cli[1].next(1, "session.foo", Act::Hold(gate.clone()));
        let open = client.start_as(id.clone(), "session.foo", json!({"sessionId": sessions[1]})).await;
        rig.cli[1].wait_for(|frame| frame.id() == Some(id.to_string())).await;
        client.notify("$/cancelRequest", json!({"id": id})).await;
        rig.cli[1].wait_for(|frame| frame.method() == "$/cancelRequest" && frame.params()["id"] == id).await;
        gate.let_through(1);
        // The backend still answers, as the real one does.
        assert!(open.outcome().await.is_some());
    }
    client.notify("$/cancelRequest", json!({"id": "nobody"})).await;
    client.notify("$/cancelRequest", json!({"id": {"a": 1}})).await;
    client.call("session.getMessages", json!({"sessionId": sessions[0]})).await.expect("fine");
    client.call("session.getMessages", json!({"sessionId": sessions[1]})).await.expect("fine");
    assert_eq!(rig.cli[0].count("$/cancelRequest"), 0);
    assert_eq!(rig.cli[1].count("$/cancelRequest"), 2);
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_dropped() {
    let (rig, client, sessions) = pair().await;
    let _ = rig.cli[0].ask(&sessions[0], "hooks.invoke", "");
    let request = client.next_request("hooks.invoke").await;
    for id in [json!(999), json!("1"), json!("x"), json!(0)] {
        client.answer(&id, json!("stray")).await;
    }
    client.answer(&request["id"], json!("right")).await;
    // A second answer to the same question is a stray one too.
    client.answer(&request["id"], json!("twice")).await;
    client.call("ping", json!({})).await.expect("fine");
    for session in &sessions {
        client.call("session.getMessages", json!({"sessionId": session})).await.expect("fine");
    }
    let answers: Vec<Value> = rig
        .cli
        .iter()
        .flat_map(|cli| cli.frames())
        .filter(|frame| frame.value.get("result").is_some())
        .map(|frame| frame.value["result"].clone())
        .collect();
    assert_eq!(answers, ["right"]);
    super::admin::until(&rig.proxy, "dropped_total", &["reason=\"stray_answer\""], |count| count == 5.0).await;
}

#[tokio::test]
async fn questions_of_a_dead_backend_are_taken_back() {
    let (rig, client, sessions) = pair().await;
    let _ = rig.cli[0].ask(&sessions[0], "userInput.request", "");
    let request = client.next_request("userInput.request").await;
    rig.cli[0].die(Close::Rst);
    let told = client.take("a cancellation", |told| told["method"] == "$/cancelRequest").await;
    assert_eq!(told["params"]["id"], request["id"]);
    // The late answer goes nowhere, least of all to the other backend.
    client.answer(&request["id"], json!("late")).await;
    client.call("session.getMessages", json!({"sessionId": sessions[1]})).await.expect("fine");
    assert!(rig.cli[1].frames().iter().all(|frame| frame.value.get("result").is_none()));
}
