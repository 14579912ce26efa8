//! Moves in which one side does not do its part.

use std::time::{Duration, Instant};

use super::checks::{
    THREE, assert_once, assert_rig_sound, assert_within, converse, drain, first, kinds, live_anywhere, prompts,
    settled, until_state,
};
use crate::{
    fake_cli::{Act, Close, Gate},
    rpc_client::RpcClient,
    session::rig::{Plan, Rig, id_at, order},
};

const QUICK: Plan<'static> = Plan { pool: "rehome_wait = \"8s\"\nmove_timeout = \"700ms\"", ..THREE };

/// The session answers with its history, at one home.
async fn assert_lives(rig: &Rig, client: &RpcClient, session: &str) {
    converse(client, session, &format!("alive {session}")).await;
    assert_eq!(prompts(client, session).await, [first(session), format!("alive {session}")]);
    assert!(live_anywhere(rig, session).is_some());
    assert_once(client, session);
    assert!(!client.is_closed());
}

/// The old home is asked to close and says nothing. It may have closed or not: nobody may open the session elsewhere while it lives
/// there, and the session may not be lost.
#[tokio::test]
async fn an_old_home_that_does_not_answer_the_close() {
    let rig = Rig::with(QUICK).await;
    let client = rig.client().await;
    let session = id_at("mute", 3, 0);
    settled(&client, &session).await;
    for method in ["sessions.close", "session.detach"] {
        rig.cli[0].on(method, Act::Ignore);
    }
    let started = Instant::now();
    drain(&rig.proxy, 0, "").await;
    rig.cli[0]
        .wait_for(|frame| frame.session() == session && ["sessions.close", "session.detach"].contains(&frame.method()))
        .await;
    converse(&client, &session, "alive").await;
    assert_within("the next answer", started, Duration::from_secs(6));
    rig.cli[0].as_usual();
    until_state(&rig.proxy, 0, "drained").await;
    converse(&client, &session, "gone").await;
    assert_eq!(prompts(&client, &session).await, [first(&session), "alive".into(), "gone".into()]);
    assert_once(&client, &session);
    assert_rig_sound(&rig);
}

/// The target says nothing to the resume: the session goes elsewhere, and the target does not have it in the end.
#[tokio::test]
async fn a_target_that_does_not_answer_the_resume() {
    let rig = Rig::with(QUICK).await;
    let client = rig.client().await;
    let session = id_at("hang", 3, 0);
    settled(&client, &session).await;
    let target = order(&session, 3)[1];
    rig.cli[target].on("session.resume", Act::Ignore);
    let started = Instant::now();
    drain(&rig.proxy, 0, "").await;
    rig.cli[target].wait_for_method(&session, "session.resume").await;
    assert_lives(&rig, &client, &session).await;
    assert_within("the next answer", started, Duration::from_secs(6));
    assert!(!rig.cli[target].saw(&session, "session.send"));
    assert_rig_sound(&rig);
}

/// The target answers after it was given up.
#[tokio::test]
async fn a_target_that_opens_the_session_too_late() {
    let rig = Rig::with(QUICK).await;
    let client = rig.client().await;
    let session = id_at("late", 3, 0);
    settled(&client, &session).await;
    let (target, gate) = (order(&session, 3)[1], Gate::new());
    rig.cli[target].next(1, "session.resume", Act::Hold(gate.clone()));
    drain(&rig.proxy, 0, "").await;
    gate.reached(1).await;
    assert_lives(&rig, &client, &session).await;
    let homes = rig.cli[0].storage().homes(&session);
    assert_eq!(homes.len(), 1);
    gate.open();
    converse(&client, &session, "behind").await;
    assert_rig_sound(&rig);
    assert_once(&client, &session);
}

#[tokio::test]
async fn a_target_that_refuses_or_dies_during_the_move() {
    for act in [
        Act::Fail { code: -32603, message: "Request session.resume failed with message: disk".into() },
        Act::Die(Close::Fin),
        Act::Die(Close::Rst),
        Act::End(Close::Fin),
    ] {
        let rig = Rig::with(QUICK).await;
        let client = rig.client().await;
        let session = id_at("target", 3, 0);
        settled(&client, &session).await;
        let target = order(&session, 3)[1];
        rig.cli[target].next(1, "session.resume", act);
        let before = client.heard(&session).len();
        drain(&rig.proxy, 0, "").await;
        rig.cli[target].wait_for_method(&session, "session.resume").await;
        assert_lives(&rig, &client, &session).await;
        let heard = kinds(&client, &session).split_off(before);
        assert!(!heard.contains(&"session.error".into()), "{heard:?}");
        assert_rig_sound(&rig);
    }
}

/// The old home dies in the middle of the move.
#[tokio::test]
async fn an_old_home_that_dies_during_the_move() {
    for (method, act) in [("sessions.close", Act::Die(Close::Fin)), ("sessions.close", Act::End(Close::Rst))] {
        let rig = Rig::with(QUICK).await;
        let client = rig.client().await;
        let session = id_at("old", 3, 0);
        settled(&client, &session).await;
        rig.cli[0].next(1, method, act);
        drain(&rig.proxy, 0, "").await;
        rig.cli[0].wait_for_method(&session, method).await;
        rig.cli[0].wait_for_live(&session, false).await;
        assert_lives(&rig, &client, &session).await;
        assert_ne!(rig.home(&session), 0);
        assert_rig_sound(&rig);
    }
}

/// Nobody takes it: it goes back to where it was.
#[tokio::test]
async fn a_move_that_nobody_takes_ends_at_the_old_home() {
    let rig = Rig::with(QUICK).await;
    let client = rig.client().await;
    let session = id_at("back", 3, 0);
    settled(&client, &session).await;
    for at in [1, 2] {
        let message = "Request session.resume failed with message: disk".into();
        rig.cli[at].on("session.resume", Act::Fail { code: -32603, message });
    }
    drain(&rig.proxy, 0, "").await;
    rig.cli[order(&session, 3)[1]].wait_for_method(&session, "session.resume").await;
    assert_lives(&rig, &client, &session).await;
    assert_eq!(rig.home(&session), 0);
    assert_rig_sound(&rig);
}
