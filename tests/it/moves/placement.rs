//! Who lives where after backends have gone and come back.

use std::time::{Duration, Instant};

use super::checks::{
    THREE, assert_once, assert_rig_sound, converse, drain, idle_behind, say, settled, undrain, until_home, until_state,
};
use crate::{
    fake_cli::{Close, Gate, Step},
    session::rig::{Plan, Rig, create, id_at},
};

#[tokio::test]
async fn a_backend_that_returns_gets_only_new_sessions() {
    let rig = Rig::with(THREE).await;
    let client = rig.client().await;
    let sessions: Vec<String> = (0..9).map(|number| id_at(&format!("ret{number}"), 3, number % 3)).collect();
    for session in &sessions {
        settled(&client, session).await;
    }
    rig.cli[0].die(Close::Fin);
    until_state(&rig.proxy, 0, "down").await;
    for session in &sessions {
        converse(&client, session, &format!("without {session}")).await;
        assert_ne!(rig.home(session), 0);
    }
    let homes: Vec<usize> = sessions.iter().map(|session| rig.home(session)).collect();
    rig.cli[0].restart().await;
    until_state(&rig.proxy, 0, "up").await;
    let fresh = id_at("fresh", 3, 0);
    create(&client, &fresh).await;
    assert_eq!(rig.home(&fresh), 0);
    for (session, home) in sessions.iter().zip(homes) {
        converse(&client, session, &format!("back {session}")).await;
        assert_eq!(rig.home(session), home, "nobody asked it to go");
        assert_once(&client, session);
    }
    assert_rig_sound(&rig);
}

/// Those that were placed elsewhere while their home was down go there, one after the other, and only when they are idle.
#[tokio::test]
async fn with_rebalance_idle_sessions_go_home_slowly() {
    let pool = "rebalance = true\nrebalance_rate = 2.0\nrehome_wait = \"8s\"\nmove_timeout = \"3s\"";
    let rig = Rig::with(Plan { pool, ..THREE }).await;
    let client = rig.client().await;
    let sessions: Vec<String> = (0..4).map(|number| id_at(&format!("reb{number}"), 3, 0)).collect();
    rig.cli[0].die(Close::Fin);
    until_state(&rig.proxy, 0, "down").await;
    for session in &sessions {
        settled(&client, session).await;
        assert_ne!(rig.home(session), 0);
    }
    let gate = Gate::new();
    rig.cli.iter().for_each(|cli| cli.turns(vec![Step::Wait(gate.clone())]));
    let before = client.heard(&sessions[0]).len();
    say(&client, &sessions[0], "busy").await;
    gate.reached(1).await;
    rig.cli[0].restart().await;
    until_state(&rig.proxy, 0, "up").await;
    let started = Instant::now();
    for session in &sessions[1..] {
        until_home(&rig, session, 0).await;
    }
    assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());
    assert_ne!(rig.home(&sessions[0]), 0, "its turn runs");
    gate.open();
    idle_behind(&client, &sessions[0], before).await;
    until_home(&rig, &sessions[0], 0).await;
    for session in &sessions {
        converse(&client, session, &format!("home {session}")).await;
        assert_once(&client, session);
    }
    assert_rig_sound(&rig);
}

#[tokio::test]
async fn after_a_drain_nobody_comes_back_unasked() {
    let rig = Rig::with(THREE).await;
    let client = rig.client().await;
    let (gone, other) = (id_at("gone", 3, 0), id_at("other", 3, 1));
    settled(&client, &gone).await;
    settled(&client, &other).await;
    drain(&rig.proxy, 0, "").await;
    rig.cli[0].wait_for_live(&gone, false).await;
    until_state(&rig.proxy, 0, "drained").await;
    let home = rig.home(&gone);
    undrain(&rig.proxy, 0).await;
    until_state(&rig.proxy, 0, "up").await;
    converse(&client, &gone, "stays").await;
    assert_eq!((rig.home(&gone), rig.home(&other)), (home, 1));
    assert_rig_sound(&rig);
}
