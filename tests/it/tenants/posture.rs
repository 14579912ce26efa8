//! Who uses a pool: one trusted application, tenants, or one tenant alone; and what an operator allows and denies beyond the
//! table of methods.

use serde_json::{Value, json};

use super::rig::{ALICE, BOB, ENV, TWO, assert_denied, login};
use crate::{
    fake_cli::{Act, FakeCli},
    rpc_client::{RpcClient, RpcError},
    session::rig::{Plan, Rig, create, turn},
};

/// What came of a call: whether it reached the backend.
async fn reaches(client: &RpcClient, cli: &FakeCli, method: &str, params: Value) -> (bool, Result<Value, RpcError>) {
    let before = cli.count(method);
    let answer = client.call(method, params).await;
    (cli.count(method) > before, answer)
}

async fn assert_passes(client: &RpcClient, cli: &FakeCli, method: &str, params: Value) {
    let (reached, answer) = reaches(client, cli, method, params).await;
    assert!(reached, "{method}: {answer:?}");
}

async fn assert_does_not(client: &RpcClient, cli: &FakeCli, method: &str, params: Value) {
    let (reached, answer) = reaches(client, cli, method, params).await;
    assert!(!reached, "{method} reached the backend");
    assert_denied(answer, method);
}

#[tokio::test]
async fn an_open_pool_is_open_though_there_are_tenants() {
    let more = format!(
        "{TWO}[[listener]]\nname = \"walled\"\nbind = \"127.0.0.1:0\"\npool = \"walled\"\n\
         [pool.walled]\nbackends = [{{ name = \"none\", address = \"127.0.0.1:1\" }}]\n"
    );
    let rig = Rig::with(Plan { pool: "posture = \"open\"", more: &more, env: ENV, ..Plan::default() }).await;
    let (one, two) = (rig.client().await, rig.client().await);
    create(&one, "alice--x").await;
    turn(&one, "alice--x").await;
    two.call("session.resume", json!({"sessionId": "alice--x"})).await.expect("nobody's in particular");
    two.call("session.shell.exec", json!({"sessionId": "alice--x", "command": "true"})).await.expect("trusted");
    let list = two.call("session.list", json!({})).await.expect("a list");
    assert_eq!(list["sessions"][0]["sessionId"], "alice--x");
    rig.proxy.wait_for_line("one trusted application").await;
    // The other pool is not.
    let stranger = RpcClient::connect(rig.proxy.addr("walled")).await;
    assert_eq!(stranger.call("connect", json!({})).await.expect_err("asked").code, -32002);
    assert_eq!(stranger.call("ping", json!({})).await.expect_err("asked").code, -32001);
}

#[tokio::test]
async fn without_tenants_a_pool_is_open_and_that_is_told() {
    let rig = Rig::new(1).await;
    rig.proxy.wait_for_line("one trusted application").await;
    let (one, two) = (rig.client().await, rig.client().await);
    create(&one, "alice--x").await;
    two.call("session.resume", json!({"sessionId": "alice--x"})).await.expect("open");
}

const DEDICATED: &str = "posture = \"dedicated\"\ntenant = \"alice\"";

#[tokio::test]
async fn into_a_dedicated_pool_gets_its_tenant_alone_and_it_may_do_nearly_all() {
    let rig = Rig::with(Plan { pool: DEDICATED, more: TWO, env: ENV, ..Plan::default() }).await;
    let cli = &rig.cli[0];
    let bob = rig.stranger().await;
    assert_eq!(bob.call("connect", json!({"token": BOB})).await.expect_err("not his pool").code, -32002);
    let (alice, second) = (login(&rig, ALICE).await, login(&rig, ALICE).await);
    // No names and no owners, and no guards either.
    for session in ["x", "bob--x", "35ace27"] {
        create(&alice, session).await;
        second.call("session.resume", json!({ "sessionId": session })).await.expect("hers as well");
    }
    let at_home = json!({"sessionId": "x2", "workingDirectory": "/etc", "mcpServers": {"a": {"command": "sh"}}});
    alice.call("session.create", at_home).await.expect("nobody else is there");
    assert_passes(&alice, cli, "session.shell.exec", json!({"sessionId": "x", "command": "true"})).await;
    assert_passes(&alice, cli, "llmInference.setProvider", json!({})).await;
    assert_passes(&alice, cli, "not.in.theTable", json!({})).await;
    assert_does_not(&alice, cli, "runtime.shutdown", json!({})).await;
    assert_does_not(&alice, cli, "agentRegistry.spawn", json!({})).await;
    alice.call("session.delete", json!({"sessionId": "bob--x"})).await.expect("hers to end");
}

