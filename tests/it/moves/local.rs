//! `storage = "local"`: nobody else has the session's disk, so its own backend is waited for.

use std::time::{Duration, Instant};

use serde_json::json;

use super::checks::{
    THREE, assert_once, assert_sound, assert_within, converse, first, idle_behind, kind_behind, prompts, read, say,
    settled, until_state,
};
use crate::{
    fake_cli::{Close, Gate, Step},
    session::rig::{Plan, Rig, assert_ours, create, id_at},
};

const LOCAL: Plan<'static> = Plan { storage: "local", ..THREE };

#[tokio::test]
async fn a_backend_that_returns_has_its_sessions_again() {
    let rig = Rig::with(LOCAL).await;
    let client = rig.client().await;
    let [idle, busy, new] = ["idle", "busy", "new"].map(|prefix| id_at(prefix, 3, 0));
    settled(&client, &idle).await;
    settled(&client, &busy).await;
    create(&client, &new).await;
    let gate = Gate::new();
    rig.cli[0].turns(vec![Step::Delta("one".into()), Step::Wait(gate.clone())]);
    let before = client.heard(&busy).len();
    say(&client, &busy, "cut").await;
    gate.reached(1).await;
    rig.cli[0].die(Close::Fin);
    until_state(&rig.proxy, 0, "down").await;
    // It waits for the return, so it is answered behind it.
    let waiting = client.start("session.getMessages", json!({"sessionId": idle})).await;
    gate.open();
    rig.cli[0].restart().await;
    let told = waiting.answer().await.expect("at home again");
    assert!(told["events"].as_array().is_some_and(|events| events.len() > 3), "{told}");
    kind_behind(&client, &busy, before, "session.error").await;
    idle_behind(&client, &busy, before).await;
    converse(&client, &busy, "after").await;
    assert_eq!(prompts(&client, &busy).await, [first(&busy), "after".into()]);
    converse(&client, &new, "begin").await;
    for session in [&idle, &busy, &new] {
        assert_eq!(rig.home(session), 0);
        assert_once(&client, session);
    }
    rig.cli.iter().for_each(|cli| assert_sound(&cli.storage()));
}

#[tokio::test]
async fn a_backend_that_does_not_return_has_lost_them() {
    let pool = "rehome_wait = \"1500ms\"";
    let rig = Rig::with(Plan { pool, ..LOCAL }).await;
    let client = rig.client().await;
    let [idle, busy, elsewhere] = [id_at("idle", 3, 0), id_at("busy", 3, 0), id_at("elsewhere", 3, 1)];
    for session in [&idle, &busy, &elsewhere] {
        settled(&client, session).await;
    }
    let gate = Gate::new();
    rig.cli[0].turns(vec![Step::Wait(gate.clone())]);
    let before = client.heard(&busy).len();
    say(&client, &busy, "cut").await;
    gate.reached(1).await;
    let died = Instant::now();
    rig.cli[0].die(Close::Fin);
    kind_behind(&client, &busy, before, "session.error").await;
    let ended = idle_behind(&client, &busy, before).await;
    assert!(ended.at - died <= Duration::from_secs(3), "{:?}", ended.at - died);
    let error = read(&client, &idle).await.expect_err("its disk is gone");
    assert_ours(&error, -32012, "session_lost");
    assert_within("the answer", died, Duration::from_secs(5));
    converse(&client, &elsewhere, "goes on").await;
    assert!(!client.is_closed());
}
