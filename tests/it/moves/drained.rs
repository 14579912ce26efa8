//! A backend is drained: its sessions move under clients that notice nothing.

use std::time::{Duration, Instant};

use serde_json::json;

use super::checks::{
    THREE, assert_once, assert_rig_sound, assert_within, converse, drain, first, idle_behind, kinds, order, prompts,
    say, settled, undrain, until_home, until_state,
};
use crate::{
    fake_cli::{Act, Gate, Step},
    rpc_client::RpcClient,
    session::{
        admin,
        rig::{Plan, Rig, create, id_at},
    },
};

/// Nothing that a client should not see was told of a move.
fn assert_unnoticed(client: &RpcClient, session: &str, before: usize) {
    let heard = kinds(client, session).split_off(before);
    for hidden in ["session.shutdown", "session.error", "abort"] {
        assert!(!heard.iter().any(|kind| kind == hidden), "{session}: {heard:?}");
    }
    assert_once(client, session);
    assert!(!client.is_closed());
}

#[tokio::test]
async fn idle_sessions_move_at_once_and_busy_ones_at_the_end_of_their_turn() {
    let rig = Rig::with(THREE).await;
    let client = rig.client().await;
    let ids = |prefix: &str| id_at(prefix, 3, 0);
    let (idle, busy, new) = (ids("idle"), ids("busy"), ids("new"));
    settled(&client, &idle).await;
    settled(&client, &busy).await;
    create(&client, &new).await;
    let gate = Gate::new();
    rig.cli[0].turns(vec![Step::Delta("one".into()), Step::Wait(gate.clone()), Step::Delta("two".into())]);
    let before = [&idle, &busy, &new].map(|session| client.heard(session).len());
    say(&client, &busy, "long").await;
    gate.reached(1).await;
    drain(&rig.proxy, 0, "").await;
    for session in [&idle, &new] {
        rig.cli[0].wait_for_live(session, false).await;
        converse(&client, session, &format!("moved {session}")).await;
        assert_ne!(rig.home(session), 0);
    }
    assert_eq!(rig.home(&busy), 0, "its turn runs");
    until_state(&rig.proxy, 0, "draining").await;
    gate.open();
    idle_behind(&client, &busy, before[1]).await;
    rig.cli[0].wait_for_live(&busy, false).await;
    converse(&client, &busy, "next").await;
    assert_ne!(rig.home(&busy), 0);
    assert_eq!(prompts(&client, &busy).await, [first(&busy), "long".into(), "next".into()]);
    assert_eq!(prompts(&client, &idle).await.len(), 2);
    for (session, before) in [&idle, &busy, &new].into_iter().zip(before) {
        assert_unnoticed(&client, session, before);
    }
    until_state(&rig.proxy, 0, "drained").await;
    // No new ones come, and once it is let in again they do.
    let fresh = [id_at("fresh-a", 3, 0), id_at("fresh-b", 3, 0)];
    create(&client, &fresh[0]).await;
    assert_ne!(rig.home(&fresh[0]), 0);
    undrain(&rig.proxy, 0).await;
    until_state(&rig.proxy, 0, "up").await;
    create(&client, &fresh[1]).await;
    assert_eq!(rig.home(&fresh[1]), 0);
    assert_ne!(rig.home(&idle), 0, "those that moved stay");
    assert_rig_sound(&rig);
}

#[tokio::test]
async fn requests_during_a_move_are_answered_in_order_by_the_new_home() {
    let rig = Rig::with(Plan { backends: 2, ..THREE }).await;
    let client = rig.client().await;
    let session = id_at("order", 2, 0);
    settled(&client, &session).await;
    let before = client.heard(&session).len();
    let gate = Gate::new();
    rig.cli[1].next(1, "session.resume", Act::Hold(gate.clone()));
    drain(&rig.proxy, 0, "").await;
    gate.reached(1).await;
    let mut waiting = Vec::new();
    for number in 0..8 {
        waiting.push(client.start("session.brandNew", json!({"sessionId": session, "number": number})).await);
    }
    let prompt = super::checks::say_later(&client, &session, "during").await;
    // Answered by another backend meanwhile: the client is not held up.
    client.call("ping", json!({})).await.expect("nobody waits for a move but its session");
    gate.open();
    for call in waiting {
        call.answer().await.expect("at the new home");
    }
    prompt.answer().await.expect("at the new home");
    idle_behind(&client, &session, before).await;
    let numbers = |at: usize| -> Vec<_> {
        let frames = rig.cli[at].frames();
        let calls = frames.iter().filter(|frame| frame.method() == "session.brandNew");
        calls.filter_map(|frame| frame.params()["number"].as_u64()).collect()
    };
    assert_eq!((numbers(0), numbers(1)), (vec![], (0..8).collect()));
    assert_unnoticed(&client, &session, before);
    assert_rig_sound(&rig);
}

