//! Turns of which nothing is heard.

use std::time::{Duration, Instant};

use super::checks::{
    THREE, assert_once, assert_rig_sound, converse, first, idle_behind, kind_behind, kinds, prompts, say, settled,
};
use crate::{
    fake_cli::{Gate, Step},
    session::{
        admin,
        rig::{Plan, Rig, id_at},
    },
};

const WATCHED: Plan<'static> =
    Plan { pool: "rehome_wait = \"8s\"\nmove_timeout = \"3s\"\nstall_after = \"1s\"", ..THREE };

#[tokio::test]
async fn a_turn_that_had_ended_unheard_is_told_to_its_end() {
    let rig = Rig::with(WATCHED).await;
    let client = rig.client().await;
    let session = id_at("unheard", 3, 0);
    settled(&client, &session).await;
    let gate = Gate::new();
    rig.cli[0].turns(vec![
        Step::Delta("heard".into()),
        Step::Mute(true),
        Step::Event { kind: "tool.execution_start".into(), data: "{}".into(), ephemeral: false },
        Step::Wait(gate.clone()),
    ]);
    let before = client.heard(&session).len();
    say(&client, &session, "muted").await;
    gate.open();
    rig.cli[0].wait_for_rest(&session).await;
    rig.cli[0].mute(false);
    idle_behind(&client, &session, before).await;
    let heard = kinds(&client, &session).split_off(before);
    assert!(!heard.contains(&"session.error".into()), "{heard:?}");
    for kind in ["tool.execution_start", "assistant.message", "assistant.turn_end", "session.idle"] {
        assert_eq!(heard.iter().filter(|heard| *heard == kind).count(), 1, "{kind}: {heard:?}");
    }
    admin::until(&rig.proxy, "stalled_turns_total", &["outcome=\"finished\""], |count| count == 1.0).await;
    rig.cli[0].turns(vec![Step::Delta("again".into())]);
    converse(&client, &session, "after").await;
    assert_eq!(prompts(&client, &session).await, [first(&session), "muted".into(), "after".into()]);
    assert_once(&client, &session);
    assert_rig_sound(&rig);
}

#[tokio::test]
async fn a_turn_that_stands_still_is_ended_with_an_error() {
    let rig = Rig::with(WATCHED).await;
    let client = rig.client().await;
    let session = id_at("still", 3, 0);
    settled(&client, &session).await;
    let gate = Gate::new();
    rig.cli[0].turns(vec![Step::Delta("one".into()), Step::Wait(gate.clone()), Step::Delta("two".into())]);
    let before = client.heard(&session).len();
    say(&client, &session, "stuck").await;
    gate.reached(1).await;
    let since = Instant::now();
    let error = kind_behind(&client, &session, before, "session.error").await;
    let idle = idle_behind(&client, &session, before).await;
    assert!(error.at - since >= Duration::from_millis(900), "{:?}", error.at - since);
    assert!(idle.at - since <= Duration::from_secs(6), "{:?}", idle.at - since);
    assert_eq!(client.next_event(&session, "session.error").await["data"]["errorType"], "stalled");
    admin::until(&rig.proxy, "stalled_turns_total", &["outcome=\"ended\""], |count| count == 1.0).await;
    admin::until(&rig.proxy, "turns_running", &[], |count| count == 0.0).await;
    rig.cli[0].turns(vec![Step::Delta("again".into())]);
    gate.open();
    rig.cli[0].wait_for_rest(&session).await;
    converse(&client, &session, "after").await;
    assert_once(&client, &session);
    assert_rig_sound(&rig);
}

/// A turn that talks, and one that waits for its client, are not stalled however long they take.
#[tokio::test]
async fn a_turn_that_talks_or_waits_for_its_client_is_left_alone() {
    let rig = Rig::with(WATCHED).await;
    let client = rig.client().await;
    let (talks, waits) = (id_at("talks", 3, 0), id_at("waits", 3, 1));
    settled(&client, &talks).await;
    settled(&client, &waits).await;
    let pieces = (0..10).flat_map(|_| [Step::Delta("piece".into()), Step::Pause(Duration::from_millis(400))]);
    rig.cli[0].turns(pieces.collect());
    rig.cli[1].turns(vec![Step::Permission("ls".into())]);
    let before = [client.heard(&talks).len(), client.heard(&waits).len()];
    say(&client, &talks, "long").await;
    say(&client, &waits, "asks").await;
    let asked = client.next_event(&waits, "permission.requested").await;
    idle_behind(&client, &talks, before[0]).await;
    let answer = serde_json::json!({"sessionId": waits, "requestId": asked["data"]["requestId"],
        "result": {"kind": "approve-once"}});
    client.call("session.permissions.handlePendingPermissionRequest", answer).await.expect("waited for");
    idle_behind(&client, &waits, before[1]).await;
    for (session, before) in [(&talks, before[0]), (&waits, before[1])] {
        let heard = kinds(&client, session).split_off(before);
        assert!(!heard.contains(&"session.error".into()), "{heard:?}");
    }
    let metrics = admin::Metrics::of(&rig.proxy).await;
    assert_eq!(metrics.sum("stalled_turns_total", &[]), 0.0);
}
