//! Where a message goes that does not simply belong to a session of its client.

use serde_json::json;

use super::rig::{Plan, Rig, assert_ours, create, id_at, order, turn};
use crate::fake_cli::{Act, Close};

#[tokio::test]
async fn shutdown_of_the_runtime_reaches_no_backend() {
    let rig = Rig::new(2).await;
    let client = rig.client().await;
    create(&client, "on").await;
    for params in [json!({}), json!({"sessionId": "on"})] {
        let error = client.call("runtime.shutdown", params).await.expect_err("not for clients");
        assert_ours(&error, -32601, "denied_by_policy");
    }
    client.notify("runtime.shutdown", json!({})).await;
    let escaped = r#"{"jsonrpc":"2.0","id":"esc","method":"runtime\u002eshutdown","params":{}}"#;
    client.send_raw(&super::raw::frame(escaped)).await;
    assert_eq!(client.next_stray().await["error"]["code"], -32601);
    turn(&client, "on").await;
    client.call("ping", json!({})).await.expect("all there");
    assert!(rig.cli.iter().all(|cli| cli.frames().iter().all(|frame| !frame.method().contains("shutdown"))));
}

#[tokio::test]
async fn shutdown_of_the_runtime_passes_where_the_operator_lets_it() {
    let rig = Rig::with(Plan { session: "allow_runtime_shutdown = true", ..Plan::default() }).await;
    let client = rig.client().await;
    client.call("runtime.shutdown", json!({})).await.expect("passed on");
    assert_eq!(rig.cli[0].count("runtime.shutdown"), 1);
}

#[tokio::test]
async fn unknown_methods_follow_their_session_and_errors_come_unchanged() {
    let rig = Rig::new(3).await;
    let client = rig.client().await;
    for home in 0..3 {
        let session = id_at("unknown", 3, home);
        create(&client, &session).await;
        let error = client.call("session.foo", json!({"sessionId": session})).await.expect_err("unknown to the CLI");
        assert_eq!((error.code, error.message.as_str()), (-32601, "Unhandled method session.foo"));
        assert!(error.data.is_null(), "a backend's own error: {error:?}");
        client.call("session.brandNew", json!({"sessionId": session, "x": 1})).await.expect("the fake takes it");
        for (at, cli) in rig.cli.iter().enumerate() {
            assert_eq!(cli.saw(&session, "session.foo") && cli.saw(&session, "session.brandNew"), at == home);
        }
    }
    let error = client.call("never.heard.of", json!({})).await.expect_err("unknown to the CLI");
    assert_eq!((error.code, error.message.as_str()), (-32601, "Unhandled method never.heard.of"));
    client.notify("never.heard.of", json!({"note": true})).await;
    client.call("ping", json!({})).await.expect("fine");
    let noted = |cli: &crate::fake_cli::FakeCli| cli.frames().iter().any(|frame| frame.params()["note"] == true);
    assert!(!rig.cli.iter().any(noted), "an unknown notification goes nowhere");
}

#[tokio::test]
async fn a_client_has_one_backend_for_what_has_no_session() {
    let rig = Rig::new(3).await;
    let mut used = [false; 3];
    for number in 0..12 {
        let client = rig.client().await;
        for method in ["ping", "models.list", "session.getForeground", "tools.list", "nobody.knows"] {
            let _ = client.call(method, json!({"client": number})).await;
        }
        let heard: Vec<usize> =
            (0..3).filter(|at| rig.cli[*at].frames().iter().any(|frame| frame.params()["client"] == number)).collect();
        assert_eq!(heard.len(), 1, "client {number}");
        used[heard[0]] = true;
    }
    assert_eq!(used, [true; 3], "clients spread");
}

#[tokio::test]
async fn a_client_whose_own_backend_died_gets_another_one_and_keeps_it() {
    let rig = Rig::new(3).await;
    let client = rig.client().await;
    client.call("sessionFs.setProvider", json!({"mark": 1})).await.expect("set up");
    let first = (0..3).find(|at| rig.cli[*at].count("sessionFs.setProvider") == 1).expect("one of them");
    rig.cli[first].die(Close::Rst);
    for number in 0..6 {
        // The one that was open at the death may be lost; the next goes elsewhere.
        while client.call("ping", json!({"message": format!("after-{number}")})).await.is_err() {}
    }
    let with = |at: &usize| rig.cli[*at].frames().iter().any(|frame| frame.params()["message"] == "after-5");
    let second: Vec<usize> = (0..3).filter(with).collect();
    assert_eq!(second.len(), 1);
    let all: Vec<usize> = (0..6)
        .map(|number| {
            let text = format!("after-{number}");
            rig.cli[second[0]].frames().iter().filter(|frame| frame.params()["message"] == text.as_str()).count()
        })
        .collect();
    assert_eq!(all[1..], [1; 5]);
    // It was told the client's set-up before anything else.
    assert_eq!(rig.cli[second[0]].count("sessionFs.setProvider"), 1);
}

#[tokio::test]
async fn a_fork_stays_where_it_was_made() {
    let rig = Rig::new(3).await;
    let client = rig.client().await;
    let source = id_at("source", 3, 1);
    create(&client, &source).await;
    turn(&client, &source).await;
    // Until the copy's own hash would have it elsewhere.
    let copy = loop {
        let made = client.call("sessions.fork", json!({"sessionId": source})).await.expect("forked");
        let copy = made["sessionId"].as_str().expect("an id").to_owned();
        if order(&copy, 3)[0] != 1 {
            break copy;
        }
    };
    client.call("session.resume", json!({"sessionId": copy})).await.expect("made there");
    assert_eq!(rig.home(&copy), 1);
    turn(&client, &copy).await;
    // Another client finds it there too.
    let other = rig.client().await;
    other.call("session.resume", json!({"sessionId": copy})).await.expect("live there");
    assert_eq!(rig.home(&copy), 1);
}

#[tokio::test]
async fn what_an_open_made_stays_where_it_was_made() {
    let rig = Rig::new(3).await;
    let client = rig.client().await;
    let kinds =
        [json!({"kind": "create"}), json!({"kind": "resumeLast"}), json!({"kind": "resume", "sessionId": "abcdef0"})];
    for (number, params) in kinds.into_iter().enumerate() {
        let made = format!("opened-{number}");
        for cli in &rig.cli {
            let result = format!(r#"{{"sessionId":"{made}","metadata":{{"sessionId":"{made}"}}}}"#);
            cli.next(1, "sessions.open", Act::Answer(result));
        }
        let opened = client.call("sessions.open", params.clone()).await.expect("opened");
        assert_eq!(opened["sessionId"], made.as_str());
        let count = |at: &usize| rig.cli[*at].frames().iter().any(|frame| frame.params() == &params);
        let home = (0..3).find(count).expect("one of them");
        client.call("session.foo", json!({"sessionId": made})).await.expect_err("unknown to the CLI");
        let other = rig.client().await;
        other.call("session.foo", json!({"sessionId": made})).await.expect_err("unknown to the CLI");
        let heard = |at: usize| rig.cli[at].frames().iter().filter(|frame| frame.session() == made).count();
        for at in 0..3 {
            assert_eq!(heard(at), if at == home { 2 } else { 0 }, "{params}");
        }
        rig.cli.iter().for_each(|cli| cli.as_usual());
    }
}
