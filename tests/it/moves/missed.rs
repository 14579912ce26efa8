//! What a dead backend had on its disk but not told: it is fetched at the new home and told once, in order.

use super::checks::{
    THREE, assert_once, assert_rig_sound, converse, first, idle_behind, kind_behind, kinds, prompts, say, settled,
};
use crate::{
    fake_cli::{Close, Gate, Step},
    session::rig::{Rig, id_at},
};

/// Lasting events that a client can tell apart.
fn noted(number: usize) -> Step {
    Step::Event { kind: "tool.execution_start".into(), data: format!(r#"{{"note":{number}}}"#), ephemeral: false }
}

#[tokio::test]
async fn what_was_kept_but_not_told_comes_once_and_in_order() {
    let rig = Rig::with(THREE).await;
    let (client, other) = (rig.client().await, rig.client().await);
    let session = id_at("missed", 3, 0);
    settled(&client, &session).await;
    other.call("session.resume", serde_json::json!({"sessionId": session})).await.expect("live");
    let gate = Gate::new();
    rig.cli[0].write_through();
    rig.cli[0].turns(vec![noted(0), Step::Mute(true), noted(1), noted(2), noted(3), Step::Wait(gate.clone())]);
    let before = [client.heard(&session).len(), other.heard(&session).len()];
    say(&client, &session, "cut").await;
    gate.reached(1).await;
    rig.cli[0].die(Close::Fin);
    for (client, before) in [&client, &other].into_iter().zip(before) {
        kind_behind(client, &session, before, "session.error").await;
        idle_behind(client, &session, before).await;
        let heard = kinds(client, &session).split_off(before);
        let at = |kind: &str| heard.iter().position(|heard| heard == kind).expect("heard");
        let last = heard.iter().rposition(|heard| heard == "tool.execution_start").expect("heard");
        assert!(last < at("session.error") && at("session.error") < at("session.idle"), "{heard:?}");
        for number in 0..4 {
            let event = client.next_event(&session, "tool.execution_start").await;
            assert_eq!(event["data"]["note"], number, "{heard:?}");
        }
        assert_once(client, &session);
        assert!(!client.events(&session).iter().any(|kind| kind == "tool.execution_start"));
    }
    converse(&client, &session, "after").await;
    assert_eq!(prompts(&client, &session).await, [first(&session), "cut".into(), "after".into()]);
    assert_once(&client, &session);
    assert_rig_sound(&rig);
}

#[tokio::test]
async fn a_turn_that_had_ended_in_truth_ends_without_an_error() {
    let rig = Rig::with(THREE).await;
    let client = rig.client().await;
    let session = id_at("ended", 3, 0);
    settled(&client, &session).await;
    rig.cli[0].turns(vec![Step::Delta("heard".into()), Step::Mute(true), Step::Delta("not heard".into())]);
    let before = client.heard(&session).len();
    say(&client, &session, "finished").await;
    rig.cli[0].wait_for_rest(&session).await;
    rig.cli[0].die(Close::Fin);
    idle_behind(&client, &session, before).await;
    let heard = kinds(&client, &session).split_off(before);
    assert!(!heard.contains(&"session.error".into()), "{heard:?}");
    let at = |kind: &str| heard.iter().position(|heard| heard == kind).unwrap_or_else(|| panic!("{kind}: {heard:?}"));
    assert!(at("assistant.message") < at("assistant.turn_end") && at("assistant.turn_end") < at("session.idle"));
    converse(&client, &session, "after").await;
    assert_eq!(prompts(&client, &session).await, [first(&session), "finished".into(), "after".into()]);
    assert_once(&client, &session);
    assert_rig_sound(&rig);
}

/// The end of the turn before, which was told last, is not taken for its end.
#[tokio::test]
async fn a_prompt_of_which_nothing_was_told_ends_with_an_error() {
    let rig = Rig::with(THREE).await;
    let client = rig.client().await;
    let session = id_at("unheard", 3, 0);
    settled(&client, &session).await;
    let gate = Gate::new();
    rig.cli[0].turns(vec![Step::Wait(gate.clone())]);
    rig.cli[0].mute(true);
    let before = client.heard(&session).len();
    say(&client, &session, "unheard").await;
    gate.reached(1).await;
    rig.cli[0].die(Close::Fin);
    idle_behind(&client, &session, before).await;
    let heard = kinds(&client, &session).split_off(before);
    assert!(heard.contains(&"session.error".into()), "{heard:?}");
    converse(&client, &session, "after").await;
    assert_eq!(prompts(&client, &session).await, [first(&session), "after".into()]);
    assert_once(&client, &session);
    assert_rig_sound(&rig);
}

/// Nothing was missed: nothing is told again.
#[tokio::test]
async fn what_was_told_is_not_told_again() {
    let rig = Rig::with(THREE).await;
    let client = rig.client().await;
    let session = id_at("told", 3, 0);
    settled(&client, &session).await;
    let gate = Gate::new();
    rig.cli[0].write_through();
    rig.cli[0].turns(vec![noted(0), noted(1), Step::Wait(gate.clone())]);
    let before = client.heard(&session).len();
    say(&client, &session, "cut").await;
    gate.reached(1).await;
    kind_behind(&client, &session, before, "tool.execution_start").await;
    rig.cli[0].die(Close::Rst);
    idle_behind(&client, &session, before).await;
    converse(&client, &session, "after").await;
    let count = kinds(&client, &session).iter().filter(|kind| *kind == "tool.execution_start").count();
    assert_eq!(count, 2);
    assert_once(&client, &session);
    assert_rig_sound(&rig);
}
