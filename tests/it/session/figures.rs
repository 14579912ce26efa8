//! Metrics move as they should.

use serde_json::json;

use super::{
    admin::{Metrics, until},
    raw::frame,
    rig::{Plan, Rig, create, id_at, prompt, turn},
};
use crate::fake_cli::{Act, Close, Step};

#[tokio::test]
async fn counts_follow_clients_sessions_and_turns() {
    let rig = Rig::new(2).await;
    let client = rig.client().await;
    let sessions = [id_at("m", 2, 0), id_at("m", 2, 1)];
    for session in &sessions {
        create(&client, session).await;
    }
    turn(&client, &sessions[0]).await;
    let gate = rig.gate();
    prompt(&client, &sessions[1]).await.expect("sent");
    client.next_event(&sessions[1], "assistant.message_delta").await;
    let at = Metrics::of(&rig.proxy).await;
    assert_eq!(at.sum("clients", &["listener=\"sdk\""]), 1.0);
    assert_eq!(at.sum("clients_accepted_total", &[]), 1.0);
    for (number, backend) in ["backend=\"cli-1\"", "backend=\"cli-2\""].into_iter().enumerate() {
        assert_eq!(at.sum("links", &[backend]), 1.0);
        assert_eq!(at.sum("links_opened_total", &[backend, "outcome=\"ok\""]), 1.0);
        assert_eq!(at.sum("sessions", &[backend, "state=\"busy\""]), number as f64);
        assert_eq!(at.sum("sessions", &[backend, "state=\"idle\""]), 1.0 - number as f64);
        assert_eq!(at.sum("turns_running", &[backend]), number as f64);
        assert_eq!(at.sum("backend_up", &[backend]), 1.0);
        assert!(at.sum("probe_duration_seconds_count", &[backend]) >= 1.0);
    }
    assert_eq!(at.sum("turns_total", &["outcome=\"idle\""]), 1.0);
    assert_eq!(at.sum("turn_duration_seconds_count", &[]), 1.0);
    assert_eq!(at.sum("time_to_first_delta_seconds_count", &[]), 2.0);
    assert_eq!(at.sum("requests_total", &["method=\"session.create\"", "outcome=\"ok\""]), 2.0);
    assert_eq!(at.sum("requests_total", &["method=\"session.send\"", "outcome=\"ok\""]), 2.0);
    assert_eq!(at.sum("requests_total", &["method=\"connect\"", "outcome=\"ok\""]), 1.0);
    assert_eq!(at.sum("request_duration_seconds_count", &["method=\"session.create\""]), 2.0);
    // connect, two creates, two sends.
    assert_eq!(at.sum("client_frames_total", &["direction=\"in\""]), 5.0);
    gate.open();
    client.next_event(&sessions[1], "session.idle").await;
    until(&rig.proxy, "turns_total", &["outcome=\"idle\""], |count| count == 2.0).await;
    until(&rig.proxy, "turns_running", &[], |count| count == 0.0).await;
    drop(client);
    until(&rig.proxy, "clients", &[], |count| count == 0.0).await;
    until(&rig.proxy, "links", &[], |count| count == 0.0).await;
    until(&rig.proxy, "sessions", &[], |count| count == 0.0).await;
    let end = Metrics::of(&rig.proxy).await;
    assert_eq!(end.sum("clients_closed_total", &[]), 1.0);
    assert_eq!(end.sum("links_closed_total", &["reason=\"client\""]), 2.0);
}

/// Bytes are counted once, whatever the pieces in which they come.
#[tokio::test]
async fn bytes_are_counted_once() {
    let rig = Rig::new(1).await;
    let client = rig.client().await;
    create(&client, "bytes").await;
    // Behind this answer nothing comes any more; what the client has is counted a moment later.
    client.call("session.getMessages", serde_json::json!({"sessionId": "bytes"})).await.expect("live");
    let received = client.told().len() as f64 + 3.0;
    until(&rig.proxy, "client_frames_total", &["direction=\"out\""], |now| now >= received).await;
    let before = Metrics::of(&rig.proxy).await;
    let bodies = [
        r#"{"jsonrpc":"2.0","id":"b","method":"session.foo","params":{"sessionId":"bytes"}}"#.to_owned(),
        format!(
            r#"{{"jsonrpc":"2.0","id":"b","method":"session.foo","params":{{"sessionId":"bytes","d":"{}"}}}}"#,
            "x".repeat(1 << 20)
        ),
        format!(
            r#"{{"jsonrpc":"2.0","method":"session.foo","params":{{"sessionId":"bytes","d":"{}"}},"id":"b"}}"#,
            "x".repeat(1 << 20)
        ),
    ];
    let mut sent = 0.0;
    for body in &bodies {
        let bytes = frame(body);
        let (first, rest) = bytes.split_at(30);
        client.send_raw(first).await;
        until(&rig.proxy, "client_bytes_total", &["direction=\"in\""], |now| {
            now >= before.sum("client_bytes_total", &["direction=\"in\""]) + sent + 30.0
        })
        .await;
        client.send_raw(rest).await;
        client.next_stray().await;
        sent += bytes.len() as f64;
    }
    let out = before.sum("client_frames_total", &["direction=\"out\""]) + 3.0;
    until(&rig.proxy, "client_frames_total", &["direction=\"out\""], |now| now >= out).await;
    let after = Metrics::of(&rig.proxy).await;
    let grown = |family: &str, labels: &[&str]| after.sum(family, labels) - before.sum(family, labels);
    assert_eq!(grown("client_bytes_total", &["direction=\"in\""]), sent);
    assert_eq!(grown("client_frames_total", &["direction=\"in\""]), 3.0);
    assert_eq!(grown("client_frames_total", &["direction=\"out\""]), 3.0);
    // Probes have connections of their own, which are not counted here.
    assert_eq!(grown("backend_bytes_total", &["direction=\"out\""]), sent);
    assert_eq!(grown("backend_frames_total", &["direction=\"out\""]), 3.0);
    assert_eq!(grown("backend_frames_total", &["direction=\"in\""]), 3.0);
    assert_eq!(
        grown("backend_bytes_total", &["direction=\"in\""]),
        grown("client_bytes_total", &["direction=\"out\""])
    );
}

