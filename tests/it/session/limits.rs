//! Limits on what one client may do.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    raw::{Raw, frame},
    rig::{Plan, Rig, assert_ours, create, turn},
};
use crate::fake_cli::{Act, Gate};

#[tokio::test]
async fn a_frame_above_the_limit_is_refused_by_its_header() {
    let rig = Rig::with(Plan { session: "max_frame = \"1MiB\"", ..Plan::default() }).await;
    let client = rig.client().await;
    create(&client, "limit").await;
    rig.cli[0].on("session.foo", Act::Ignore);
    let open = client.start("session.foo", json!({"sessionId": "limit"})).await;
    rig.cli[0].wait_for_method("limit", "session.foo").await;
    let body = |len: usize| {
        let rest = len
            - r#"{"jsonrpc":"2.0","id":"L","method":"session.getMessages","params":{"sessionId":"limit","d":""}}"#
                .len();
        format!(
            r#"{{"jsonrpc":"2.0","id":"L","method":"session.getMessages","params":{{"sessionId":"limit","d":"{}"}}}}"#,
            "x".repeat(rest)
        )
    };
    client.send_raw(&frame(body(1 << 20))).await;
    assert_eq!(client.next_stray().await["id"], "L", "exactly the limit is fine");
    // Of the body not a byte is sent: the header alone decides.
    client.send_raw(b"Content-Length: 1048577\r\n\r\n").await;
    let error = open.answer().await.expect_err("answered before the end");
    assert_eq!(error.code, -32700);
    let stray = client.next_stray().await;
    assert!(stray["id"].is_null() && stray["error"]["message"].as_str().is_some_and(|text| text.contains("1048576")));
    client.expect_closed().await;
}

#[tokio::test]
async fn too_many_open_requests_are_refused() {
    let rig = Rig::with(Plan { session: "max_in_flight = 8", ..Plan::default() }).await;
    let client = rig.client().await;
    create(&client, "many").await;
    let gate = Gate::new();
    rig.cli[0].on("session.foo", Act::Hold(gate.clone()));
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(client.start("session.foo", json!({"sessionId": "many"})).await);
    }
    gate.reached(8).await;
    for _ in 0..3 {
        let error = client.call("session.foo", json!({"sessionId": "many"})).await.expect_err("one too many");
        assert_ours(&error, -32014, "capacity");
        assert_eq!(error.data["retryable"], true);
    }
    let other = rig.client().await;
    other.call("ping", json!({})).await.expect("the limit is each client's own");
    gate.open();
    for request in open {
        assert_eq!(request.answer().await.expect_err("unknown to the CLI").code, -32601);
    }
    client.call("ping", json!({})).await.expect("room again");
}

#[tokio::test]
async fn dribblers_are_closed_at_their_deadline_and_the_idle_stay() {
    let session = "header_timeout = \"400ms\"\nbody_timeout = \"600ms\"";
    let rig = Rig::with(Plan { session, ..Plan::default() }).await;
    let (idle, bystander) = (rig.client().await, rig.client().await);
    create(&bystander, "by").await;
    rig.cli[0].on("session.foo", Act::Ignore);
    let started = Instant::now();
    let mut header = Raw::connect(rig.proxy.addr("sdk")).await;
    let mut body = Raw::connect(rig.proxy.addr("sdk")).await;
    let mut large = Raw::connect(rig.proxy.addr("sdk")).await;
    for client in [&mut header, &mut body, &mut large] {
        client
            .send(&frame(r#"{"jsonrpc":"2.0","id":"open","method":"session.foo","params":{"sessionId":"by"}}"#))
            .await;
    }
    body.send(b"Content-Length: 500\r\n\r\n{\"jsonrpc\":").await;
    large
        .send(
            format!(
                "Content-Length: 9000000\r\n\r\n{{\"jsonrpc\":\"2.0\",\"params\":{{\"d\":\"{}",
                "x".repeat(300_000)
            )
            .as_bytes(),
        )
        .await;
    // The header keeps coming, a byte at a time, far too slowly to end.
    let dribble = async {
        for byte in b"Content-Type: ".iter().chain([b'x'; 900].iter()) {
            if !header.try_send(&[*byte]).await {
                break;
            }
            bystander.call("ping", json!({})).await.expect("undisturbed");
        }
        header.end().await
    };
    let ends = [dribble.await, body.end().await, large.end().await];
    let took = started.elapsed();
    for (name, end) in ["header", "body", "large"].into_iter().zip(ends) {
        let answers: Vec<Value> = end.iter().map(|body| serde_json::from_slice(body).expect("JSON")).collect();
        let open =
            answers.iter().find(|answer| answer["id"] == "open").unwrap_or_else(|| panic!("{name}: {answers:?}"));
        assert_eq!(open["error"]["code"], -32700, "{name}");
    }
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(8), "{took:?}");
    turn(&bystander, "by").await;
    idle.call("ping", json!({})).await.expect("idle clients stay");
}

/// A client that writes the end of one header and the beginning of the next in each write never stands still.
#[tokio::test]
async fn whoever_goes_on_is_no_dribbler() {
    let rig = Rig::with(Plan { session: "header_timeout = \"300ms\"", ..Plan::default() }).await;
    let mut client = Raw::connect(rig.proxy.addr("sdk")).await;
    let one = frame(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}"#);
    client.send(&one[..5]).await;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(1500) {
        client.send(&[&one[5..], &one[..5]].concat()).await;
        client.body_with("\"id\":1").await;
    }
}

#[tokio::test]
async fn a_request_whose_deadline_passed_is_answered() {
    let timeouts = "quick = \"300ms\"\ncreate = \"400ms\"\nlong = \"500ms\"";
    let rig = Rig::with(Plan { timeouts, ..Plan::default() }).await;
    let client = rig.client().await;
    create(&client, "late").await;
    for method in ["ping", "session.send", "session.foo", "session.resume", "session.getMessages"] {
        let gate = Gate::new();
        rig.cli[0].next(1, method, Act::Hold(gate.clone()));
        let error = client.call(method, json!({"sessionId": "late"})).await.expect_err("too late");
        assert_ours(&error, -32018, "timeout");
        gate.open();
    }
    // The late answers help nobody and disturb nobody.
    turn(&client, "late").await;
    super::admin::until(&rig.proxy, "dropped_total", &[], |count| count >= 5.0).await;
    assert!(client.told().iter().all(|told| told.get("method").is_some()));
}
