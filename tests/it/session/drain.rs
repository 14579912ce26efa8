//! Going away: turns end, idle clients are closed in order, what is left is answered.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use tokio::net::TcpStream;

use super::{
    admin,
    raw::{Raw, frame},
    rig::{Plan, Rig, assert_ours, create, id_at, prompt, turn},
};
use crate::fake_cli::{Act, Gate};

#[tokio::test]
async fn running_turns_end_and_the_rest_is_turned_away() {
    let mut rig = Rig::new(3).await;
    let gate = rig.gate();
    let mut busy = Vec::new();
    for number in 0..20 {
        let (client, session) = (rig.client().await, format!("turn-{number}"));
        create(&client, &session).await;
        prompt(&client, &session).await.expect("sent");
        client.next_event(&session, "assistant.message_delta").await;
        busy.push((client, session));
    }
    let idle = rig.client().await;
    create(&idle, "idle").await;
    assert_eq!(admin::page(&rig.proxy, "/readyz").await.0, 200);
    rig.proxy.terminate();
    // Clients without a turn get a FIN; the port is closed by then.
    idle.expect_closed().await;
    assert_eq!(admin::page(&rig.proxy, "/readyz").await.0, 503);
    assert_eq!(admin::page(&rig.proxy, "/livez").await.0, 200);
    assert!(TcpStream::connect(rig.proxy.addr("sdk")).await.is_err(), "the listener is closed");
    let status = admin::status(&rig.proxy).await;
    assert_eq!(
        (&status["drain"]["draining"], &status["drain"]["turns_running"]),
        (&json!(true), &json!(20)),
        "{status}"
    );
    for (client, session) in &busy {
        let calls = [
            ("session.create", json!({"sessionId": "new"})),
            ("session.resume", json!({"sessionId": "new"})),
            ("session.send", json!({"sessionId": session, "prompt": "more"})),
            ("sessions.open", json!({"kind": "create"})),
        ];
        for (method, params) in calls {
            let error = client.call(method, params).await.expect_err("going away");
            assert_ours(&error, -32017, "draining");
        }
        // What the running turn needs still passes.
        client.call("session.getMessages", json!({"sessionId": session})).await.expect("still served");
    }
    gate.open();
    for (client, session) in &busy {
        client.next_event(session, "session.idle").await;
        assert!(!client.events(session).iter().any(|kind| kind == "session.error"));
        client.expect_closed().await;
    }
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
}

#[tokio::test]
async fn readiness_fails_before_the_listener_closes() {
    let mut rig =
        Rig::with(Plan { shutdown: "readiness_lead = \"1s\"\ndrain_timeout = \"1s\"", ..Plan::default() }).await;
    let client = rig.client().await;
    rig.proxy.terminate();
    rig.proxy.wait_for_line("draining").await;
    assert_eq!(admin::page(&rig.proxy, "/readyz").await.0, 503);
    let late = rig.client().await;
    create(&late, "lead").await;
    client.call("ping", json!({})).await.expect("as ever");
    client.expect_closed().await;
    late.expect_closed().await;
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
}

#[tokio::test]
async fn at_the_deadline_the_rest_is_answered_and_cut() {
    let mut rig = Rig::with(Plan { backends: 2, shutdown: "drain_timeout = \"700ms\"", ..Plan::default() }).await;
    let _gate = rig.gate();
    rig.cli.iter().for_each(|cli| cli.on("session.foo", Act::Ignore));
    let client = rig.client().await;
    let sessions = [id_at("cut", 2, 0), id_at("cut", 2, 1)];
    let mut open = Vec::new();
    for session in &sessions {
        create(&client, session).await;
        prompt(&client, session).await.expect("sent");
        client.next_event(session, "assistant.message_delta").await;
        open.push(client.start("session.foo", json!({"sessionId": session})).await);
    }
    let waiting = rig.client().await;
    let alone = waiting.start("session.foo", json!({"sessionId": sessions[0]})).await;
    rig.cli[0].wait_for(|_| rig.cli[0].count("session.foo") == 2).await;
    let started = Instant::now();
    rig.proxy.terminate();
    for request in open.into_iter().chain([alone]) {
        let error = request.answer().await.expect_err("cut");
        assert_ours(&error, -32017, "draining");
    }
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(4), "{took:?}");
    for session in &sessions {
        client.next_event(session, "session.error").await;
        client.next_event(session, "session.idle").await;
    }
    client.expect_closed().await;
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
}

