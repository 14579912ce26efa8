//! Connect, create, resume: each session lands on one backend and stays there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    admin,
    rig::{Plan, Rig, assert_ours, create, id_at, name, order, prompt, turn},
};
use crate::{fake_cli::FakeCli, rpc_client::RpcClient};

#[tokio::test]
async fn later_links_get_connect_and_the_set_up_in_its_order() {
    let rig = Rig::new(3).await;
    let client = rig.stranger().await;
    let greeting = json!({"clientInfo": {"name": "set-up", "version": "1"}, "supportedTaskKinds": ["agent"]});
    let answer = client.call("connect", greeting.clone()).await.expect("connected");
    assert_eq!(
        answer,
        json!({"ok": true, "protocolVersion": 3, "version": "1.0.102", "taskKinds": ["agent", "shell"]})
    );
    let calls = ["sessionFs.setProvider", "plugins.builtin.set", "llmInference.setProvider"];
    for (at, call) in calls.into_iter().enumerate() {
        let done = client.call(call, json!({"number": at})).await.expect("set up");
        assert_eq!(done, json!({"success": true}));
    }
    for home in 0..3 {
        let session = id_at("set-up", 3, home);
        create(&client, &session).await;
        let conn = rig.conn(home, &session);
        let heard: Vec<_> = rig.cli[home].frames().into_iter().filter(|frame| frame.conn == conn).collect();
        let methods: Vec<&str> = heard.iter().map(|frame| frame.method()).collect();
        assert_eq!(methods, [&["connect"], &calls[..], &["session.create"]].concat(), "backend {home}");
        assert_eq!(heard[0].params(), &greeting);
        let numbers: Vec<&Value> = heard[1..4].iter().map(|frame| &frame.params()["number"]).collect();
        assert_eq!(numbers, [0, 1, 2]);
    }
    // A later call reaches every link; the answer is one.
    client.call("plugins.builtin.set", json!({"number": 9})).await.expect("set up");
    for cli in &rig.cli {
        cli.wait_for(|frame| frame.method() == "plugins.builtin.set" && frame.params()["number"] == 9).await;
    }
}

#[tokio::test]
async fn without_a_healthy_backend_connect_is_answered() {
    let cli = FakeCli::start("cli-1").await;
    cli.die(crate::fake_cli::Close::Rst);
    let rig = Rig::over(Plan::default(), vec![cli]).await;
    let client = rig.stranger().await;
    let error = client.call("connect", json!({})).await.expect_err("nobody there");
    assert_ours(&error, -32010, "no_backend");
    assert_eq!(error.data["retryable"], true);
    rig.down(0).await;
    let error = client.call("connect", json!({})).await.expect_err("nobody there");
    assert_ours(&error, -32010, "no_backend");
    let error = client.call("session.create", json!({})).await.expect_err("nobody there");
    assert_ours(&error, -32010, "no_backend");
    rig.cli[0].restart().await;
    rig.up(0).await;
    client.call("connect", json!({})).await.expect("the same client goes on");
    create(&client, "late").await;
}

#[tokio::test]
async fn sessions_spread_and_each_one_stays_on_one_backend() {
    let rig = Rig::new(3).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(rig.client().await);
    }
    let ids: Vec<String> = (0..60).map(|number| format!("spread-{number}")).collect();
    for (at, id) in ids.iter().enumerate() {
        create(&clients[at % 4], id).await;
        turn(&clients[at % 4], id).await;
        clients[at % 4].call("session.getMessages", json!({"sessionId": id})).await.expect("live");
    }
    let mut load = BTreeMap::new();
    for id in &ids {
        let homes: BTreeSet<usize> =
            (0..3).filter(|at| rig.cli[*at].frames().iter().any(|frame| frame.session() == id)).collect();
        assert_eq!(homes, BTreeSet::from([order(id, 3)[0]]), "{id}");
        *load.entry(order(id, 3)[0]).or_insert(0) += 1;
    }
    // The default bound is 1.25 times the mean, from 32 sessions a backend on; below that the hash alone decides.
    assert!(load.len() == 3 && load.values().all(|count| (8..=32).contains(count)), "{load:?}");
    let status = admin::status(&rig.proxy).await;
    let sessions: i64 = status["pools"][0]["backends"]
        .as_array()
        .expect("backends")
        .iter()
        .filter_map(|b| b["sessions"].as_i64())
        .sum();
    assert_eq!(sessions, 60, "{status}");
}

#[tokio::test]
async fn the_bound_on_load_keeps_a_hundred_sessions_even() {
    let rig = Rig::with(Plan { backends: 3, pool: "load_bound_floor = 0", ..Plan::default() }).await;
    let client = rig.client().await;
    for number in 0..100 {
        create(&client, &format!("even-{number}")).await;
    }
    let load: Vec<usize> = rig.cli.iter().map(|cli| cli.live().len()).collect();
    assert_eq!(load.iter().sum::<usize>(), 100);
    // 1.25 times the mean of 33.3, rounded up.
    assert!(load.iter().all(|count| *count <= 42), "{load:?}");
}