/// The word in `data.reason` is the label, for every error of ours that a test can get.
#[tokio::test]
async fn reasons_are_the_words_of_the_wire() {
    let plan = Plan { backends: 2, session: "max_in_flight = 3", timeouts: "quick = \"300ms\"", ..Plan::default() };
    // What is lost stays lost here.
    let rig = Rig::with(Plan { pool: "rehome = false", ..plan }).await;
    let client = rig.client().await;
    create(&client, &id_at("r", 2, 0)).await;
    let here = id_at("r", 2, 0);
    rig.cli[0].on("session.foo", Act::Ignore);
    let mut told: Vec<(String, Option<&str>)> = Vec::new();
    let mut note = |error: crate::rpc_client::RpcError, method: Option<&'static str>| {
        told.push((error.data["reason"].as_str().expect("a reason").to_owned(), method));
    };
    note(client.call("runtime.shutdown", json!({})).await.expect_err("denied"), Some("runtime.shutdown"));
    note(client.call("session.resume", json!({"sessionId": 5})).await.expect_err("params"), Some("session.resume"));
    rig.cli[0].next(1, "ping", Act::Ignore);
    rig.cli[1].next(1, "ping", Act::Ignore);
    let pinged = client.call("models.list", json!({})).await.expect_err("unknown to the fake");
    assert!(pinged.data.is_null());
    let open = [
        client.start("session.foo", json!({"sessionId": here})).await,
        client.start("session.foo", json!({"sessionId": here})).await,
        client.start("session.foo", json!({"sessionId": here})).await,
    ];
    note(client.call("ping", json!({})).await.expect_err("too many"), Some("ping"));
    rig.cli[0].wait_for(|_| rig.cli[0].count("session.foo") == 3).await;
    rig.cli[0].die(Close::Rst);
    for request in open {
        note(request.answer().await.expect_err("lost"), Some("other"));
    }
    note(prompt(&client, &here).await.expect_err("lost"), Some("session.send"));
    client.send_raw(&frame("{")).await;
    told.push((client.next_stray().await["error"]["data"]["reason"].as_str().expect("a reason").to_owned(), None));
    let words: Vec<&str> = told.iter().map(|(word, _)| word.as_str()).collect();
    assert_eq!(
        words,
        [
            "denied_by_policy",
            "invalid_params",
            "capacity",
            "backend_lost",
            "backend_lost",
            "backend_lost",
            "session_lost",
            "parse_error"
        ]
    );
    let at = Metrics::of(&rig.proxy).await;
    for (word, method) in &told {
        let count = words.iter().filter(|other| *other == word).count() as f64;
        assert_eq!(at.sum("errors_total", &[&format!("reason=\"{word}\"")]), count, "{word}");
        if let Some(method) = method {
            let labels = [format!("method=\"{method}\""), format!("outcome=\"{word}\"")];
            assert_eq!(at.sum("requests_total", &[&labels[0], &labels[1]]), count, "{word} {method}");
        }
    }
    assert_eq!(at.sum("errors_total", &["reason=\"other\""]), 0.0);
}

#[tokio::test]
async fn turns_are_counted_by_how_they_end() {
    let rig = Rig::new(2).await;
    let client = rig.client().await;
    let gate = rig.gate();
    let sessions = [id_at("end", 2, 0), id_at("end", 2, 1)];
    for session in &sessions {
        create(&client, session).await;
        prompt(&client, session).await.expect("sent");
        client.next_event(session, "assistant.message_delta").await;
    }
    client.call("session.abort", json!({"sessionId": sessions[0]})).await.expect("aborted");
    client.next_event(&sessions[0], "session.idle").await;
    until(&rig.proxy, "turns_total", &["outcome=\"aborted\""], |count| count == 1.0).await;
    rig.cli[1].die(Close::Rst);
    client.next_event(&sessions[1], "session.idle").await;
    until(&rig.proxy, "turns_total", &["outcome=\"backend_lost\""], |count| count == 1.0).await;
    gate.open();
    rig.cli[0].turns(vec![Step::Event { kind: "session.error".into(), data: "{}".into(), ephemeral: false }]);
    turn(&client, &sessions[0]).await;
    until(&rig.proxy, "turns_total", &["outcome=\"error\""], |count| count == 1.0).await;
    let at = Metrics::of(&rig.proxy).await;
    assert_eq!((at.sum("turns_total", &[]), at.sum("turns_running", &[])), (3.0, 0.0));
    assert_eq!(at.sum("links_closed_total", &["backend=\"cli-2\""]), 1.0);
}
