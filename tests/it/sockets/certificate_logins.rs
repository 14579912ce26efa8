//! Clients whose certificate says which tenant they are.

use serde_json::json;

use super::{
    Folder,
    certificates::{Authority, dns, loopback, uri},
    tls_tunnel::{tls, tunnel_to},
};
use crate::{
    rpc_client::RpcClient,
    session::rig::{Plan, Rig, create, turn},
};

const ALICE: &str = "alice-token-000000000001";
const BOB: &str = "bob-token-00000000000002";
const ENV: &[(&str, &str)] = &[("IT_ALICE", ALICE), ("IT_BOB", BOB)];

const TENANTS: &str = r#"
[[tenant]]
name = "alice"
certificates = [ "alice.example.org", "spiffe://corp/alice" ]
tokens = [ { env = "IT_ALICE", user = "ann" } ]
[tenant.limits]
connections = 2
[[tenant]]
name = "bob"
certificates = [ "bob@corp.example" ]
tokens = [ { env = "IT_BOB" } ]
"#;

#[tokio::test]
async fn a_certificate_is_as_good_as_a_token() {
    let folder = Folder::new("logins");
    let ca = Authority::new(&folder, "ca");
    ca.sign(&folder, "proxy", &[loopback()]);
    ca.sign(&folder, "alice", &[dns("other.example.org"), uri("spiffe://corp/alice")]);
    ca.sign(&folder, "nobody", &[dns("nobody.example.org")]);
    ca.sign(
        &folder,
        "both",
        &[dns("alice.example.org"), rcgen::SanType::Rfc822Name("bob@corp.example".try_into().unwrap())],
    );
    let listener = tls(&folder, "optional");
    let plan = Plan { listener: &listener, more: TENANTS, env: ENV, ..Plan::default() };
    let rig = Rig::with(plan).await;
    let to = rig.proxy.addr("sdk").to_string();
    let way = |own: Option<&'static str>| tunnel_to(&folder, &to, "ca", own, &[]);
    let (alice, nobody, both, none) =
        (way(Some("alice")).await, way(Some("nobody")).await, way(Some("both")).await, way(None).await);

    // The look that a tunnel takes at its start is a connection, too.
    alice.wait_for_line("the proxy is there").await;
    // Without a token, and even without `connect`.
    let client = RpcClient::connect(alice.addr("tunnel")).await;
    client.call("ping", json!({})).await.expect("it is known");
    client.call("connect", json!({})).await.expect("no token is needed");
    create(&client, "alice--one").await;
    turn(&client, "alice--one").await;
    let error = client.call("session.create", json!({"sessionId": "bob--one"})).await.expect_err("not hers");
    assert!(error.message.contains("Session not found"), "{error:?}");

    // A token may say which user, but not another tenant.
    let ann = RpcClient::connect(alice.addr("tunnel")).await;
    let error = ann.call("connect", json!({"token": BOB})).await.expect_err("another tenant's");
    assert_eq!(error.code, -32002, "{error:?}");
    ann.call("connect", json!({"token": ALICE})).await.expect("her own");
    rig.proxy.wait_for_line("known by its certificate").await;

    // Her quota counts certificates as well.
    let third = RpcClient::connect(alice.addr("tunnel")).await;
    let error = third.call("connect", json!({})).await.expect_err("one too many");
    assert_eq!(error.code, -32015, "{error:?}");

    // A certificate of nobody, and none at all: as ever.
    for way in [&nobody, &none] {
        let client = RpcClient::connect(way.addr("tunnel")).await;
        let error = client.call("connect", json!({})).await.expect_err("who is it?");
        assert_eq!(error.code, -32002, "{error:?}");
        client.call("connect", json!({"token": BOB})).await.expect("bob");
        create(&client, &format!("bob--{}", way.pid())).await;
    }

    // One that names two tenants is nobody's.
    let client = RpcClient::connect(both.addr("tunnel")).await;
    let error = client.call("connect", json!({})).await.expect_err("whose is it?");
    assert_eq!(error.data["by"], "tunnel", "{error:?}");
    rig.proxy.wait_for_line("a certificate with names of several tenants is refused").await;
}
