//! Sessions that others may attach to: by the config, and by an operator's call while everything runs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::rig::{ALICE, BOB, ENV, Ids, TWO, assert_absent, assert_denied, login, operate};
use crate::{
    rpc_client::RpcClient,
    session::rig::{Plan, Rig, create, prompt, turn},
};

const BOARD: &str = "alice--board";

/// Alice shares a board with bob; carol is nobody to them.
const SHARED: &str = r#"
[[tenant]]
name = "alice"
tokens = [{ env = "IT_ALICE" }]
share = [{ session = "alice--board", with = ["bob"] }, { session = "alice--team-*", with = ["bob"] }]
[[tenant]]
name = "bob"
tokens = [{ env = "IT_BOB" }]
[[tenant]]
name = "carol"
tokens = [{ env = "IT_CAROL" }]
"#;

const CAROL: &str = "carol-token-000000000003";
const THREE: &[(&str, &str)] = &[("IT_ALICE", ALICE), ("IT_BOB", BOB), ("IT_CAROL", CAROL)];

const ENDS: &[&str] = &["session.delete", "session.destroy", "sessions.close", "session.shutdown", "session.suspend"];

async fn attach(client: &RpcClient, session: &str) {
    let opened = client.call("session.resume", json!({ "sessionId": session })).await.expect("shared");
    assert_eq!(opened["sessionId"], session);
}

fn listed(list: &Value) -> Vec<&str> {
    list["sessions"].as_array().expect("a list").iter().filter_map(|one| one["sessionId"].as_str()).collect()
}

#[tokio::test]
async fn a_share_of_the_config_lets_in_and_does_not_let_end() {
    let rig = Rig::with(Plan { more: SHARED, env: THREE, ..Plan::default() }).await;
    let (alice, bob, carol) = (login(&rig, ALICE).await, login(&rig, BOB).await, login(&rig, CAROL).await);
    for session in [BOARD, "alice--team-1", "alice--own"] {
        create(&alice, session).await;
        turn(&alice, session).await;
    }
    attach(&bob, BOARD).await;
    attach(&bob, "alice--team-1").await;
    // Both hear what either says.
    prompt(&alice, BOARD).await.expect("hers");
    bob.next_event(BOARD, "session.idle").await;
    alice.next_event(BOARD, "session.idle").await;
    prompt(&bob, BOARD).await.expect("shared");
    bob.next_event(BOARD, "session.idle").await;
    alice.next_event(BOARD, "session.idle").await;
    bob.call("session.getMessages", json!({ "sessionId": BOARD })).await.expect("shared");
    let list = bob.call("session.list", json!({})).await.expect("a list");
    let mut seen = listed(&list);
    seen.sort_unstable();
    assert_eq!(seen, [BOARD, "alice--team-1"]);
    for method in ENDS {
        assert_denied(bob.call(method, json!({ "sessionId": BOARD })).await, method);
        assert!(!rig.cli[0].saw(BOARD, method), "{method}");
    }
    let freed = bob.call("sessions.bulkDelete", json!({"sessionIds": [BOARD]})).await.expect("a map");
    assert_eq!(freed, json!({"freedBytes": {BOARD: 0}}));
    assert_absent(bob.call("session.create", json!({ "sessionId": BOARD })).await, "session.create", BOARD);
    // Only what is shared, and only with whom it is.
    for method in ["session.resume", "session.send", "session.getMessages", "session.destroy"] {
        let params = |id: &str| serde_json::from_str(&super::rig::params(method, id)).expect("JSON");
        assert_absent(bob.call(method, params("alice--own")).await, method, "alice--own");
        assert_absent(carol.call(method, params(BOARD)).await, method, BOARD);
    }
    assert!(listed(&carol.call("session.list", json!({})).await.expect("a list")).is_empty());
    assert!(!format!("{:?}", carol.told()).contains("alice--"));
    // Bob goes; alice does not notice.
    bob.call("session.detach", json!({ "sessionId": BOARD })).await.expect("his own hold");
    bob.finish().await;
    bob.expect_closed().await;
    turn(&alice, BOARD).await;
    assert_eq!(rig.cli[0].live().len(), 3);
    alice.call("session.delete", json!({ "sessionId": BOARD })).await.expect("hers to end");
}