#[tokio::test]
async fn in_a_dedicated_pool_an_operator_opens_and_closes_more() {
    let pool = format!(
        "{DEDICATED}\nmethods = {{ allow = [\"agentRegistry.spawn\", \"runtime.*\"], deny = [\"session.shell.*\"] }}"
    );
    let rig = Rig::with(Plan { pool: &pool, more: TWO, env: ENV, ..Plan::default() }).await;
    let (cli, alice) = (&rig.cli[0], login(&rig, ALICE).await);
    create(&alice, "x").await;
    assert_passes(&alice, cli, "agentRegistry.spawn", json!({})).await;
    assert_does_not(&alice, cli, "session.shell.exec", json!({"sessionId": "x", "command": "true"})).await;
    cli.on("runtime.shutdown", Act::Answer("null".into()));
    assert_passes(&alice, cli, "runtime.shutdown", json!({})).await;
}

/// By name and by the beginning of names; for all tenants of a pool, and for one.
#[tokio::test]
async fn a_tenant_s_word_counts_before_its_pool_s_and_a_longer_name_before_a_shorter() {
    let pool = "methods = { allow = [\"session.shell.*\", \"my.own\", \"your.*\"], deny = [\"session.getMessages\", \"session.model.*\", \"your.two\"] }";
    let more = "[[tenant]]\nname = \"alice\"\ntokens = [{ env = \"IT_ALICE\" }]\n\
        methods = { allow = [\"session.getMessages\", \"session.model.getCurrent\"], deny = [\"session.shell.exec\", \"my.*\"] }\n\
        [[tenant]]\nname = \"bob\"\ntokens = [{ env = \"IT_BOB\" }]\n";
    let rig = Rig::with(Plan { pool, more, env: ENV, ..Plan::default() }).await;
    let cli = &rig.cli[0];
    let (alice, bob) = (login(&rig, ALICE).await, login(&rig, BOB).await);
    create(&alice, "alice--x").await;
    create(&bob, "bob--x").await;
    for (client, session, method, passes) in [
        (&alice, "alice--x", "session.shell.exec", false),
        (&alice, "alice--x", "session.shell.kill", true),
        (&bob, "bob--x", "session.shell.exec", true),
        (&bob, "bob--x", "session.shell.kill", true),
        (&alice, "alice--x", "session.getMessages", true),
        (&bob, "bob--x", "session.getMessages", false),
        (&alice, "alice--x", "session.model.getCurrent", true),
        (&alice, "alice--x", "session.model.switchTo", false),
        (&bob, "bob--x", "session.model.getCurrent", false),
        (&alice, "alice--x", "my.own", false),
        (&bob, "bob--x", "my.own", true),
        (&bob, "bob--x", "my.other", false),
        (&alice, "alice--x", "your.one", true),
        (&alice, "alice--x", "your.two", false),
        // What nobody spoke of is as in the table.
        (&alice, "alice--x", "session.abort", true),
        (&bob, "bob--x", "runtime.shutdown", false),
    ] {
        let params = json!({ "sessionId": session });
        if passes {
            assert_passes(client, cli, method, params).await;
        } else {
            assert_does_not(client, cli, method, params).await;
        }
    }
    // An allowed method is no way to another's session.
    for method in ["session.shell.exec", "my.own", "your.one"] {
        let before = cli.count(method);
        let answer = bob.call(method, json!({"sessionId": "alice--x", "command": "true"})).await;
        assert!(answer.is_err() && cli.count(method) == before, "{method}: {answer:?}");
    }
}
