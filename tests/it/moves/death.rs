//! A backend dies: its sessions live on elsewhere, under clients that keep their connections.

use std::time::{Duration, Instant};

use serde_json::json;

use super::checks::{
    ANSWERED, THREE, assert_once, assert_rig_sound, assert_within, converse, first, idle_behind, kind_behind, kinds,
    prompts, read, say, settled,
};
use crate::{
    fake_cli::{Act, Close, Gate, Step},
    rpc_client::{Pending, RpcClient},
    session::rig::{Plan, Rig, assert_ours, create, id_at},
};

/// The sessions of one client at the backend that dies.
struct Held {
    client: RpcClient,
    idle: String,
    busy: String,
    /// Has never had a turn.
    new: String,
}

async fn hold(rig: &Rig, number: usize) -> Held {
    let id = |kind: &str| id_at(&format!("{kind}{number}"), 3, 0);
    let held = Held { client: rig.client().await, idle: id("idle"), busy: id("busy"), new: id("new") };
    settled(&held.client, &held.idle).await;
    settled(&held.client, &held.busy).await;
    create(&held.client, &held.new).await;
    held
}

fn gated(gate: &Gate) -> Vec<Step> {
    vec![Step::Delta("one".into()), Step::Wait(gate.clone()), Step::Delta("two".into())]
}

#[tokio::test]
async fn idle_busy_and_new_sessions_of_several_clients_live_on() {
    for how in [Close::Fin, Close::Rst] {
        let rig = Rig::with(THREE).await;
        let mut all = Vec::new();
        for number in 0..4 {
            all.push(hold(&rig, number).await);
        }
        let gate = Gate::new();
        rig.cli[0].turns(gated(&gate));
        rig.cli[0].on("session.foo", Act::Ignore);
        let mut open: Vec<Pending> = Vec::new();
        let mut before = Vec::new();
        for held in &all {
            say(&held.client, &held.busy, &format!("cut of {}", held.busy)).await;
            for _ in 0..3 {
                open.push(held.client.start("session.foo", json!({"sessionId": held.idle})).await);
            }
        }
        gate.reached(4).await;
        rig.cli[0].wait_for_count("session.foo", 12).await;
        for held in &all {
            before.push((held.client.heard(&held.busy).len(), held.client.heard(&held.idle).len()));
        }
        let died = Instant::now();
        rig.cli[0].die(how);
        for call in open {
            assert_ours(&call.answer().await.expect_err("lost with its backend"), -32011, "backend_lost");
        }
        assert_within("answering open calls", died, ANSWERED);
        for (held, (busy, _)) in all.iter().zip(&before) {
            let error = kind_behind(&held.client, &held.busy, *busy, "session.error").await;
            let idle = idle_behind(&held.client, &held.busy, *busy).await;
            assert!(error.at <= idle.at && idle.at - died <= Duration::from_secs(1), "{:?}", idle.at - died);
            let error = held.client.next_event(&held.busy, "session.error").await;
            assert_eq!(error["data"]["errorType"], "backend_lost");
        }
        for held in &all {
            assert_eq!(prompts(&held.client, &held.idle).await, [first(&held.idle)]);
        }
        assert_within("the next calls of idle sessions", died, Duration::from_secs(3));
        for (held, (_, idle)) in all.iter().zip(&before) {
            let next = format!("next of {}", held.busy);
            converse(&held.client, &held.busy, &next).await;
            assert_eq!(prompts(&held.client, &held.busy).await, [first(&held.busy), next]);
            converse(&held.client, &held.new, &first(&held.new)).await;
            converse(&held.client, &held.idle, &format!("next of {}", held.idle)).await;
            let after = kinds(&held.client, &held.idle)[*idle..].to_vec();
            assert!(!after.contains(&"session.error".into()), "an idle session hears of no error: {after:?}");
            for session in [&held.idle, &held.busy, &held.new] {
                assert_once(&held.client, session);
                assert_ne!(rig.home(session), 0);
            }
            assert!(!held.client.is_closed());
        }
        assert_rig_sound(&rig);
    }
}

