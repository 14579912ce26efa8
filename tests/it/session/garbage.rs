//! Backends that send what they should not: what can be borne is borne, what cannot ends the link and nothing else.

use serde_json::json;

use super::{
    raw::{Raw, frame},
    rig::{Plan, Rig, assert_ours, create, id_at, prompt, turn},
};
use crate::{
    fake_cli::{Act, Close},
    rpc_client::RpcClient,
};

async fn pair(plan: Plan<'_>) -> (Rig, RpcClient, [String; 2]) {
    let rig = Rig::with(Plan { backends: 2, ..plan }).await;
    let client = rig.client().await;
    let sessions = [id_at("g", 2, 0), id_at("g", 2, 1)];
    for session in &sessions {
        create(&client, session).await;
    }
    (rig, client, sessions)
}

#[tokio::test]
async fn what_is_no_frame_ends_the_link_with_an_answer() {
    let (rig, client, [bad, good]) = pair(Plan::default()).await;
    let long = vec![b'A'; 5000];
    let table: [(&str, &[u8]); 9] = [
        ("control bytes", b"\x00\x01\x02\x03\r\n\r\n"),
        ("another protocol", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("a huge length", b"Content-Length: 99999999999999\r\n\r\n"),
        ("a length above the limit", b"Content-Length: 67108865\r\n\r\n"),
        ("a negative length", b"Content-Length: -5\r\n\r\n"),
        ("no number", b"Content-Length: many\r\n\r\n"),
        ("bare line feeds", b"Content-Length: 5\n\nhello"),
        ("no end of the header", &long),
        ("a cut frame", b"Content-Length: 500\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,"),
    ];
    for (name, bytes) in table {
        let conn = rig.conn(0, &bad);
        rig.cli[0].next(1, "session.foo", Act::Raw(bytes.to_vec()));
        let before = rig.cli[0].count("session.foo");
        let open = client.start("session.foo", json!({"sessionId": bad})).await;
        if name == "a cut frame" {
            rig.cli[0].wait_for(|_| rig.cli[0].count("session.foo") > before).await;
            rig.cli[0].end(conn, Close::Fin);
        }
        let error = open.answer().await.expect_err(name);
        assert_ours(&error, -32011, "backend_lost");
        turn(&client, &good).await;
        assert!(!client.is_closed(), "{name}");
        while client.call("session.create", json!({"sessionId": bad})).await.is_err() {}
        turn(&client, &bad).await;
        client.call("session.destroy", json!({"sessionId": bad})).await.expect("live");
        create(&client, &bad).await;
        if rig.home(&bad) != 0 {
            panic!("{name}: the backend is healthy, so the hash holds");
        }
    }
}

#[tokio::test]
async fn what_helps_nobody_is_dropped_and_the_link_lives() {
    let (rig, client, [bad, _]) = pair(Plan::default()).await;
    let conn = rig.conn(0, &bad);
    let bodies = [
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"m"},"id":null}"#,
        r#"{"jsonrpc":"2.0","id":424242,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"pilotfish-77","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"nobody","error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"result":{}}"#,
        "not json",
        "[]",
        "null",
        "{}",
        "{\"jsonrpc\":",
    ];
    for body in bodies {
        rig.cli[0].send_raw(conn, frame(body));
    }
    client.call("session.getMessages", json!({"sessionId": bad})).await.expect("behind all of them");
    assert!(client.told().iter().all(|told| told.get("method").is_some()));
    super::admin::until(&rig.proxy, "dropped_total", &[], |count| count >= bodies.len() as f64).await;
    // Two answers to one request: the first is the client's.
    let body = |text: &str| frame(format!(r#"{{"jsonrpc":"2.0","id":9000,"result":"{text}"}}"#));
    rig.cli[0].next(1, "session.foo", Act::Raw([body("first"), body("second")].concat()));
    let answer = client.start_as(json!(9000), "session.foo", json!({"sessionId": bad})).await.answer().await;
    assert_eq!(answer.expect("answered"), "first");
    client.call("session.getMessages", json!({"sessionId": bad})).await.expect("fine");
    // An answer from the wrong backend is no answer.
    rig.cli[0].next(1, "session.foo", Act::Ignore);
    let open = client.start_as(json!(9001), "session.foo", json!({"sessionId": bad})).await;
    rig.cli[0].wait_for(|frame| frame.id().as_deref() == Some("9001")).await;
    let other = rig.conn(1, &id_at("g", 2, 1));
    rig.cli[1].send_raw(other, frame(r#"{"jsonrpc":"2.0","id":9001,"result":"forged"}"#));
    client.call("session.getMessages", json!({"sessionId": id_at("g", 2, 1)})).await.expect("behind it");
    rig.cli[0].send_raw(conn, frame(r#"{"jsonrpc":"2.0","id":9001,"result":"real"}"#));
    assert_eq!(open.answer().await.expect("answered"), "real");
}

#[tokio::test]
async fn odd_headers_of_backends_are_borne() {
    let (rig, client, [bad, _]) = pair(Plan::default()).await;
    let conn = rig.conn(0, &bad);
    let body = r#"{"jsonrpc":"2.0","method":"session.lifecycle","params":{"type":"odd"}}"#;
    let len = body.len();
    for head in [
        format!("content-length:{len}\r\n\r\n"),
        format!("Content-Length: {len}\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n"),
        format!("Content-Length: 3\r\nContent-Length: {len}\r\n\r\n"),
    ] {
        rig.cli[0].send_raw(conn, [head.as_bytes(), body.as_bytes()].concat());
        // The client gets a header of ours, whatever the backend's was: its reader here takes no other.
        client.take("the notification", |told| told["params"]["type"] == "odd").await;
    }
    // Lone surrogates come through byte for byte.
    let lone = format!(
        r#"{{"jsonrpc":"2.0","method":"session.event","params":{{"sessionId":"{bad}","event":{{"type":"x","data":"\ud83d"}}}}}}"#
    );
    let mut raw = Raw::connect(rig.proxy.addr("sdk")).await;
    raw.send(&frame(format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"session.resume","params":{{"sessionId":"{bad}"}}}}"#
    )))
    .await;
    raw.body_with("\"id\":1").await;
    let conn = rig.conn(0, &bad);
    rig.cli[0].send_raw(conn, frame(&lone));
    assert_eq!(raw.body_with("\"type\":\"x\"").await, lone.as_bytes());
}

/// The client was promised a megabyte: its framing stays in step, and the request gets an error.
#[tokio::test]
async fn death_in_the_middle_of_a_large_answer_leaves_the_client_in_step() {
    for (how, large) in [(Close::Fin, 1 << 20), (Close::Rst, 1 << 20), (Close::Fin, 300 << 10)] {
        let rig = Rig::new(2).await;
        let mut client = Raw::connect(rig.proxy.addr("sdk")).await;
        let session = id_at("cut", 2, 0);
        let other = id_at("cut", 2, 1);
        for (id, session) in [(1, &session), (2, &other)] {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"session.create","params":{{"sessionId":"{session}"}}}}"#
            );
            client.send(&frame(body)).await;
            client.body_with(&format!("\"id\":{id},\"result\"")).await;
        }
        let answer = frame(format!(r#"{{"jsonrpc":"2.0","id":"big","result":{{"text":"{}"}}}}"#, "x".repeat(large)));
        rig.cli[0].next(1, "session.foo", Act::Raw(answer[..answer.len() / 2].to_vec()));
        rig.cli[0].next(1, "session.bar", Act::Ignore);
        for (id, method) in [("small", "session.bar"), ("big", "session.foo")] {
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":{{"sessionId":"{session}"}}}}"#);
            client.send(&frame(body)).await;
        }
        rig.cli[0].wait_for_method(&session, "session.foo").await;
        let conn = rig.conn(0, &session);
        rig.cli[0].end(conn, how);
        let mut errors = Vec::new();
        while errors.len() < 2 {
            let body = client.body().await.expect("the connection lives");
            if let Ok(answer) = serde_json::from_slice::<serde_json::Value>(&body)
                && answer["error"]["code"] == -32011
            {
                errors.push(answer["id"].as_str().expect("an id").to_owned());
            }
        }
        errors.sort();
        assert_eq!(errors, ["big", "small"], "{how:?}");
        // In step: the next answer is read as such.
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":3,"method":"session.getMessages","params":{{"sessionId":"{other}"}}}}"#);
        client.send(&frame(body)).await;
        client.body_with("\"id\":3,\"result\"").await;
    }
}

#[tokio::test]
async fn a_backend_that_dies_at_byte_n_of_anything_is_told_as_lost() {
    for budget in [1, 17, 40, 100, 333, 1500] {
        let rig = Rig::new(2).await;
        let client = rig.client().await;
        let session = id_at("byte", 2, 0);
        create(&client, &session).await;
        rig.cli[0].die_after_bytes(budget);
        // Nobody heard an answer, or the turn was cut, or had ended unheard: each time the client is told.
        if let Err(error) = prompt(&client, &session).await {
            assert_ours(&error, -32011, "backend_lost");
        }
        client.next_event(&session, "session.idle").await;
        client.call("session.create", json!({"sessionId": session})).await.expect("elsewhere");
        turn(&client, &session).await;
    }
}

/// While a large frame is on its way to a client, other backends' frames wait. One that never ends must not stop them for ever.
#[tokio::test]
async fn a_large_frame_that_stops_half_way_is_given_up() {
    let (rig, client, [bad, good]) = pair(Plan { session: "body_timeout = \"300ms\"", ..Plan::default() }).await;
    let conn = rig.conn(0, &bad);
    let body = format!(
        r#"{{"jsonrpc":"2.0","method":"session.event","params":{{"sessionId":"{bad}","event":{{"type":"big","data":"{}"}}}}}}"#,
        "y".repeat(1 << 20)
    );
    let bytes = frame(body);
    let third = bytes.len() / 3;
    rig.cli[0].send_raw(conn, bytes[..third].to_vec());
    super::admin::until(&rig.proxy, "client_bytes_total", &["direction=\"out\""], |out| out > third as f64).await;
    // The event of the other backend comes once the first is given up.
    rig.cli[1].event(&good, "note", "{}", true);
    client.next_event(&good, "note").await;
    turn(&client, &good).await;
}
