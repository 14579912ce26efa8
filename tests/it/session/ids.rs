//! Request ids: whatever an SDK uses passes unchanged, and none is open twice.

use serde_json::{Value, json};

use super::{
    raw::frame,
    rig::{Rig, create},
};
use crate::fake_cli::{Act, Gate};

#[tokio::test]
async fn ids_of_every_sdk_come_back_as_they_went() {
    let rig = Rig::new(1).await;
    let client = rig.client().await;
    let ids = [
        json!(0),
        json!(-1),
        json!(9_007_199_254_740_991_i64),
        json!(-9_007_199_254_740_991_i64),
        json!("0"),
        json!(""),
        json!("7d9a2c1e-5b0f-4b7e-9a51-2f1f6c1c8d11"),
        json!("käse \" \\ \u{1f41f}"),
        json!("x".repeat(256)),
    ];
    for id in ids {
        let outcome = client.start_as(id.clone(), "ping", json!({"message": "m"})).await.outcome().await;
        let answer = outcome.expect("an answer");
        assert_eq!((&answer["id"], &answer["result"]["message"]), (&id, &json!("pong: m")));
    }
}

#[tokio::test]
async fn an_id_that_is_open_is_refused_and_the_first_is_answered() {
    let rig = Rig::new(1).await;
    let client = rig.client().await;
    create(&client, "twice").await;
    let gate = Gate::new();
    rig.cli[0].next(1, "session.foo", Act::Hold(gate.clone()));
    let call = |id: &str, method: &str| {
        frame(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"sessionId":"twice"}}}}"#))
    };
    client.send_raw(&call("7", "session.foo")).await;
    gate.reached(1).await;
    for second in ["session.send", "session.create", "ping", "session.list", "connect"] {
        client.send_raw(&call("7", second)).await;
        let refused = client.next_stray().await;
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(7), &json!(-32600)), "{second}");
        assert_eq!(refused["error"]["data"]["reason"], "duplicate_id");
    }
    // The same digits as a string are another id.
    client.send_raw(&call("\"7\"", "session.getMessages")).await;
    assert_eq!(client.next_stray().await["id"], "7");
    gate.open();
    let first = client.next_stray().await;
    assert_eq!((&first["id"], &first["error"]["code"]), (&json!(7), &json!(-32601)));
    // Answered, so it is free again; an escaped spelling of an open one is the same.
    client.send_raw(&call("7", "session.getMessages")).await;
    assert!(client.next_stray().await["result"].is_object());
    let held = Gate::new();
    rig.cli[0].next(1, "session.foo", Act::Hold(held.clone()));
    client.send_raw(&call("\"A\"", "session.foo")).await;
    held.reached(1).await;
    client.send_raw(&call("\"\\u0041\"", "session.foo")).await;
    assert_eq!(client.next_stray().await["error"]["data"]["reason"], "duplicate_id");
    held.open();
    assert_eq!(client.next_stray().await["error"]["code"], -32601);
}

#[tokio::test]
async fn ids_of_the_proxy_are_refused() {
    let rig = Rig::new(1).await;
    let client = rig.client().await;
    for id in ["pilotfish-1", "pilotfish-", "pilotfish-x"] {
        let outcome = client.start_as(json!(id), "ping", json!({})).await.outcome().await.expect("an answer");
        assert_eq!((outcome["id"].clone(), &outcome["error"]["code"]), (Value::from(id), &json!(-32600)));
    }
    assert!(rig.cli[0].frames().iter().all(|frame| !frame.id().unwrap_or_default().contains("pilotfish-x")));
}
