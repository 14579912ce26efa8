//! A client is lost in the middle of a turn, and comes back or does not.

use serde_json::{Value, json};

use super::checks::{THREE, assert_once, assert_rig_sound, converse, first, idle_behind, kinds, prompts, say, settled};
use crate::{
    fake_cli::{Close, Gate, Step},
    rpc_client::{Heard, RpcClient},
    session::{
        admin,
        rig::{Plan, Rig, create, id_at},
    },
};

const LINGER: Plan<'static> =
    Plan { pool: "rehome_wait = \"8s\"\nmove_timeout = \"3s\"\nlinger = \"6s\"\norphan_wait = \"1s\"", ..THREE };

fn noted(number: usize) -> Step {
    Step::Event { kind: "tool.execution_start".into(), data: format!(r#"{{"note":{number}}}"#), ephemeral: false }
}

/// A turn of four notes and as many pieces that waits after each.
fn steps(gate: &Gate) -> Vec<Step> {
    (0..4)
        .flat_map(|number| [noted(number), Step::Delta(format!("piece {number}")), Step::Wait(gate.clone())])
        .collect()
}

fn opened(session: &str) -> Value {
    json!({"sessionId": session, "tools": [{"name": "lookup"}], "requestPermission": true})
}

/// A client whose session has a tool of its own and one finished turn, and which is in the middle of another turn.
async fn in_a_turn(rig: &Rig, session: &str, gate: &Gate) -> RpcClient {
    let client = rig.client().await;
    client.call("session.create", opened(session)).await.expect("created");
    converse(&client, session, &first(session)).await;
    rig.cli[0].turns(steps(gate));
    say(&client, session, "cut").await;
    gate.reached(1).await;
    client.call("session.getMessages", json!({"sessionId": session})).await.expect("all before it was heard");
    client
}

/// What the two connections heard of the turn together: every note and its end, once.
fn assert_whole(before: &[Heard], after: &RpcClient, session: &str) {
    let mut all: Vec<Heard> = before.to_vec();
    all.extend(after.heard(session));
    let mut ids: Vec<&str> = all.iter().map(|heard| heard.id.as_str()).collect();
    ids.sort_unstable();
    let twice: Vec<_> = ids.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?} of {all:?}");
    let count = |kind: &str| all.iter().filter(|heard| heard.kind == kind).count();
    // One turn before the cut one, with three pieces.
    let counts =
        ["user.message", "tool.execution_start", "assistant.message_delta", "assistant.message", "session.idle"]
            .map(count);
    assert_eq!(counts, [2, 4, 7, 2, 2], "{:?}", all.iter().map(|heard| &heard.kind).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_that_comes_back_gets_the_rest_once() {
    for how in [Close::Fin, Close::Rst] {
        for (while_away, late) in [(0, false), (1, false), (3, false), (3, true)] {
            let rig = Rig::with(LINGER).await;
            let (session, gate) = (id_at("back", 3, 0), Gate::new());
            let client = in_a_turn(&rig, &session, &gate).await;
            let before = client.heard(&session);
            client.cut(how).await;
            admin::until(&rig.proxy, "orphans", &[], |count| count == 1.0).await;
            gate.let_through(while_away);
            gate.reached(1 + while_away).await;
            if late {
                gate.open();
                rig.cli[0].wait_for_rest(&session).await;
            }
            let again = rig.client().await;
            let resumed = again.call("session.resume", opened(&session)).await.expect("it lives");
            assert_eq!(resumed["sessionId"], session.as_str());
            gate.open();
            idle_behind(&again, &session, 0).await;
            assert_whole(&before, &again, &session);
            assert_eq!(rig.home(&session), 0);
            rig.cli[0].turns(vec![Step::Tool("lookup".into())]);
            let heard = again.heard(&session).len();
            say(&again, &session, "with the tool").await;
            let asked = again.next_event(&session, "external_tool.requested").await;
            let answer = json!({"sessionId": session, "requestId": asked["data"]["requestId"], "result": "found"});
            again.call("session.tools.handlePendingToolCall", answer).await.expect("its own tool again");
            idle_behind(&again, &session, heard).await;
            assert_once(&again, &session);
            admin::until(&rig.proxy, "orphans", &[], |count| count == 0.0).await;
            assert_rig_sound(&rig);
        }
    }
}

/// The SDK's `stop()` closes only its writing side; that is a lost client, too, if a turn runs.
#[tokio::test]
async fn one_that_says_goodbye_in_a_turn_may_come_back() {
    let rig = Rig::with(LINGER).await;
    let (session, gate) = (id_at("stop", 3, 0), Gate::new());
    let client = in_a_turn(&rig, &session, &gate).await;
    client.finish().await;
    admin::until(&rig.proxy, "orphans", &[], |count| count == 1.0).await;
    let again = rig.client().await;
    again.call("session.resume", opened(&session)).await.expect("it lives");
    gate.open();
    idle_behind(&again, &session, 0).await;
    client.expect_closed().await;
    assert_once(&again, &session);
    converse(&again, &session, "next").await;
    assert_eq!(prompts(&again, &session).await, [first(&session), "cut".into(), "next".into()]);
    assert_rig_sound(&rig);
}

#[tokio::test]
async fn without_a_return_the_turn_ends_in_the_history_and_the_session_is_let_go() {
    let pool = "linger = \"1500ms\"\norphan_wait = \"1s\"\nmove_timeout = \"3s\"";
    for how in [Close::Fin, Close::Rst] {
        let rig = Rig::with(Plan { pool, ..LINGER }).await;
        let (session, gate) = (id_at("gone", 3, 0), Gate::new());
        let client = in_a_turn(&rig, &session, &gate).await;
        client.cut(how).await;
        admin::until(&rig.proxy, "orphans", &[], |count| count == 1.0).await;
        gate.open();
        rig.cli[0].wait_for_rest(&session).await;
        rig.cli[0].wait_for_live(&session, false).await;
        let history = rig.cli[0].storage().history(&session);
        assert_eq!(history.iter().filter(|kind| *kind == "assistant.message").count(), 2, "{history:?}");
        admin::until(&rig.proxy, "orphans", &[], |count| count == 0.0).await;
        admin::until(&rig.proxy, "links", &[], |count| count == 0.0).await;
        let late = rig.client().await;
        late.call("session.resume", opened(&session)).await.expect("on the disk");
        assert_eq!(prompts(&late, &session).await, [first(&session), "cut".into()]);
        assert_rig_sound(&rig);
    }
}

/// A turn that does not end is cut when the linger is over.
#[tokio::test]
async fn the_linger_is_the_end_of_it() {
    let pool = "linger = \"1s\"\norphan_wait = \"1s\"\nmove_timeout = \"3s\"";
    let rig = Rig::with(Plan { pool, ..LINGER }).await;
    let (session, gate) = (id_at("long", 3, 0), Gate::new());
    in_a_turn(&rig, &session, &gate).await.cut(Close::Rst).await;
    rig.cli[0].wait_for_live(&session, false).await;
    admin::until(&rig.proxy, "orphan_sessions_total", &["outcome=\"expired\""], |count| count == 1.0).await;
    admin::until(&rig.proxy, "turns_running", &[], |count| count == 0.0).await;
}

#[tokio::test]
async fn with_abort_the_turn_ends_at_once() {
    let pool = "on_client_loss = \"abort\"\nmove_timeout = \"3s\"";
    let rig = Rig::with(Plan { pool, ..LINGER }).await;
    let (session, gate) = (id_at("abort", 3, 0), Gate::new());
    in_a_turn(&rig, &session, &gate).await.cut(Close::Rst).await;
    rig.cli[0].wait_for_live(&session, false).await;
    assert_eq!(admin::Metrics::of(&rig.proxy).await.sum("orphans", &[]), 0.0);
    let again = rig.client().await;
    again.call("session.resume", opened(&session)).await.expect("on the disk");
    rig.cli[0].turns(vec![Step::Delta("one".into())]);
    converse(&again, &session, "next").await;
    assert_once(&again, &session);
    assert_rig_sound(&rig);
}

/// Where somebody else is attached the turn is theirs, too: it goes on, and nobody is kept.
#[tokio::test]
async fn one_of_two_is_lost_and_the_other_hears_on() {
    let rig = Rig::with(LINGER).await;
    let (session, gate) = (id_at("other", 3, 0), Gate::new());
    let client = in_a_turn(&rig, &session, &gate).await;
    let other = rig.client().await;
    other.call("session.resume", json!({"sessionId": session})).await.expect("live");
    client.cut(Close::Rst).await;
    gate.open();
    idle_behind(&other, &session, 0).await;
    assert!(!kinds(&other, &session).contains(&"session.error".into()));
    rig.cli[0].turns(vec![Step::Delta("one".into())]);
    converse(&other, &session, "next").await;
    assert_once(&other, &session);
    assert_rig_sound(&rig);
}

/// The backend dies while the client is away.
#[tokio::test]
async fn a_death_while_the_client_is_away_is_told_to_the_one_that_returns() {
    let rig = Rig::with(LINGER).await;
    let (session, gate) = (id_at("both", 3, 0), Gate::new());
    let client = in_a_turn(&rig, &session, &gate).await;
    client.cut(Close::Fin).await;
    admin::until(&rig.proxy, "orphans", &[], |count| count == 1.0).await;
    rig.cli[0].die(Close::Fin);
    super::checks::until_state(&rig.proxy, 0, "down").await;
    let again = rig.client().await;
    again.call("session.resume", opened(&session)).await.expect("on the disk");
    converse(&again, &session, "next").await;
    assert_eq!(prompts(&again, &session).await, [first(&session), "next".into()]);
    assert_once(&again, &session);
    assert_rig_sound(&rig);
}

/// Without a turn a lost client's sessions end as ever.
#[tokio::test]
async fn an_idle_client_is_not_kept() {
    let rig = Rig::with(LINGER).await;
    let client = rig.client().await;
    let (idle, new) = (id_at("idle", 3, 0), id_at("new", 3, 1));
    settled(&client, &idle).await;
    create(&client, &new).await;
    client.cut(Close::Rst).await;
    rig.cli[0].wait_for_live(&idle, false).await;
    rig.cli[1].wait_for_live(&new, false).await;
    assert_eq!(admin::Metrics::of(&rig.proxy).await.sum("orphans", &[]), 0.0);
}
