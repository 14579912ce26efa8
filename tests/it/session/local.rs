//! `storage = "local"`: each backend has a disk of its own, and the proxy has to know where to look.

use serde_json::{Value, json};

use super::rig::{Plan, Rig, assert_ours, create, id_at, name, order, turn};
use crate::{
    fake_cli::{Act, Close, FakeCli},
    process::Pilotfish,
    rpc_client::RpcClient,
};

const LOCAL: Plan<'static> = Plan {
    backends: 3,
    storage: "local",
    listener: "",
    session: "",
    timeouts: "quick = \"500ms\"",
    pool: "",
    health: super::rig::OFTEN,
    shutdown: "",
    more: "",
    backend: |_| "",
    token: None,
    env: &[],
};

/// Sessions `prefix-0` ... on the disks of `cli` as an earlier pool of only those left them.
async fn earlier(cli: &[&FakeCli], sessions: &[&str]) {
    for (cli, session) in cli.iter().zip(sessions) {
        let client = RpcClient::connect(cli.addr()).await;
        client.call("connect", json!({})).await.expect("connected");
        create(&client, session).await;
        turn(&client, session).await;
        client.call("session.detach", json!({"sessionId": session})).await.expect("detached");
    }
}

#[tokio::test]
async fn sessions_are_found_again_after_the_pool_has_changed() {
    let rig = Rig::with(LOCAL).await;
    let client = rig.client().await;
    // Each was left on a disk that its hash does not name, at every distance in the search order.
    for distance in [1, 2] {
        let session = format!("found-{distance}");
        let disk = order(&session, 3)[distance];
        earlier(&[&rig.cli[disk]], &[&session]).await;
        let back = client.call("session.resume", json!({"sessionId": session})).await.expect("found");
        assert_eq!(back["sessionId"], session.as_str());
        assert_eq!(rig.home(&session), disk);
        turn(&client, &session).await;
        let asked: Vec<bool> =
            order(&session, 3).into_iter().map(|at| rig.cli[at].saw(&session, "session.resume")).collect();
        assert_eq!(asked, (0..3).map(|at| at <= distance).collect::<Vec<_>>(), "along the hash order, no further");
    }
    let lost = client.call("session.resume", json!({"sessionId": "nowhere"})).await.expect_err("on no disk");
    assert_eq!(lost.code, -32603, "the last backend's own words: {lost:?}");
    assert!(lost.message.contains("Session not found"), "{lost:?}");
    assert!(rig.cli.iter().all(|cli| cli.saw("nowhere", "session.resume")));
    // The id is free: it can be made.
    create(&client, "nowhere").await;
    assert_eq!(rig.home("nowhere"), order("nowhere", 3)[0]);
}

#[tokio::test]
async fn look_ups_and_deletions_find_their_disk() {
    let rig = Rig::with(LOCAL).await;
    let client = rig.client().await;
    for distance in [0, 1, 2] {
        let session = format!("look-{distance}");
        let disk = order(&session, 3)[distance];
        earlier(&[&rig.cli[disk]], &[&session]).await;
        let meta = client.call("session.getMetadata", json!({"sessionId": session})).await.expect("found");
        assert_eq!(meta["session"]["sessionId"], session.as_str());
        let gone = client.call("session.delete", json!({"sessionId": session})).await.expect("deleted");
        assert_eq!(gone, json!({"success": true}));
        let meta = client.call("session.getMetadata", json!({"sessionId": session})).await.expect("answered");
        assert_eq!(meta, json!({}), "on no disk any more");
        let gone = client.call("session.delete", json!({"sessionId": session})).await.expect("answered");
        assert_eq!(gone["success"], false);
    }
    // getMessages of a session that is live elsewhere goes to its home, and of none says so.
    let other = rig.client().await;
    create(&other, "live").await;
    client.call("session.getMessages", json!({"sessionId": "live"})).await.expect("at its home");
    let error = client.call("session.getMessages", json!({"sessionId": "none"})).await.expect_err("nowhere");
    assert!(error.message.contains("Session not found"), "{error:?}");
    assert!(rig.cli.iter().all(|cli| cli.saw("none", "session.getMessages")));
}