#[tokio::test]
async fn two_clients_of_one_session_meet_at_its_home() {
    let rig = Rig::new(3).await;
    let (a, b) = (rig.client().await, rig.client().await);
    let session = id_at("both", 3, 1);
    create(&a, &session).await;
    b.call("session.resume", json!({"sessionId": session})).await.expect("live");
    let sent = prompt(&b, &session).await.expect("sent");
    assert!(sent["messageId"].is_string());
    for client in [&a, &b] {
        client.next_event(&session, "session.idle").await;
        assert!(client.events(&session).contains(&"assistant.message".to_owned()));
    }
    assert_eq!(rig.home(&session), 1);
    // One of them lets go: the other one's session goes on.
    a.call("session.detach", json!({"sessionId": session})).await.expect("detached");
    turn(&b, &session).await;
    // A client that never attached reaches it too.
    let c = rig.client().await;
    c.call("session.getMessages", json!({"sessionId": session})).await.expect("at its home");
}

#[tokio::test]
async fn a_create_without_an_id_gets_one_whose_hash_is_its_home() {
    let rig = Rig::new(3).await;
    let client = rig.client().await;
    for params in
        [json!({}), json!({"sessionId": null}), json!({"sessionId": ""}), json!({"model": "x", "sessionId": ""})]
    {
        let made = client.call("session.create", params.clone()).await.expect("created");
        let session = made["sessionId"].as_str().expect("an id").to_owned();
        let home = rig.home(&session);
        assert_eq!(home, order(&session, 3)[0], "{params}");
        let frame = rig.cli[home].wait_for_method(&session, "session.create").await;
        assert_eq!(frame.params()["model"], params["model"]);
        turn(&client, &session).await;
    }
    // Without any params at all.
    let body = r#"{"jsonrpc":"2.0","id":"bare","method":"session.create"}"#;
    client.send_raw(&super::raw::frame(body)).await;
    let made = client.next_stray().await;
    assert_eq!(made["id"], "bare");
    rig.home(made["result"]["sessionId"].as_str().expect("an id"));
    for bad in [json!("../../x"), json!("a".repeat(129)), json!("ä"), json!("a b"), json!(5), json!([]), json!({})] {
        let error = client.call("session.create", json!({"sessionId": bad})).await.expect_err("not an id");
        assert_ours(&error, -32602, "invalid_params");
        let error = client.call("session.resume", json!({"sessionId": bad})).await.expect_err("not an id");
        assert_ours(&error, -32602, "invalid_params");
    }
}

#[tokio::test]
async fn a_session_is_resumed_after_its_client_let_go() {
    let rig = Rig::new(3).await;
    let client = rig.client().await;
    let session = id_at("again", 3, 2);
    create(&client, &session).await;
    turn(&client, &session).await;
    client.call("session.detach", json!({"sessionId": session})).await.expect("detached");
    rig.cli[2].wait_for_live(&session, false).await;
    let back = client.call("session.resume", json!({"sessionId": session})).await.expect("on the disk");
    assert_eq!(back["sessionId"], session.as_str());
    turn(&client, &session).await;
    // Its client goes away without a word, and another one comes.
    drop(client);
    rig.cli[2].wait_for_live(&session, false).await;
    let other = rig.client().await;
    other.call("session.resume", json!({"sessionId": session})).await.expect("on the disk");
    turn(&other, &session).await;
    assert_eq!(rig.home(&session), 2);
}

#[tokio::test]
async fn the_mapping_is_the_same_in_a_second_proxy_and_after_a_restart() {
    let rig = Rig::new(3).await;
    let addresses: Vec<_> = rig.cli.iter().map(FakeCli::addr).collect();
    let first = rig.client().await;
    for number in 0..12 {
        create(&first, &format!("map-{number}")).await;
    }
    let homes: Vec<usize> = (0..12).map(|number| rig.home(&format!("map-{number}"))).collect();
    let second = crate::process::Pilotfish::start(&Plan::default().config(&addresses)).await;
    for at in 0..3 {
        second.wait_for_line(&format!("backend is up pool=\"copilot\" backend=\"{}\"", name(at))).await;
    }
    let client = RpcClient::connect(second.addr("sdk")).await;
    client.call("connect", json!({})).await.expect("connected");
    for (number, home) in homes.into_iter().enumerate() {
        let session = format!("map-{number}");
        client.call("session.resume", json!({"sessionId": session})).await.expect("live at its home");
        assert_eq!(rig.home(&session), home);
    }
}

#[tokio::test]
async fn clients_that_race_for_one_id_meet_at_one_backend() {
    let rig = Rig::with(Plan { backends: 3, pool: "policy = \"round-robin\"", ..Plan::default() }).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(rig.client().await);
    }
    for number in 0..10 {
        let session = format!("race-{number}");
        let mut open = Vec::new();
        for client in &clients {
            open.push(client.start("session.create", json!({"sessionId": session})).await);
        }
        for created in open {
            created.answer().await.expect("made or attached");
        }
        rig.home(&session);
    }
}

#[tokio::test]
async fn a_session_that_another_client_deleted_is_gone() {
    let rig = Rig::new(2).await;
    let (a, b) = (rig.client().await, rig.client().await);
    let session = id_at("deleted", 2, 1);
    create(&a, &session).await;
    turn(&a, &session).await;
    assert_eq!(b.call("session.delete", json!({"sessionId": session})).await, Ok(json!({"success": true})));
    let deleted = |told: &serde_json::Value| {
        told["params"]["type"] == "session.deleted" && told["params"]["sessionId"] == session.as_str()
    };
    a.take("the deletion", deleted).await;
    let error = prompt(&a, &session).await.expect_err("gone");
    assert_eq!(
        (error.code, error.message),
        (-32603, format!("Request session.send failed with message: Session not found for sessionId: {session}"))
    );
    create(&a, &session).await;
    turn(&a, &session).await;
}
