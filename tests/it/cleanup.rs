//! Sessions are deleted: those that nobody has used for long, and those that end with their clients.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    fake_cli::{Act, Close, Gate},
    rpc_client::RpcClient,
    session::{
        admin,
        rig::{Plan, Rig, assert_ours, create, turn},
    },
    tenants::rig::{self as tenants, operate},
};

const OLD: &str = "2020-01-01T00:00:00.000Z";

/// Runs when it is told to, and then as fast as it can.
const AT_WILL: &str = "[pool.copilot.cleanup]\nttl = \"1h\"\ninterval = \"1h\"\nrate = 1000.0\nexclude = [\"keep-*\"]";

/// A whole random UUID.
const UNNAMED: &str = "35ace27a-77e4-4a7d-8c50-78ed7ee28dc6";

/// Sessions outlive their clients by as little as may be.
const BRIEF: &str = "linger = \"100ms\"\non_client_loss = \"abort\"";

async fn begin(rig: &Rig, query: &str) -> Value {
    let (code, body) = operate(&rig.proxy, "POST", &format!("/cleanup?pool=copilot{query}"), Some("test")).await;
    assert_eq!(code, 202, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// The report of the run with this number, once it has ended.
async fn ended(rig: &Rig, run: &Value) -> Value {
    let last = |body: &str| serde_json::from_str::<Value>(body).expect("JSON")["pools"][0]["last_run"].clone();
    let done = |body: &str| last(body)["run"] == run["run"] && last(body)["outcome"] != "running";
    last(&admin::until_page(&rig.proxy, "/cleanup", done).await.1)
}

async fn clean(rig: &Rig, query: &str) -> Value {
    ended(rig, &begin(rig, query).await).await
}

async fn at_will(backends: usize) -> Rig {
    Rig::with(Plan { backends, more: AT_WILL, ..Plan::default() }).await
}

#[tokio::test]
async fn the_old_go_and_the_young_the_live_and_the_excluded_stay() {
    let rig = at_will(2).await;
    let storage = rig.cli[0].storage();
    for id in ["old-1", "old-2", "keep-1"] {
        storage.put(id, OLD);
    }
    storage.put("young", "2999-01-01T00:00:00.000Z");
    storage.put("live", OLD);
    storage.put("elsewhere", OLD);
    let client = rig.client().await;
    client.call("session.resume", json!({"sessionId": "live"})).await.expect("resumed");
    let direct = RpcClient::connect(rig.cli[1].addr()).await;
    direct.call("session.resume", json!({"sessionId": "elsewhere"})).await.expect("resumed");

    let dry = clean(&rig, "&dry_run=true").await;
    assert_eq!(
        (&dry["would_delete"], &dry["deleted"], &dry["ids"]),
        (&json!(2), &json!(0), &json!(["old-1", "old-2"]))
    );
    assert_eq!(storage.sessions().len(), 6);
    let real = clean(&rig, "").await;
    for (key, count) in [("listed", 6), ("deleted", 2), ("kept_live", 2), ("excluded", 1), ("failed", 0)] {
        assert_eq!(real[key], count, "{key} of {real}");
    }
    assert_eq!(storage.sessions(), ["elsewhere", "keep-1", "live", "young"]);
    let metrics = admin::Metrics::of(&rig.proxy).await;
    let count = |outcome: &str| metrics.sum("cleanup_sessions_total", &[&format!("outcome=\"{outcome}\"")]);
    assert_eq!(["deleted", "would_delete", "kept_live", "excluded", "failed"].map(count), [2.0, 2.0, 4.0, 2.0, 0.0]);
    assert_eq!(metrics.sum("cleanup_runs_total", &["outcome=\"done\""]), 2.0);
    turn(&client, "live").await;
}

#[tokio::test]
async fn with_local_disks_each_backend_is_cleaned() {
    let rig = Rig::with(Plan { backends: 2, storage: "local", more: AT_WILL, ..Plan::default() }).await;
    for cli in &rig.cli {
        cli.storage().put("both", OLD);
        cli.storage().put(cli.name(), OLD);
    }
    assert_eq!(clean(&rig, "").await["deleted"], 4);
    assert!(rig.cli.iter().all(|cli| cli.storage().sessions().is_empty()));
}

#[tokio::test]
async fn a_list_of_megabytes_is_read_as_it_comes() {
    let rig = at_will(1).await;
    let row = |number: usize, time: &str| {
        let summary = "x".repeat(200);
        format!(r#"{{"sessionId":"s-{number}","modifiedTime":"{time}","isRemote":false,"summary":"]}}{summary}\""}}"#)
    };
    let rows: Vec<_> =
        (0..20_000).map(|number| row(number, if number < 7 { OLD } else { "2999-01-01T00:00:00Z" })).collect();
    (0..7).for_each(|number| rig.cli[0].storage().put(&format!("s-{number}"), OLD));
    let list = format!(r#"{{"sessions":[{}]}}"#, rows.join(","));
    assert!(list.len() > 4 << 20);
    rig.cli[0].on("sessions.list", Act::Answer(list));
    let run = clean(&rig, "").await;
    assert_eq!((&run["listed"], &run["deleted"]), (&json!(20_000), &json!(7)));
    // Another method on an older runtime, and the same list in one piece.
    rig.cli[0].on("sessions.list", Act::Fail { code: -32601, message: "Unhandled method sessions.list".into() });
    rig.cli[0].storage().put("late", OLD);
    assert_eq!(clean(&rig, "").await["ids"], json!(["late"]));
}

#[tokio::test]
async fn deletions_keep_to_their_rate() {
    let slow = AT_WILL.replace("1000.0", "20.0");
    let rig = Rig::with(Plan { more: &slow, ..Plan::default() }).await;
    (0..10).for_each(|number| rig.cli[0].storage().put(&format!("old-{number}"), OLD));
    let begun = Instant::now();
    assert_eq!(clean(&rig, "").await["deleted"], 10);
    assert!(begun.elapsed() >= Duration::from_millis(440), "ten at twenty a second: {:?}", begun.elapsed());
}

#[tokio::test]
async fn nobody_gets_a_session_while_it_is_deleted() {
    let rig = at_will(1).await;
    rig.cli[0].storage().put("old", OLD);
    let gate = Gate::new();
    rig.cli[0].on("sessions.delete", Act::Hold(gate.clone()));
    let run = begin(&rig, "").await;
    gate.reached(1).await;
    let client = rig.client().await;
    for method in ["session.resume", "session.create"] {
        let refused = client.call(method, json!({"sessionId": "old"})).await.expect_err("it is being deleted");
        assert_ours(&refused, -32013, "session_locked");
    }
    let (code, body) = operate(&rig.proxy, "POST", "/cleanup?pool=copilot", Some("again")).await;
    assert_eq!(code, 409, "{body}");
    gate.open();
    assert_eq!(ended(&rig, &run).await["deleted"], 1);
    tenants::assert_absent(client.call("session.resume", json!({"sessionId": "old"})).await, "session.resume", "old");
    create(&client, "old").await;
    turn(&client, "old").await;
}

#[tokio::test]
async fn what_is_not_known_is_not_deleted() {
    let rig = at_will(2).await;
    rig.cli[0].storage().put("old", OLD);
    let fail = Act::Fail { code: -32603, message: "out of order".into() };
    rig.cli[1].on("session.metadata.activity", fail.clone());
    let run = clean(&rig, "").await;
    assert_eq!((&run["outcome"], &run["failed"], &run["deleted"]), (&json!("done"), &json!(1), &json!(0)));
    assert!(run["error"].as_str().is_some_and(|why| why.contains("out of order")), "{run}");
    assert_eq!(rig.cli[0].storage().sessions(), ["old"]);
    rig.cli.iter().for_each(|cli| cli.on("sessions.list", fail.clone()));
    let run = clean(&rig, "").await;
    assert_eq!((&run["outcome"], &run["listed"]), (&json!("failed"), &json!(0)));
    // One of them is enough to list what all of them have.
    rig.cli.iter().for_each(|cli| cli.as_usual());
    rig.cli[0].on("sessions.list", Act::End(Close::Fin));
    assert_eq!(clean(&rig, "").await["deleted"], 1);
}

#[tokio::test]
async fn orders_that_are_not_right_change_nothing() {
    let rig = Rig::new(1).await;
    for (target, reason, code) in [
        ("/cleanup?pool=copilot", None, 403),
        ("/cleanup", Some("x"), 400),
        ("/cleanup?pool=copilot&dry_run=maybe", Some("x"), 400),
        ("/cleanup?pool=copilot&force=true", Some("x"), 400),
        ("/cleanup?pool=other", Some("x"), 404),
        ("/cleanup?pool=copilot", Some("x"), 409),
    ] {
        let (answered, body) = operate(&rig.proxy, "POST", target, reason).await;
        assert_eq!(answered, code, "{target}: {body}");
    }
    let (_, body) = admin::page(&rig.proxy, "/cleanup").await;
    let pools: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(pools, json!({"pools": [{"pool": "copilot", "dry_run": false, "ephemeral_waiting": 0}]}));
}

#[tokio::test]
async fn the_owner_of_a_deleted_session_is_forgotten() {
    let more = format!("{}{AT_WILL}", tenants::TWO);
    let pool = "session_ids = \"registry\"";
    let rig = Rig::with(Plan { pool, more: &more, env: tenants::ENV, ..Plan::default() }).await;
    let (alice, bob) = (tenants::login(&rig, tenants::ALICE).await, tenants::login(&rig, tenants::BOB).await);
    create(&alice, "board").await;
    turn(&alice, "board").await;
    alice.call("session.detach", json!({"sessionId": "board"})).await.expect("detached");
    rig.cli[0].storage().put("board", OLD);
    let foreign = bob.call("session.create", json!({"sessionId": "board"})).await;
    assert!(foreign.is_err(), "it is alice's");
    assert_eq!(clean(&rig, "").await["deleted"], 1);
    create(&bob, "board").await;
}

#[tokio::test]
async fn a_session_without_a_name_ends_with_its_client() {
    let rig = Rig::with(Plan { backends: 2, pool: BRIEF, ..Plan::default() }).await;
    let (lost, orderly) = (rig.client().await, rig.client().await);
    let drawn = lost.call("session.create", json!({})).await.expect("created")["sessionId"].clone();
    let drawn = drawn.as_str().expect("an id").to_owned();
    create(&orderly, UNNAMED).await;
    create(&orderly, "named").await;
    for (client, id) in [(&lost, &*drawn), (&orderly, UNNAMED), (&orderly, "named")] {
        turn(client, id).await;
    }
    orderly.call("session.detach", json!({"sessionId": "named"})).await.expect("detached");
    orderly.call("session.destroy", json!({"sessionId": UNNAMED})).await.expect("destroyed");
    lost.cut(Close::Rst).await;
    admin::until(&rig.proxy, "ephemeral_deleted_total", &["outcome=\"deleted\""], |count| count == 2.0).await;
    assert_eq!(rig.cli[0].storage().sessions(), ["named"]);
}

#[tokio::test]
async fn what_it_could_not_delete_is_tried_again() {
    let rig = Rig::with(Plan { pool: BRIEF, ..Plan::default() }).await;
    rig.cli[0].next(1, "sessions.delete", Act::Fail { code: -32603, message: "not today".into() });
    let client = rig.client().await;
    create(&client, UNNAMED).await;
    turn(&client, UNNAMED).await;
    client.cut(Close::Fin).await;
    admin::until(&rig.proxy, "ephemeral_deleted_total", &["outcome=\"deleted\""], |count| count == 1.0).await;
    let metrics = admin::Metrics::of(&rig.proxy).await;
    assert_eq!(metrics.sum("ephemeral_deleted_total", &["outcome=\"failed\""]), 1.0);
    assert!(rig.cli[0].storage().sessions().is_empty());
}

#[tokio::test]
async fn a_create_that_is_refused_and_a_resume_make_nothing_ephemeral() {
    let rig = Rig::with(Plan { pool: BRIEF, ..Plan::default() }).await;
    rig.cli[0].storage().put(UNNAMED, OLD);
    rig.cli[0].next(1, "session.create", Act::Fail { code: -32603, message: "a bad model".into() });
    let (client, other) = (rig.client().await, rig.client().await);
    client.call("session.create", json!({"sessionId": UNNAMED})).await.expect_err("refused");
    client.call("session.resume", json!({"sessionId": UNNAMED})).await.expect("it is there");
    turn(&client, UNNAMED).await;
    client.cut(Close::Fin).await;
    rig.cli[0].wait_for_live(UNNAMED, false).await;
    // One that goes later is gone before.
    let drawn = other.call("session.create", json!({})).await.expect("created")["sessionId"].clone();
    turn(&other, drawn.as_str().expect("an id")).await;
    other.cut(Close::Fin).await;
    admin::until(&rig.proxy, "ephemeral_deleted_total", &["outcome=\"deleted\""], |count| count == 1.0).await;
    assert_eq!(rig.cli[0].storage().sessions(), [UNNAMED]);
    assert_eq!(admin::Metrics::of(&rig.proxy).await.sum("ephemeral_deleted_total", &[]), 1.0);
}

#[tokio::test]
async fn a_session_that_ends_at_its_home_while_its_client_is_there_stays() {
    let rig = Rig::with(Plan { pool: BRIEF, ..Plan::default() }).await;
    let (client, other) = (rig.client().await, rig.client().await);
    create(&client, UNNAMED).await;
    turn(&client, UNNAMED).await;
    // As by the runtime's own idle time.
    let direct = RpcClient::connect(rig.cli[0].addr()).await;
    direct.call("session.destroy", json!({"sessionId": UNNAMED})).await.expect("destroyed");
    client.next_event(UNNAMED, "session.shutdown").await;
    let drawn = other.call("session.create", json!({})).await.expect("created")["sessionId"].clone();
    turn(&other, drawn.as_str().expect("an id")).await;
    other.cut(Close::Fin).await;
    admin::until(&rig.proxy, "ephemeral_deleted_total", &["outcome=\"deleted\""], |count| count == 1.0).await;
    client.call("session.resume", json!({"sessionId": UNNAMED})).await.expect("it is there");
    turn(&client, UNNAMED).await;
}

#[tokio::test]
async fn a_new_process_ends_what_the_old_one_would_have_ended() {
    let plan = Plan { pool: BRIEF, shutdown: "drain_timeout = \"1s\"", ..Plan::default() };
    let mut rig = Rig::with(plan).await;
    let client = rig.client().await;
    create(&client, UNNAMED).await;
    turn(&client, UNNAMED).await;
    rig.proxy.signal(Signal::QUIT);
    rig.proxy.successor(1).await;
    assert_eq!(rig.proxy.exit().await.code(), Some(0));
    let again = rig.client().await;
    again.call("session.resume", json!({"sessionId": UNNAMED})).await.expect("it waits for its client");
    turn(&again, UNNAMED).await;
    again.cut(Close::Fin).await;
    rig.proxy.wait_for_line("deleted a session whose clients have gone").await;
    assert!(rig.cli[0].storage().sessions().is_empty());
}