/// `sessionId`s of a list, in its order.
fn ids(list: &Value) -> Vec<&str> {
    list["sessions"].as_array().expect("a list").iter().filter_map(|row| row["sessionId"].as_str()).collect()
}

#[tokio::test]
async fn lists_are_merged_newest_first_without_doubles() {
    let rig = Rig::with(LOCAL).await;
    let disks: Vec<&FakeCli> = rig.cli.iter().collect();
    earlier(&disks, &["l-a", "l-b", "l-c"]).await;
    earlier(&[disks[1], disks[0]], &["l-d", "l-e"]).await;
    // The same session on two disks, as a fork of the pool's history may leave it: the later one counts.
    earlier(&[disks[2]], &["l-a"]).await;
    let client = rig.client().await;
    for method in ["session.list", "sessions.list"] {
        let list = client.call(method, json!({})).await.expect("all answered");
        assert_eq!(ids(&list), ["l-a", "l-e", "l-d", "l-c", "l-b"], "{method}");
        assert!(list.get("incomplete").is_none(), "{list}");
    }
    let last = client.call("session.getLastId", json!({})).await.expect("answered");
    assert_eq!(last, json!({"sessionId": "l-a"}));
    // The client's own id is not the one that the backends see.
    let frames = rig.cli[0].frames();
    assert!(frames.iter().filter(|f| f.method() == "session.list").all(|f| f.id().unwrap().contains("pilotfish-")));
}

#[tokio::test]
async fn a_list_without_everybody_says_so() {
    let rig = Rig::with(LOCAL).await;
    let disks: Vec<&FakeCli> = rig.cli.iter().collect();
    earlier(&disks, &["i-a", "i-b", "i-c"]).await;
    let client = rig.client().await;
    // One does not answer in time.
    rig.cli[1].next(1, "session.list", Act::Ignore);
    let list = client.call("session.list", json!({})).await.expect("the others answered");
    assert_eq!((ids(&list), &list["incomplete"]), (vec!["i-c", "i-a"], &json!(true)));
    // One answers with an error.
    rig.cli[2].next(1, "session.list", Act::Fail { code: -32603, message: "disk".into() });
    let last = client.call("session.getLastId", json!({})).await.expect("the others answered");
    assert_eq!(last, json!({"sessionId": "i-b", "incomplete": true}));
    // One dies in the middle of it.
    rig.cli[0].next(1, "session.list", Act::Die(Close::Rst));
    let list = client.call("session.list", json!({})).await.expect("the others answered");
    assert_eq!((ids(&list), &list["incomplete"]), (vec!["i-c", "i-b"], &json!(true)));
    // It is down for good.
    rig.down(0).await;
    let list = client.call("session.list", json!({})).await.expect("the others answered");
    assert_eq!((ids(&list), &list["incomplete"]), (vec!["i-c", "i-b"], &json!(true)));
    // All refuse: their own error comes through.
    for at in [1, 2] {
        rig.cli[at].next(1, "session.list", Act::Fail { code: -32603, message: "disk".into() });
    }
    let error = client.call("session.list", json!({})).await.expect_err("nobody could");
    assert_eq!((error.code, error.message.as_str()), (-32603, "disk"));
    for at in [1, 2] {
        rig.cli[at].next(1, "session.list", Act::Ignore);
    }
    let error = client.call("session.list", json!({})).await.expect_err("nobody answered");
    assert_ours(&error, -32010, "no_backend");
}

