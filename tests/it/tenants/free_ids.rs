//! Ids that say nothing of their owner, such as the UUIDs that the SDK makes: whoever made the session has it, as long as
//! pilotfish remembers; nobody takes one that exists, under its own name or under the beginning of it.

use serde_json::{Value, json};

use super::rig::{ALICE, BOB, ENV, Ids, Spelt, TWO, absent, params, two};
use crate::{
    fake_cli::{Act, FakeCli, Gate},
    session::rig::{Plan, Rig, create, turn},
};

/// As the SDK makes them.
const UUID: &str = "35ace27a-77e4-4a7d-8c50-78ed7ee28dc6";

/// Calls that take a session.
const TAKES: &[&str] = &["session.create", "session.resume", "session.delete", "session.destroy", "session.send"];

/// Every call that takes a session is answered as if there were none.
async fn is_absent(to: &mut Spelt, id: &str) {
    for method in TAKES {
        let answer = to.call(method, &params(method, id)).await;
        assert_eq!(answer, absent(method, id), "{method}");
    }
}

/// Frames that name `id`, but for the question whether it exists.
fn named(cli: &FakeCli, id: &str) -> Vec<Value> {
    let questions = ["sessions.getClientMetadata", "session.getMetadata"];
    let frames = cli.frames().into_iter();
    let frames = frames.filter(|frame| !questions.contains(&frame.method()));
    frames.filter(|frame| frame.value.to_string().contains(id)).map(|frame| frame.value).collect()
}

/// Alice has `id`, on the disk too.
async fn alice_has(rig: &Rig, id: &str) -> crate::rpc_client::RpcClient {
    let alice = super::rig::login(rig, ALICE).await;
    create(&alice, id).await;
    turn(&alice, id).await;
    alice
}

#[tokio::test]
async fn a_free_id_is_its_maker_s() {
    for ids in [Ids::Prefix, Ids::Registry] {
        let rig = two(ids, 1).await;
        let alice = alice_has(&rig, UUID).await;
        let mut bob = Spelt::login(&rig, BOB).await;
        let before = named(&rig.cli[0], UUID).len();
        is_absent(&mut bob, UUID).await;
        assert_eq!(named(&rig.cli[0], UUID).len(), before, "{ids:?}");
        assert!(!bob.call("session.list", "{}").await.contains(UUID));
        turn(&alice, UUID).await;
        alice.call("session.detach", json!({"sessionId": UUID})).await.expect("hers");
        is_absent(&mut bob, UUID).await;
        alice.call("session.resume", json!({"sessionId": UUID})).await.expect("still hers");
        alice.call("session.delete", json!({"sessionId": UUID})).await.expect("hers to end");
        // It is gone, so it is anybody's again.
        let made = bob.call("session.create", &json!({"sessionId": UUID}).to_string()).await;
        assert!(made.contains("workspacePath"), "{made}");
    }
}

#[tokio::test]
async fn after_a_restart_a_free_id_that_exists_is_nobody_s() {
    for (ids, storage) in [(Ids::Prefix, "shared"), (Ids::Registry, "shared"), (Ids::Prefix, "local")] {
        let plan = Plan { backends: 2, storage, pool: ids.lines(), more: TWO, env: ENV, ..Plan::default() };
        let rig = Rig::with(plan).await;
        let alice = alice_has(&rig, UUID).await;
        let named_id = ids.id("alice", "kept");
        create(&alice, &named_id).await;
        turn(&alice, &named_id).await;
        let Rig { cli, proxy } = rig;
        drop((alice, proxy));
        for cli in &cli {
            cli.wait_for_live(UUID, false).await;
            cli.wait_for_live(&named_id, false).await;
        }
        let rig = Rig::over(plan, cli).await;
        rig.up(0).await;
        rig.up(1).await;
        let before: usize = rig.cli.iter().map(|cli| named(cli, UUID).len()).sum();
        for token in [BOB, ALICE] {
            is_absent(&mut Spelt::login(&rig, token).await, UUID).await;
        }
        let after: usize = rig.cli.iter().map(|cli| named(cli, UUID).len()).sum();
        assert_eq!(after, before, "{ids:?} {storage}");
        // What says whose it is, is still hers.
        let mut alice = Spelt::login(&rig, ALICE).await;
        let resumed = alice.call("session.resume", &json!({"sessionId": named_id}).to_string()).await;
        assert_eq!(resumed.contains("workspacePath"), ids == Ids::Prefix, "{resumed}");
    }
}