/// Two tenants; `session` is alice's.
async fn pair(ids: Ids, session: &str) -> (Rig, RpcClient, RpcClient) {
    let rig = Rig::with(Plan { pool: ids.lines(), more: TWO, env: ENV, ..Plan::default() }).await;
    let (alice, bob) = (login(&rig, ALICE).await, login(&rig, BOB).await);
    create(&alice, session).await;
    turn(&alice, session).await;
    (rig, alice, bob)
}

fn target(session: &str, with: &str) -> String {
    format!("/shares?pool=copilot&session={session}&with={with}")
}

async fn done(rig: &Rig, method: &str, session: &str, with: &str, reason: &str) {
    let (code, body) = operate(&rig.proxy, method, &target(session, with), Some(reason)).await;
    assert_eq!((code, body.as_str()), (200, r#"{"done":true}"#), "{method} {session} {with}");
}

#[tokio::test]
async fn an_operator_shares_a_session_and_takes_it_back() {
    let cases = [(Ids::Prefix, BOARD), (Ids::Registry, "board"), (Ids::Prefix, "35ace27a-77e4-4a7d-8c50-78ed7ee28dc6")];
    for (ids, session) in cases {
        let (rig, alice, bob) = pair(ids, session).await;
        let params = json!({ "sessionId": session });
        assert_absent(bob.call("session.resume", params.clone()).await, "session.resume", session);
        done(&rig, "POST", session, "bob", "pairing on incident 42").await;
        attach(&bob, session).await;
        let conn = rig.conn(0, session);
        prompt(&bob, session).await.expect("shared");
        bob.next_event(session, "session.idle").await;
        alice.next_event(session, "session.idle").await;
        for method in ENDS {
            assert_denied(bob.call(method, params.clone()).await, method);
        }
        let (code, list) = operate(&rig.proxy, "GET", "/shares", None).await;
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let wanted = json!([{"pool": "copilot", "session": session, "with": ["bob"], "source": "granted"}]);
        assert_eq!((code, &list["shares"]), (200, &wanted));

        let began = Instant::now();
        done(&rig, "DELETE", session, "bob", "the incident is over").await;
        rig.cli[0].wait_for(|frame| frame.conn == conn && frame.method() == "session.detach").await;
        // It is looked at every second; the rest is for a busy machine.
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        for method in ["session.send", "session.getMessages", "session.detach"] {
            let params = serde_json::from_str(&super::rig::params(method, session)).expect("JSON");
            assert_absent(bob.call(method, params).await, method, session);
        }
        turn(&alice, session).await;
        assert_absent(bob.call("session.resume", params).await, "session.resume", session);
        let events = bob.events(session);
        assert!(!events.iter().any(|kind| kind == "session.shutdown"), "{events:?}");
        let given = rig.proxy.wait_for_line("pairing on incident 42").await;
        let taken = rig.proxy.wait_for_line("the incident is over").await;
        for (line, outcome) in [(given, "granted"), (taken, "revoked")] {
            let fields = ["pilotfish::audit", "share", session, "tenant=\"bob\"", outcome, "pool=\"copilot\""];
            assert!(fields.iter().all(|field| line.contains(field)), "{line}");
        }
    }
}

#[tokio::test]
async fn what_was_taken_back_is_not_heard_any_more() {
    let (rig, alice, bob) = pair(Ids::Prefix, BOARD).await;
    done(&rig, "POST", BOARD, "bob", "x").await;
    attach(&bob, BOARD).await;
    let gate = rig.gate();
    prompt(&alice, BOARD).await.expect("hers");
    bob.next_event(BOARD, "assistant.message_delta").await;
    let conn = rig.cli[0].wait_for_method(BOARD, "session.resume").await.conn;
    done(&rig, "DELETE", BOARD, "bob", "x").await;
    rig.cli[0].wait_for(|frame| frame.conn == conn && frame.method() == "session.detach").await;
    gate.open();
    alice.next_event(BOARD, "session.idle").await;
    bob.call("ping", json!({})).await.expect("all that came before has come");
    let events = bob.events(BOARD);
    assert!(!events.iter().any(|kind| kind == "assistant.message" || kind == "session.idle"), "{events:?}");
}

#[tokio::test]
async fn a_grant_ends_with_the_session() {
    let (rig, alice, bob) = pair(Ids::Prefix, BOARD).await;
    done(&rig, "POST", BOARD, "bob", "x").await;
    alice.call("session.delete", json!({ "sessionId": BOARD })).await.expect("hers");
    create(&alice, BOARD).await;
    assert_absent(bob.call("session.resume", json!({ "sessionId": BOARD })).await, "session.resume", BOARD);
    assert_eq!(operate(&rig.proxy, "GET", "/shares", None).await.1, r#"{"shares":[]}"#);
}

#[tokio::test]
async fn operators_are_told_what_cannot_be_shared() {
    let rig = Rig::with(Plan { more: SHARED, env: THREE, ..Plan::default() }).await;
    let reason = Some("x");
    for (method, target, reason, code) in [
        ("POST", target(BOARD, "carol"), None, 403),
        ("POST", target(BOARD, "zoe"), reason, 400),
        ("POST", target(BOARD, "bob/"), reason, 400),
        ("POST", target("zoe--board", "bob"), reason, 404),
        ("POST", target("nobodys", "bob"), reason, 404),
        ("POST", target("35ace27", "bob"), reason, 404),
        ("POST", format!("/shares?pool=zoe&session={BOARD}&with=bob"), reason, 404),
        ("DELETE", target(BOARD, "carol"), reason, 404),
        ("DELETE", target(BOARD, "bob"), reason, 404),
    ] {
        let (got, body) = operate(&rig.proxy, method, &target, reason).await;
        assert_eq!(got, code, "{method} {target}: {body}");
    }
    let (_, list) = operate(&rig.proxy, "GET", "/shares", None).await;
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let sources: Vec<&Value> = list["shares"].as_array().expect("a list").iter().map(|one| &one["source"]).collect();
    assert_eq!(sources, ["config", "config"], "{list}");
}

/// Users of one tenant that are apart, and one session that ben may share in.
#[tokio::test]
async fn users_of_a_tenant_are_apart_and_can_share() {
    const ANN: &str = "ann-token-00000000000004";
    const BEN: &str = "ben-token-00000000000005";
    let more = "[[tenant]]\nname = \"alice\"\nusers = \"apart\"\n\
        tokens = [{ env = \"IT_ANN\", user = \"ann\" }, { env = \"IT_BEN\", user = \"ben\" }]\n\
        share = [{ session = \"alice--ann--config\", with = [\"alice/ben\"] }]\n\
        [[tenant]]\nname = \"bob\"\nusers = \"apart\"\ntokens = [{ env = \"IT_BOB\", user = \"ben\" }]\n";
    let env = &[("IT_ANN", ANN), ("IT_BEN", BEN), ("IT_BOB", BOB)];
    let pool = "session_id_template = \"{tenant}--{user}--\"";
    let rig = Rig::with(Plan { pool, more, env, ..Plan::default() }).await;
    let (ann, ben, other) = (login(&rig, ANN).await, login(&rig, BEN).await, login(&rig, BOB).await);
    for session in ["alice--ann--1", "alice--ann--config"] {
        create(&ann, session).await;
    }
    for client in [&ben, &other] {
        let answer = client.call("session.resume", json!({"sessionId": "alice--ann--1"})).await;
        assert_absent(answer, "session.resume", "alice--ann--1");
    }
    attach(&ben, "alice--ann--config").await;
    let answer = other.call("session.resume", json!({"sessionId": "alice--ann--config"})).await;
    assert_absent(answer, "session.resume", "alice--ann--config");
    done(&rig, "POST", "alice--ann--1", "alice/ben", "pairing").await;
    attach(&ben, "alice--ann--1").await;
    for session in ["alice--ann--2", "alice--x", "alice--ben", "alice----x"] {
        assert_absent(ben.call("session.create", json!({ "sessionId": session })).await, "session.create", session);
    }
    let made = ben.call("session.create", json!({})).await.expect("his own");
    assert!(made["sessionId"].as_str().is_some_and(|id| id.starts_with("alice--ben--")), "{made}");
}