#[tokio::test]
async fn two_clients_of_one_session_go_together() {
    let rig = Rig::with(THREE).await;
    let (a, b) = (rig.client().await, rig.client().await);
    let sessions = [id_at("both-idle", 3, 0), id_at("both-busy", 3, 0)];
    for session in &sessions {
        settled(&a, session).await;
        b.call("session.resume", json!({"sessionId": session})).await.expect("live");
    }
    let gate = Gate::new();
    rig.cli[0].turns(gated(&gate));
    say(&a, &sessions[1], "cut").await;
    gate.reached(1).await;
    let before = [a.heard(&sessions[1]).len(), b.heard(&sessions[1]).len()];
    let died = Instant::now();
    rig.cli[0].die(Close::Fin);
    for (client, before) in [&a, &b].into_iter().zip(before) {
        kind_behind(client, &sessions[1], before, "session.error").await;
        idle_behind(client, &sessions[1], before).await;
    }
    assert_within("the end of the turn", died, Duration::from_secs(1) + ANSWERED);
    for (number, session) in sessions.iter().enumerate() {
        for (client, other) in [(&a, &b), (&b, &a)] {
            assert_eq!(prompts(client, session).await[0], first(session));
            let before = other.heard(session).len();
            converse(client, session, &format!("{number} next {}", std::ptr::eq(client, &a))).await;
            idle_behind(other, session, before).await;
        }
        for client in [&a, &b] {
            assert_once(client, session);
        }
        assert_ne!(rig.home(session), 0);
    }
    assert_rig_sound(&rig);
}

#[tokio::test]
async fn a_prompt_that_was_on_its_way_is_not_sent_again() {
    let rig = Rig::with(THREE).await;
    let client = rig.client().await;
    let session = id_at("way", 3, 0);
    settled(&client, &session).await;
    // It begins, and the process ends before the client hears of it.
    rig.cli[0].turns(vec![Step::Die(Close::Fin)]);
    let before = client.heard(&session).len();
    let sent = super::checks::say_later(&client, &session, "perhaps").await.answer().await;
    if let Err(error) = sent {
        assert_ours(&error, -32011, "backend_lost");
    }
    idle_behind(&client, &session, before).await;
    converse(&client, &session, "after").await;
    assert!(rig.cli[0].storage().executed("perhaps") <= 1);
    assert_eq!(prompts(&client, &session).await, [first(&session), "after".into()]);
    assert_once(&client, &session);
    assert_rig_sound(&rig);
}

/// All that is left dies, too: calls wait for `rehome_wait`, then they are answered, and when one is back all is as it was.
#[tokio::test]
async fn without_any_backend_calls_wait_and_are_answered() {
    let pool = "rehome_wait = \"1s\"\nmove_timeout = \"3s\"";
    let rig = Rig::with(Plan { backends: 2, pool, ..THREE }).await;
    let client = rig.client().await;
    let session = id_at("none", 2, 0);
    settled(&client, &session).await;
    rig.cli.iter().for_each(|cli| cli.die(Close::Fin));
    let started = Instant::now();
    let error = read(&client, &session).await.expect_err("nobody is there");
    assert!(error.code == -32012 || error.code == -32010, "{error:?}");
    assert_within("the answer", started, Duration::from_secs(4));
    rig.cli[1].restart().await;
    super::checks::until_state(&rig.proxy, 1, "up").await;
    client.call("session.resume", json!({"sessionId": session})).await.expect("on the disk");
    assert_eq!(prompts(&client, &session).await, [first(&session)]);
    assert_once(&client, &session);
    assert_rig_sound(&rig);
}

/// The last of them has its turn long after the first one would have been given up.
#[tokio::test]
async fn more_sessions_than_the_rate_opens_within_the_wait_all_live_on() {
    let pool = "move_rate = 4.0\nrehome_wait = \"400ms\"";
    let rig = Rig::with(Plan { backends: 2, pool, ..THREE }).await;
    let client = rig.client().await;
    let ids: Vec<String> = (0..6).map(|number| id_at(&format!("many{number}"), 2, 0)).collect();
    for session in &ids {
        settled(&client, session).await;
    }
    rig.cli[0].die(Close::Fin);
    for session in &ids {
        rig.cli[1].wait_for_live(session, true).await;
    }
    for session in &ids {
        converse(&client, session, &format!("after {session}")).await;
    }
    assert_rig_sound(&rig);
}
