//! A backend dies: nothing hangs, nobody else notices.

use std::time::{Duration, Instant};

use serde_json::json;

use super::rig::{Plan, Rig, assert_ours, create, id_at, prompt, turn};
use crate::{
    fake_cli::{Act, Close},
    rpc_client::Pending,
};

/// 20 open requests and 4 running turns of 4 clients, each of which has a session elsewhere with a turn of its own.
#[tokio::test]
async fn a_death_answers_everything_and_touches_nobody_else() {
    for how in [Close::Rst, Close::Fin] {
        let rig = Rig::with(Plan { backends: 3, ..Plan::default() }).await;
        let gate = rig.gate();
        rig.cli[0].on("session.foo", Act::Ignore);
        let mut clients = Vec::new();
        let mut open: Vec<(Pending, usize)> = Vec::new();
        for number in 0..4 {
            let client = rig.client().await;
            let (here, there) = (id_at(&format!("here{number}"), 3, 0), id_at(&format!("there{number}"), 3, 1));
            for session in [&here, &there] {
                create(&client, session).await;
                prompt(&client, session).await.expect("sent");
                client.next_event(session, "assistant.message_delta").await;
            }
            for _ in 0..5 {
                open.push((client.start("session.foo", json!({"sessionId": here})).await, number));
            }
            clients.push((client, here, there));
        }
        rig.cli[0].wait_for(|_| rig.cli[0].count("session.foo") == 20).await;
        let killed = Instant::now();
        rig.cli[0].die(how);
        let mut slowest = Duration::ZERO;
        for (request, _) in open {
            let error = request.answer().await.expect_err("lost");
            slowest = slowest.max(killed.elapsed());
            assert_ours(&error, -32011, "backend_lost");
            assert_eq!((&error.data["retryable"], &error.data["executed"]), (&json!(true), &json!("unknown")));
        }
        println!("{how:?}: 20 open requests answered within {slowest:?} of the death");
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        for (client, here, there) in &clients {
            let error = client.next_event(here, "session.error").await;
            assert_eq!(error["data"]["errorType"], "backend_lost");
            assert!(error["id"].is_string() && error["timestamp"].is_string() && error["ephemeral"] == true);
            client.next_event(here, "session.idle").await;
            assert!(!client.is_closed());
            assert!(!client.events(there).iter().any(|kind| kind == "session.error" || kind == "session.idle"));
        }
        gate.open();
        for (client, here, there) in &clients {
            client.next_event(there, "session.idle").await;
            turn(client, there).await;
            // Not on the disk yet, so it was made again: elsewhere, though its hash says here.
            turn(client, here).await;
            assert_ne!(rig.home(here), 0);
            assert!(!client.events(there).iter().any(|kind| kind == "session.error"));
        }
        let fresh = rig.client().await;
        let session = id_at("fresh", 3, 0);
        create(&fresh, &session).await;
        assert_ne!(rig.home(&session), 0);
    }
}

/// The last turn that ended is on the disk: resume finds it on another backend, for all of the session's clients.
#[tokio::test]
async fn a_session_of_two_clients_is_resumed_elsewhere() {
    let rig = Rig::new(2).await;
    let (a, b) = (rig.client().await, rig.client().await);
    let session = id_at("moved", 2, 0);
    create(&a, &session).await;
    turn(&a, &session).await;
    b.call("session.resume", json!({"sessionId": session})).await.expect("live");
    let gate = rig.gate();
    prompt(&a, &session).await.expect("sent");
    a.next_event(&session, "assistant.turn_start").await;
    a.next_event(&session, "assistant.turn_start").await;
    b.next_event(&session, "assistant.turn_start").await;
    rig.cli[0].die(Close::Rst);
    for client in [&a, &b] {
        client.next_event(&session, "session.error").await;
        client.next_event(&session, "session.idle").await;
    }
    gate.open();
    for client in [&a, &b] {
        client.call("session.resume", json!({"sessionId": session})).await.expect("on the shared disk");
        assert_eq!(rig.home(&session), 1);
    }
    turn(&a, &session).await;
    b.next_event(&session, "session.idle").await;
}

#[tokio::test]
async fn a_request_in_flight_is_never_sent_again() {
    let rig = Rig::new(2).await;
    let client = rig.client().await;
    let session = id_at("once", 2, 0);
    create(&client, &session).await;
    rig.cli[0].next(1, "session.send", Act::Die(Close::Fin));
    let error = prompt(&client, &session).await.expect_err("lost");
    assert_ours(&error, -32011, "backend_lost");
    // The turn that may have begun is told to have ended.
    client.next_event(&session, "session.error").await;
    client.next_event(&session, "session.idle").await;
    client.call("ping", json!({})).await.expect("fine");
    assert_eq!(rig.cli[1].count("session.send"), 0);
}

#[tokio::test]
async fn a_refused_prompt_does_not_end_the_turn_before_it() {
    let mut rig = Rig::new(1).await;
    let client = rig.client().await;
    create(&client, "busy").await;
    let gate = rig.gate();
    prompt(&client, "busy").await.expect("sent");
    client.next_event("busy", "assistant.message_delta").await;
    rig.cli[0].next(1, "session.send", Act::Fail { code: -32602, message: "no".into() });
    prompt(&client, "busy").await.expect_err("refused by the CLI");
    // Were the turn over for the proxy, the drain would close this client as it does the idle one.
    let idle = rig.client().await;
    rig.proxy.terminate();
    idle.expect_closed().await;
    client.call("session.getMessages", json!({"sessionId": "busy"})).await.expect("the turn goes on");
    gate.open();
    client.next_event("busy", "session.idle").await;
    client.expect_closed().await;
    assert!(rig.proxy.exit().await.success());
}
