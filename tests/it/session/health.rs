//! Who gets sessions: health, drain, slow start, protocol versions.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    admin,
    rig::{Plan, Rig, assert_ours, create, id_at, name, turn},
};
use crate::fake_cli::{Close, FakeCli, Options};

/// Waits for the state that `/status` tells of backend number `at`.
async fn state(rig: &Rig, at: usize, wanted: &str) {
    let labels = [format!("backend=\"{}\"", name(at)), format!("state=\"{wanted}\"")];
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    admin::until(&rig.proxy, "backend_state", &labels, |value| value == 1.0).await;
}

#[tokio::test]
async fn a_hung_backend_is_out_within_its_time_and_comes_back() {
    let health = "interval = \"100ms\"\ntimeout = \"500ms\"\nrise = 1\nfall = 2\nslow_start = \"0s\"\njitter = 0.0";
    let rig = Rig::with(Plan { backends: 2, health, ..Plan::default() }).await;
    let client = rig.client().await;
    rig.cli[1].freeze();
    let frozen = Instant::now();
    rig.down(1).await;
    let took = frozen.elapsed();
    println!("a hung backend was out of rotation after {took:?}");
    // Two checks of 500 ms each; a probe that is under way when it hangs is the first of them.
    assert!(took <= Duration::from_millis(2 * 100 + 2 * 500 + 600), "{took:?}");
    state(&rig, 1, "down").await;
    for number in 0..5 {
        let session = id_at(&format!("hung{number}"), 2, 1);
        create(&client, &session).await;
        assert_eq!(rig.home(&session), 0);
    }
    rig.cli[1].thaw();
    state(&rig, 1, "up").await;
    let session = id_at("back", 2, 1);
    create(&client, &session).await;
    assert_eq!(rig.home(&session), 1);
}

#[tokio::test]
async fn sessions_of_a_hung_backend_stay_or_are_cut_as_the_operator_says() {
    let health = "interval = \"50ms\"\ntimeout = \"300ms\"\nrise = 1\nfall = 1\nslow_start = \"0s\"\non_down = ";
    for (on_down, cut) in [("\"keep\"", false), ("\"cut\"", true)] {
        let rig = Rig::with(Plan { backends: 2, health: &format!("{health}{on_down}"), ..Plan::default() }).await;
        let client = rig.client().await;
        let session = id_at("hang", 2, 1);
        create(&client, &session).await;
        rig.cli[1].freeze();
        let open = client.start("session.getMessages", json!({"sessionId": session})).await;
        state(&rig, 1, "down").await;
        if cut {
            assert_ours(&open.answer().await.expect_err("cut"), -32011, "backend_lost");
        } else {
            rig.cli[1].thaw();
            open.answer().await.expect("it was only slow");
            turn(&client, &session).await;
        }
    }
}

#[tokio::test]
async fn a_backend_that_dies_is_looked_at_at_once() {
    let health = "interval = \"1h\"\ntimeout = \"3s\"\nrise = 1\nfall = 1\nslow_start = \"0s\"";
    let rig = Rig::with(Plan { backends: 2, health, ..Plan::default() }).await;
    let client = rig.client().await;
    create(&client, &id_at("look", 2, 0)).await;
    rig.cli[0].die(Close::Rst);
    // Only the lost link can have told: the next check is an hour away.
    rig.down(0).await;
}

#[tokio::test]
async fn with_all_down_nobody_is_ready_and_all_come_back() {
    let rig = Rig::new(2).await;
    let client = rig.client().await;
    assert_eq!(admin::page(&rig.proxy, "/readyz").await.0, 200);
    rig.cli.iter().for_each(|cli| cli.die(Close::Rst));
    state(&rig, 0, "down").await;
    state(&rig, 1, "down").await;
    assert_eq!(admin::page(&rig.proxy, "/readyz").await.0, 503);
    assert_ours(&client.call("ping", json!({})).await.expect_err("nobody"), -32010, "no_backend");
    assert!(!client.is_closed());
    for cli in &rig.cli {
        cli.restart().await;
    }
    state(&rig, 0, "up").await;
    state(&rig, 1, "up").await;
    let back = async { while client.call("ping", json!({})).await.is_err() {} };
    crate::deadline::within(|| "the client's own backend again".into(), back).await;
    assert_eq!(admin::page(&rig.proxy, "/readyz").await.0, 200);
}

#[tokio::test]
async fn one_that_comes_back_starts_slowly() {
    let health = "interval = \"100ms\"\ntimeout = \"3s\"\nrise = 1\nfall = 1\nslow_start = \"10m\"";
    let plan = Plan { backends: 2, health, pool: "policy = \"least-sessions\"", ..Plan::default() };
    let rig = Rig::with(plan).await;
    let client = rig.client().await;
    for number in 0..10 {
        create(&client, &format!("before-{number}")).await;
    }
    assert_eq!(rig.cli.iter().map(|cli| cli.live().len()).collect::<Vec<_>>(), [5, 5]);
    rig.cli[1].die(Close::Rst);
    state(&rig, 1, "down").await;
    rig.cli[1].restart().await;
    state(&rig, 1, "up").await;
    for number in 0..30 {
        create(&client, &format!("after-{number}")).await;
    }
    let load: Vec<usize> = rig.cli.iter().map(|cli| cli.live().len()).collect();
    // Without a slow start the empty one would get the next five at once and then every other one.
    assert!(load[1] < 10, "{load:?}");
}

#[tokio::test]
async fn one_in_drain_gets_no_new_sessions() {
    let backend = |at| if at == 0 { ", drain = true" } else { "" };
    let rig = Rig::with(Plan { backends: 2, backend, ..Plan::default() }).await;
    let client = rig.client().await;
    for number in 0..10 {
        let session = id_at(&format!("drain{number}"), 2, 0);
        create(&client, &session).await;
        assert_eq!(rig.home(&session), 1);
    }
    for _ in 0..5 {
        client.call("session.create", json!({})).await.expect("created");
    }
    assert!(rig.cli[0].live().is_empty());
    state(&rig, 0, "drained").await;
}

#[tokio::test]
async fn one_of_another_protocol_version_gets_nothing() {
    let mut cli = vec![FakeCli::start("cli-1").await];
    cli.push(FakeCli::with("cli-2", Options { protocol_version: Some(9), ..Options::default() }).await);
    let rig = Rig::over(Plan { backends: 2, ..Plan::default() }, cli).await;
    rig.up(0).await;
    rig.down(1).await;
    let client = rig.client().await;
    for number in 0..5 {
        let session = id_at(&format!("version{number}"), 2, 1);
        create(&client, &session).await;
        assert_eq!(rig.home(&session), 0);
    }
    admin::until(&rig.proxy, "probes_total", &["backend=\"cli-2\"", "outcome=\"version\""], |count| count >= 1.0).await;
}

#[tokio::test]
async fn the_other_policies_spread_evenly() {
    for policy in ["round-robin", "least-sessions"] {
        let rig = Rig::with(Plan { backends: 3, pool: &format!("policy = \"{policy}\""), ..Plan::default() }).await;
        let client = rig.client().await;
        for number in 0..12 {
            create(&client, &format!("p-{number}")).await;
            turn(&client, &format!("p-{number}")).await;
        }
        let load: Vec<usize> = rig.cli.iter().map(|cli| cli.live().len()).collect();
        assert_eq!(load, [4, 4, 4], "{policy}");
    }
}
