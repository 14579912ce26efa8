//! What a client gets to see of what a backend sends by itself.

use serde_json::json;

use super::rig::{ALICE, BOB, Ids, login, two};
use crate::session::rig::{create, turn};

const CANARY: &str = "canary-51c0de";

#[tokio::test]
async fn notifications_reach_only_clients_of_the_owner() {
    for ids in [Ids::Prefix, Ids::Registry] {
        let rig = two(ids, 1).await;
        let (alice, bob) = (login(&rig, ALICE).await, login(&rig, BOB).await);
        let second = login(&rig, ALICE).await;
        let (hers, his) = (ids.id("alice", "s"), ids.id("bob", "s"));
        create(&alice, &hers).await;
        create(&bob, &his).await;
        second.call("ping", json!({})).await.expect("a link");
        let cli = &rig.cli[0];
        let of =
            |session: &str| json!({"sessionId": session, "type": "session.updated", "metadata": {"summary": CANARY}});
        cli.notify("session.lifecycle", &of(&hers).to_string());
        cli.notify(
            "session.event",
            &json!({"sessionId": hers, "event": {"type": "x", "data": {"t": CANARY}}}).to_string(),
        );
        cli.notify("session.event", &json!({"event": {"type": "x", "data": CANARY}, "sessionId": hers}).to_string());
        cli.notify("gitHubTelemetry.event", &json!({"sessionId": hers, "event": {"kind": CANARY}}).to_string());
        cli.notify("gitHubTelemetry.event", &json!({"event": {"session_id": hers, "kind": CANARY}}).to_string());
        cli.notify("gitHubTelemetry.event", &json!({"event": {"kind": CANARY}}).to_string());
        cli.notify(
            "gitHubTelemetry.event",
            &json!({"sessionId": his, "event": {"session_id": hers, "x": CANARY}}).to_string(),
        );
        cli.notify("nobody.knows", &json!({"sessionId": hers, "text": CANARY}).to_string());
        cli.notify("nobody.knows", &json!({"text": CANARY}).to_string());
        cli.notify("nobody.knows", &json!([CANARY]).to_string());
        cli.notify("$/progress", &json!({"token": 1, "value": CANARY}).to_string());
        cli.notify("session.lifecycle", &json!({"sessionId": his, "type": "last"}).to_string());
        // The last one is bob's: what was told before it has come by then.
        bob.take("his own lifecycle", |told| told["params"]["type"] == "last").await;
        let told = format!("{:?}", bob.told());
        assert!(!told.contains(CANARY) && !told.contains(hers.as_str()), "{ids:?}: {told}");
        for client in [&alice, &second] {
            client
                .take("her lifecycle", |told| {
                    told["params"]["type"] == "session.updated" && told["params"]["metadata"]["summary"] == CANARY
                })
                .await;
            assert!(!format!("{:?}", client.told()).contains(his.as_str()));
        }
        turn(&bob, &his).await;
    }
}

#[tokio::test]
async fn requests_of_a_backend_reach_only_the_owner_and_are_answered_else() {
    let rig = two(Ids::Prefix, 1).await;
    let bob = login(&rig, BOB).await;
    create(&bob, "bob--s").await;
    let cli = &rig.cli[0];
    let conn = rig.conn(0, "bob--s");
    let ask = |id: u32, method: &str, params: serde_json::Value| {
        crate::session::raw::frame(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string())
    };
    let foreign = [
        ("hooks.invoke", json!({"sessionId": "alice--s", "text": CANARY})),
        ("hooks.invoke", json!({"sessionId": "bob--s", "input": {"sessionId": "alice--s", "text": CANARY}})),
        ("userInput.request", json!({"question": CANARY})),
        ("llmInference.httpRequestStart", json!({"sessionId": "bob--s", "requestId": "r", "text": CANARY})),
        ("llmInference.httpRequestChunk", json!({"requestId": "r", "text": CANARY})),
        ("sessionFs.readFile", json!({"sessionId": "bob--s", "path": CANARY})),
        ("extensionLaunchProvider.resolve", json!({"text": CANARY})),
        ("nobody.knows", json!({"text": CANARY})),
    ];
    for (number, (method, params)) in foreign.into_iter().enumerate() {
        let id = 9000 + number as u32;
        cli.send_raw(conn, ask(id, method, params));
        let answer = cli.wait_for(|frame| frame.value["id"] == id && frame.method().is_empty()).await;
        assert_eq!(answer.value["error"]["code"], -32601, "{method}");
    }
    cli.send_raw(conn, ask(9100, "userInput.request", json!({"sessionId": "bob--s", "question": "mine?"})));
    cli.send_raw(conn, ask(9101, "gitHubToken.getToken", json!({"registrationId": "r"})));
    bob.next_request("userInput.request").await;
    bob.next_request("gitHubToken.getToken").await;
    assert!(!format!("{:?}", bob.told()).contains(CANARY));
}