/// At the deadline a large answer is half way through and does not go on: what is said then must not wait behind it.
#[tokio::test]
async fn the_deadline_does_not_wait_for_a_large_frame() {
    let mut rig = Rig::with(Plan { backends: 2, shutdown: "drain_timeout = \"300ms\"", ..Plan::default() }).await;
    let mut client = Raw::connect(rig.proxy.addr("sdk")).await;
    let sessions = [id_at("big", 2, 0), id_at("big", 2, 1)];
    let call = |id: &str, method: &str, session: &str| {
        frame(format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":{{"sessionId":"{session}"}}}}"#))
    };
    for session in &sessions {
        client.send(&call(session, "session.create", session)).await;
        client.body_with(&format!("\"id\":\"{session}\",\"result\"")).await;
    }
    let answer = frame(format!(r#"{{"jsonrpc":"2.0","id":"large","result":"{}"}}"#, "z".repeat(1 << 20)));
    rig.cli[0].next(1, "session.foo", Act::Raw(answer[..answer.len() / 2].to_vec()));
    rig.cli[1].next(1, "session.foo", Act::Ignore);
    client.send(&call("small", "session.foo", &sessions[1])).await;
    client.send(&call("large", "session.foo", &sessions[0])).await;
    rig.cli[1].wait_for_method(&sessions[1], "session.foo").await;
    let half = answer.len() as f64 / 2.0;
    admin::until(&rig.proxy, "client_bytes_total", &["direction=\"out\""], |out| out > half).await;
    rig.proxy.terminate();
    let all: Vec<serde_json::Value> =
        client.end().await.iter().filter_map(|body| serde_json::from_slice(body).ok()).collect();
    let code = |id: &str| all.iter().find(|answer| answer["id"] == id).map(|answer| answer["error"]["code"].clone());
    assert_eq!(code("small"), Some(json!(-32017)), "{all:?}");
    assert_eq!(code("large"), Some(json!(-32011)), "{all:?}");
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
}

/// A prompt that the backend queued behind the running turn is part of what the drain waits for.
#[tokio::test]
async fn queued_prompts_end_too() {
    let mut rig = Rig::new(1).await;
    let gate = rig.gate();
    let client = rig.client().await;
    create(&client, "queue").await;
    for _ in 0..3 {
        prompt(&client, "queue").await.expect("sent");
    }
    client.next_event("queue", "assistant.message_delta").await;
    let idle = rig.client().await;
    rig.proxy.terminate();
    idle.expect_closed().await;
    gate.open();
    for _ in 0..3 {
        client.next_event("queue", "assistant.message").await;
    }
    client.next_event("queue", "session.idle").await;
    client.expect_closed().await;
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    for signals in [[Signal::TERM, Signal::TERM], [Signal::INT, Signal::TERM], [Signal::INT, Signal::INT]] {
        let mut rig = Rig::with(Plan { shutdown: "drain_timeout = \"1h\"", ..Plan::default() }).await;
        let _gate = rig.gate();
        let client = rig.client().await;
        create(&client, "turn").await;
        prompt(&client, "turn").await.expect("sent");
        client.next_event("turn", "assistant.message_delta").await;
        rig.proxy.signal(signals[0]);
        rig.proxy.wait_for_line("draining").await;
        rig.proxy.signal(signals[1]);
        client.next_event("turn", "session.error").await;
        client.next_event("turn", "session.idle").await;
        client.expect_closed().await;
        assert_eq!(rig.proxy.exit().await.code(), Some(0));
    }
}

#[tokio::test]
async fn what_is_open_when_a_drain_begins_is_answered_first() {
    let mut rig = Rig::new(1).await;
    let client = rig.client().await;
    create(&client, "open").await;
    let gate = Gate::new();
    rig.cli[0].next(1, "session.getMessages", Act::Hold(gate.clone()));
    let open = client.start("session.getMessages", json!({"sessionId": "open"})).await;
    gate.reached(1).await;
    rig.proxy.terminate();
    rig.proxy.wait_for_line("draining").await;
    gate.open();
    open.answer().await.expect("answered by its backend");
    client.expect_closed().await;
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_half_close_is_passed_on_and_answers_still_come() {
    let rig = Rig::new(2).await;
    let mut client = Raw::connect(rig.proxy.addr("sdk")).await;
    let sessions = [id_at("half", 2, 0), id_at("half", 2, 1)];
    let call = |id: &str, method: &str, session: &str| {
        frame(format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":{{"sessionId":"{session}"}}}}"#))
    };
    client.send(&frame(r#"{"jsonrpc":"2.0","id":"c","method":"connect","params":{}}"#)).await;
    client.send(&call("1", "session.create", &sessions[0])).await;
    client.send(&call("2", "session.create", &sessions[1])).await;
    client.send(&call("3", "session.getMessages", &sessions[0])).await;
    client.send(&call("4", "session.getMessages", &sessions[1])).await;
    // At once, though no link is even dialled.
    client.finish().await;
    let all: Vec<serde_json::Value> =
        client.end().await.iter().map(|body| serde_json::from_slice(body).expect("JSON")).collect();
    for id in ["c", "1", "2", "3", "4"] {
        let answer = all.iter().find(|answer| answer["id"] == id).unwrap_or_else(|| panic!("{id}: {all:?}"));
        assert!(answer.get("result").is_some(), "{answer}");
    }
    for (at, session) in sessions.iter().enumerate() {
        rig.cli[at].wait_for_live(session, false).await;
    }
    admin::until(&rig.proxy, "clients", &[], |count| count == 0.0).await;
    admin::until(&rig.proxy, "links", &[], |count| count == 0.0).await;
}

#[tokio::test]
async fn a_client_that_resets_in_a_turn_takes_only_itself_away() {
    let rig = Rig::with(Plan { pool: "on_client_loss = \"abort\"", ..Plan::default() }).await;
    let gate = rig.gate();
    let stays = rig.client().await;
    create(&stays, "stays").await;
    prompt(&stays, "stays").await.expect("sent");
    let mut goes = Raw::connect(rig.proxy.addr("sdk")).await;
    for (id, method) in [(1, "session.create"), (2, "session.send")] {
        goes.send(&frame(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"sessionId":"goes","prompt":"p"}}}}"#
        )))
        .await;
        goes.body_with(&format!("\"id\":{id},\"result\"")).await;
    }
    goes.body_with("message_delta").await;
    goes.reset();
    rig.cli[0].wait_for_live("goes", false).await;
    admin::until(&rig.proxy, "turns_total", &["outcome=\"client_lost\""], |count| count == 1.0).await;
    admin::until(&rig.proxy, "turns_running", &[], |count| count == 1.0).await;
    gate.open();
    stays.next_event("stays", "session.idle").await;
    turn(&stays, "stays").await;
}