#[tokio::test]
async fn shared_storage_asks_one_backend() {
    let rig = Rig::with(Plan { storage: "shared", ..LOCAL }).await;
    let client = rig.client().await;
    for home in 0..3 {
        let session = id_at("s", 3, home);
        create(&client, &session).await;
        turn(&client, &session).await;
    }
    let list = client.call("session.list", json!({})).await.expect("answered");
    assert_eq!(ids(&list).len(), 3);
    assert!(list.get("incomplete").is_none());
    client.call("session.getLastId", json!({})).await.expect("answered");
    assert_eq!(rig.cli.iter().map(|cli| cli.count("session.list")).sum::<usize>(), 1);
    assert_eq!(rig.cli.iter().map(|cli| cli.count("session.getLastId")).sum::<usize>(), 1);
}

#[tokio::test]
async fn a_deletion_in_bulk_goes_to_the_homes() {
    let rig = Rig::with(Plan { storage: "shared", ..LOCAL }).await;
    let client = rig.client().await;
    let sessions: Vec<String> = (0..3).map(|home| id_at("bulk", 3, home)).collect();
    for session in &sessions {
        create(&client, session).await;
    }
    for (at, cli) in rig.cli.iter().enumerate() {
        cli.on("sessions.bulkDelete", Act::Answer(format!(r#"{{"freedBytes":{{"{}":{}}}}}"#, sessions[at], at + 1)));
    }
    let all: Vec<&str> = sessions.iter().map(String::as_str).chain([sessions[0].as_str()]).collect();
    let freed = client.call("sessions.bulkDelete", json!({"sessionIds": all, "keep": true})).await.expect("merged");
    let wanted = json!({"freedBytes": {&*sessions[0]: 1, &*sessions[1]: 2, &*sessions[2]: 3}});
    assert_eq!(freed, wanted);
    for (at, cli) in rig.cli.iter().enumerate() {
        let frames = cli.frames();
        let asked: Vec<_> = frames.iter().filter(|frame| frame.method() == "sessions.bulkDelete").collect();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].params(), &json!({"sessionIds": [sessions[at]], "keep": true}));
    }
}

#[tokio::test]
async fn a_search_goes_past_those_that_cannot_be_reached() {
    let rig = Rig::with(Plan { health: super::rig::ONCE, ..LOCAL }).await;
    let client = rig.client().await;
    let session = "past";
    let path = order(session, 3);
    earlier(&[&rig.cli[path[2]]], &[session]).await;
    rig.cli[path[0]].die(Close::Rst);
    let meta = client.call("session.getMetadata", json!({"sessionId": session})).await.expect("found behind it");
    assert_eq!(meta["session"]["sessionId"], session);
    rig.cli[path[1]].die(Close::Rst);
    let gone = format!("backend=\"{}\"", name(path[1]));
    super::admin::until(&rig.proxy, "links", &[&gone], |links| links == 0.0).await;
    client.call("session.resume", json!({"sessionId": session})).await.expect("found behind both");
    assert_eq!(rig.home(session), path[2]);
}

#[tokio::test]
async fn a_new_backend_moves_nobody() {
    // Two proxies: the earlier pool had two of the three backends.
    let rig = Rig::with(LOCAL).await;
    let addresses: Vec<_> = rig.cli.iter().take(2).map(FakeCli::addr).collect();
    let mut small = Pilotfish::start(&LOCAL.config(&addresses)).await;
    for at in [0, 1] {
        small.wait_for_line(&format!("backend is up pool=\"copilot\" backend=\"{}\"", name(at))).await;
    }
    let client = RpcClient::connect(small.addr("sdk")).await;
    client.call("connect", json!({})).await.expect("connected");
    let session = id_at("grow", 3, 2);
    create(&client, &session).await;
    turn(&client, &session).await;
    let home = rig.home(&session);
    small.terminate();
    assert!(small.exit().await.success());
    rig.cli[home].wait_for_live(&session, false).await;
    let client = rig.client().await;
    client.call("session.resume", json!({"sessionId": session})).await.expect("found where it is");
    assert_eq!(rig.home(&session), home);
}