#[tokio::test]
async fn two_clients_of_one_session_move_together() {
    let rig = Rig::with(THREE).await;
    let (a, b) = (rig.client().await, rig.client().await);
    let session = id_at("both", 3, 0);
    settled(&a, &session).await;
    b.call("session.resume", json!({"sessionId": session})).await.expect("live");
    let before = [a.heard(&session).len(), b.heard(&session).len()];
    drain(&rig.proxy, 0, "").await;
    rig.cli[0].wait_for_live(&session, false).await;
    for (client, other, text) in [(&a, &b, "from a"), (&b, &a, "from b")] {
        let heard = other.heard(&session).len();
        converse(client, &session, text).await;
        idle_behind(other, &session, heard).await;
    }
    assert_ne!(rig.home(&session), 0);
    assert_unnoticed(&a, &session, before[0]);
    assert_unnoticed(&b, &session, before[1]);
    until_state(&rig.proxy, 0, "drained").await;
    assert_rig_sound(&rig);
}

#[tokio::test]
async fn at_the_deadline_the_turn_ends_and_its_session_moves() {
    let rig = Rig::with(Plan { pool: "drain_timeout = \"500ms\"\nmove_timeout = \"3s\"", ..THREE }).await;
    let client = rig.client().await;
    let session = id_at("late", 3, 0);
    settled(&client, &session).await;
    let gate = Gate::new();
    rig.cli[0].turns(vec![Step::Delta("one".into()), Step::Wait(gate.clone())]);
    let before = client.heard(&session).len();
    say(&client, &session, "endless").await;
    gate.reached(1).await;
    let started = Instant::now();
    drain(&rig.proxy, 0, "").await;
    let ended = idle_behind(&client, &session, before).await;
    assert!(ended.at - started >= Duration::from_millis(400), "{:?}", ended.at - started);
    assert_within("the end of the turn", started, Duration::from_secs(4));
    converse(&client, &session, "next").await;
    assert_ne!(rig.home(&session), 0);
    until_state(&rig.proxy, 0, "drained").await;
    assert_once(&client, &session);
    assert_rig_sound(&rig);
}

#[tokio::test]
async fn a_backend_may_be_drained_from_the_start() {
    let backend = |at: usize| if at == 0 { ", state = \"drain\"" } else { "" };
    let rig = Rig::with(Plan { backend, ..THREE }).await;
    let client = rig.client().await;
    let session = id_at("start", 3, 0);
    create(&client, &session).await;
    assert_ne!(rig.home(&session), 0);
    until_state(&rig.proxy, 0, "drained").await;
    let other = id_at("other", 3, 0);
    undrain(&rig.proxy, 0).await;
    until_state(&rig.proxy, 0, "up").await;
    create(&client, &other).await;
    assert_eq!(rig.home(&other), 0);
}

#[tokio::test]
async fn two_drains_at_once_are_fine_and_the_last_backend_is_kept() {
    let rig = Rig::with(THREE).await;
    let client = rig.client().await;
    let sessions: Vec<String> = (0..12).map(|number| id_at(&format!("many{number}"), 3, number % 3)).collect();
    for session in &sessions {
        settled(&client, session).await;
    }
    drain(&rig.proxy, 0, "").await;
    drain(&rig.proxy, 1, "").await;
    drain(&rig.proxy, 1, "").await;
    let (code, why) = order(&rig.proxy, "/backends/cli-3/drain").await;
    assert_eq!(code, 409, "{why}");
    assert!(!why.trim().is_empty());
    for session in &sessions {
        until_home(&rig, session, 2).await;
        converse(&client, session, &format!("next of {session}")).await;
        assert_once(&client, session);
    }
    for at in [0, 1] {
        until_state(&rig.proxy, at, "drained").await;
        undrain(&rig.proxy, at).await;
    }
    let moved = admin::Metrics::of(&rig.proxy).await.sum("session_moves_total", &["cause=\"drain\""]);
    assert!(moved >= 8.0, "{moved}");
    assert_rig_sound(&rig);
}