#[tokio::test]
async fn free_ids_can_be_refused() {
    let pool = "free_ids = \"refuse\"";
    let rig = Rig::with(Plan { pool, more: TWO, env: ENV, ..Plan::default() }).await;
    let mut alice = Spelt::login(&rig, ALICE).await;
    for id in [UUID, "board", "35ace27", "alice"] {
        is_absent(&mut alice, id).await;
        assert_eq!(named(&rig.cli[0], &format!("\"{id}\"")).len(), 0, "{id}");
    }
    let made = alice.call("session.create", "{}").await;
    assert!(made.contains("\"sessionId\":\"alice--"), "{made}");
}

#[tokio::test]
async fn what_could_be_the_beginning_of_a_uuid_never_reaches_a_backend() {
    let upper = UUID.to_uppercase();
    let beginnings =
        ["35ace27", "35ACE27A", "35ace27a-77e4-", "35ace27a-77e4-4a7d-8c50-78ed7ee28dc", &upper, "deadbeef"];
    for ids in [Ids::Prefix, Ids::Registry] {
        let rig = two(ids, 1).await;
        let _alice = alice_has(&rig, UUID).await;
        let mut bob = Spelt::login(&rig, BOB).await;
        for id in beginnings {
            is_absent(&mut bob, id).await;
            for kind in ["resume", "attach"] {
                let opened = bob.call("sessions.open", &json!({"kind": kind, "sessionId": id}).to_string()).await;
                assert_eq!(opened, r#"{"jsonrpc":"2.0","id":0,"result":{"status":"not_found"}}"#, "{id}");
            }
            let whole = format!("\"{id}\"");
            assert!(rig.cli[0].frames().iter().all(|frame| !frame.value.to_string().contains(&whole)), "{id}");
        }
        assert_eq!(rig.cli[0].live(), [UUID]);
        // What is no such beginning is anybody's.
        for id in ["35ace2", "35ace27x", "00000000-77e4-4a7d-8c50-78ed7ee28dc6"] {
            let made = bob.call("session.create", &json!({ "sessionId": id }).to_string()).await;
            assert!(made.contains("workspacePath"), "{id}: {made}");
        }
    }
}

#[tokio::test]
async fn of_two_who_want_the_same_id_at_once_one_gets_it() {
    for ids in [Ids::Prefix, Ids::Registry] {
        let rig = two(ids, 1).await;
        let (alice, bob) = (super::rig::login(&rig, ALICE).await, super::rig::login(&rig, BOB).await);
        let gate = Gate::new();
        rig.cli[0].on("sessions.getClientMetadata", Act::Hold(gate.clone()));
        let make = json!({ "sessionId": UUID });
        let (hers, his) =
            (alice.start("session.create", make.clone()).await, bob.start("session.create", make.clone()).await);
        // Both have been told by nobody yet that the id is free.
        gate.reached(2).await;
        gate.open();
        let answers = [hers.answer().await, his.answer().await];
        let winners = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(winners, 1, "{answers:?}");
        let wanted = format!("Request session.create failed with message: Session not found for sessionId: {UUID}");
        let lost = answers.iter().find_map(|answer| answer.as_ref().err()).expect("one lost");
        assert_eq!((lost.code, lost.message.as_str()), (-32603, &*wanted));
        let creates = rig.cli[0].frames().iter().filter(|frame| frame.method() == "session.create").count();
        assert_eq!(creates, 1);
        let (winner, loser) = if answers[0].is_ok() { (alice, bob) } else { (bob, alice) };
        turn(&winner, UUID).await;
        let refused =
            loser.call("session.send", json!({"sessionId": UUID, "prompt": "x"})).await.expect_err("not theirs");
        assert_eq!(refused.code, -32603);
    }
}

#[tokio::test]
async fn an_id_that_was_not_made_is_not_taken() {
    let rig = two(Ids::Prefix, 1).await;
    let (mut alice, mut bob) = (Spelt::login(&rig, ALICE).await, Spelt::login(&rig, BOB).await);
    let make = json!({ "sessionId": UUID }).to_string();
    rig.cli[0].next(1, "session.create", Act::Fail { code: -32603, message: "no room".into() });
    assert!(alice.call("session.create", &make).await.contains("no room"));
    let made = bob.call("session.create", &make).await;
    assert!(made.contains("workspacePath"), "{made}");
}

/// A backend that cannot say whether it knows an id gives nothing away.
#[tokio::test]
async fn without_an_answer_nothing_is_given_away() {
    let rig = two(Ids::Prefix, 1).await;
    let mut bob = Spelt::login(&rig, BOB).await;
    rig.cli[0].on("sessions.getClientMetadata", Act::Fail { code: -32603, message: "disk is on fire".into() });
    let made = bob.call("session.create", &json!({"sessionId": UUID}).to_string()).await;
    assert_eq!(made, absent("session.create", UUID));
    rig.cli[0].as_usual();
    let made = bob.call("session.create", &json!({"sessionId": UUID}).to_string()).await;
    assert!(made.contains("workspacePath"), "{made}");
}
