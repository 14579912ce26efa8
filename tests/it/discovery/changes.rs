//! Answers of a real name server change under live sessions: no turn is cut, and a name keeps its place.

use serde_json::json;

use super::{
    dnsmasq::{Dnsmasq, SERVICE},
    scene::{Scene, asked, backends, client, counted, proxy, until},
};
use crate::{
    fake_cli::Close,
    moves::checks::{assert_once, assert_sound, converse, idle_behind, kinds, say, settled},
    rpc_client::RpcClient,
    session::{
        admin,
        rig::{create, id_at},
    },
};

const ONE: (&str, &str) = ("cli-1", "127.0.0.2");
const TWO: (&str, &str) = ("cli-2", "127.0.0.3");
const THREE: (&str, &str) = ("cli-3", "127.0.0.4");

fn found(dns: &Dnsmasq, port: u16, more: &str) -> String {
    format!(
        "dns = \"{SERVICE}\", port = {port}, resolvers = [\"{}\"], min_ttl = \"100ms\", timeout = \"1s\"{more}",
        dns.address()
    )
}

/// Nothing of these sessions was cut.
fn assert_whole(client: &RpcClient, sessions: &[&String]) {
    for session in sessions {
        assert_once(client, session);
        let heard = kinds(client, session);
        for bad in ["session.error", "session.shutdown", "abort"] {
            assert!(!heard.iter().any(|kind| kind == bad), "{session}: {heard:?}");
        }
    }
    assert!(!client.is_closed());
}

#[tokio::test]
async fn backends_are_added_and_removed_under_turns() {
    let scene = Scene::new(3).await;
    let mut dns = Dnsmasq::start(&[ONE, TWO]).await;
    let proxy = proxy(&found(&dns, scene.port, "")).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    let client = client(&proxy).await;
    let (busy, idle, other) = (id_at("busy", 2, 0), id_at("idle", 2, 0), id_at("other", 2, 1));
    for session in [&busy, &idle, &other] {
        settled(&client, session).await;
    }
    assert_eq!([&busy, &idle, &other].map(|session| scene.home(session)), [0, 0, 1]);
    let before = [&busy, &other].map(|session| client.heard(session).len());
    let gate = scene.gate();
    say(&client, &busy, "long of busy").await;
    say(&client, &other, "long of other").await;
    gate.reached(2).await;

    dns.set(&[ONE, TWO, THREE]).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up"), ("cli-3", "up")]).await;
    let new = id_at("new", 3, 2);
    create(&client, &new).await;
    assert_eq!(scene.home(&new), 2);

    dns.set(&[TWO, THREE]).await;
    until(&proxy, &[("cli-1", "draining"), ("cli-2", "up"), ("cli-3", "up")]).await;
    scene.cli[0].wait_for_live(&idle, false).await;
    assert_eq!(scene.home(&busy), 0, "its turn runs");
    let page = admin::status(&proxy).await;
    assert_eq!(page["pools"][0]["backends"][0]["drain"]["cause"], "discovery", "{page}");

    gate.open();
    for (session, before) in [&busy, &other].into_iter().zip(before) {
        idle_behind(&client, session, before).await;
    }
    until(&proxy, &[("cli-2", "up"), ("cli-3", "up")]).await;
    let (_, metrics) = admin::page(&proxy, "/metrics").await;
    assert!(!metrics.contains("backend=\"cli-1\""), "its series are gone");
    converse(&client, &busy, "busy after").await;
    converse(&client, &idle, "idle after").await;
    assert_ne!(scene.home(&busy), 0);
    assert_eq!(scene.home(&other), 1);

    // The same name has the same place.
    dns.set(&[ONE, TWO, THREE]).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up"), ("cli-3", "up")]).await;
    let again = id_at("again", 3, 0);
    create(&client, &again).await;
    assert_eq!(scene.home(&again), 0);
    assert_whole(&client, &[&busy, &idle, &other, &new]);
    assert_sound(&scene.storage);
}

#[tokio::test]
async fn a_name_keeps_its_place_at_another_address() {
    let mut scene = Scene::new(2).await;
    let mut dns = Dnsmasq::start(&[ONE, TWO]).await;
    let proxy = proxy(&found(&dns, scene.port, "")).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    let client = client(&proxy).await;
    let session = id_at("kept", 2, 0);
    settled(&client, &session).await;
    let (gate, before) = scene.long_turn(&client, &session).await;

    // Another process, while the old one is still at its turn.
    scene.add("cli-1b", "127.0.0.9").await;
    dns.set(&[("cli-1", "127.0.0.9"), TWO]).await;
    let moved = format!("127.0.0.9:{}", scene.port);
    proxy.wait_for_line("backend has a new address pool=copilot backend=cli-1").await;
    assert_eq!(backends(&proxy).await[0].1, moved);
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    // Whoever comes to the session meanwhile comes to where it lives.
    let second = super::scene::client(&proxy).await;
    second.call("session.resume", json!({"sessionId": session})).await.expect("live");
    assert_eq!(scene.home(&session), 0);
    gate.open();
    idle_behind(&client, &session, before).await;
    let new = id_at("new", 2, 0);
    create(&client, &new).await;
    assert_eq!(scene.home(&new), 2, "at the new address, by the old name");

    // The old process ends: its session is opened where its name is now.
    scene.cli[0].die(Close::Fin);
    scene.cli[2].wait_for_live(&session, true).await;
    converse(&client, &session, "after").await;
    assert_eq!(scene.home(&session), 2);
    converse(&second, &session, "of the second").await;
    assert_whole(&client, &[&session, &new]);
    assert_sound(&scene.storage);
}

#[tokio::test]
async fn nothing_and_silence_change_nothing() {
    let scene = Scene::new(2).await;
    let mut dns = Dnsmasq::start(&[ONE, TWO]).await;
    let proxy = proxy(&found(&dns, scene.port, "")).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    let client = client(&proxy).await;
    let session = id_at("kept", 2, 0);
    settled(&client, &session).await;
    let (gate, before) = scene.long_turn(&client, &session).await;

    dns.set(&[]).await;
    asked(&proxy, "no_name", 3).await;
    dns.freeze();
    asked(&proxy, "timeout", 2).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    let new = id_at("new", 2, 1);
    create(&client, &new).await;
    assert_eq!(scene.home(&new), 1);
    dns.thaw();
    dns.set(&[ONE, TWO]).await;
    asked(&proxy, "ok", 2).await;
    gate.open();
    idle_behind(&client, &session, before).await;
    assert_eq!(scene.home(&session), 0);
    assert_whole(&client, &[&session, &new]);
}

#[tokio::test]
async fn when_all_have_left_nobody_takes_sessions_until_they_are_back() {
    let scene = Scene::new(2).await;
    let mut dns = Dnsmasq::start(&[ONE, TWO]).await;
    let proxy = proxy(&found(&dns, scene.port, ", keep_empty = \"300ms\"")).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    let client = client(&proxy).await;
    let session = id_at("kept", 2, 0);
    settled(&client, &session).await;
    dns.set(&[]).await;
    counted(&proxy, "pilotfish_discovery_changes_total{change=\"left\",pool=\"copilot\"}", 1.5).await;
    let refused = client.call("session.create", json!({"sessionId": "nowhere"})).await.unwrap_err();
    assert_eq!((refused.code, refused.data["reason"].as_str()), (-32010, Some("no_backend")), "{refused:?}");
    // Where there is no place to go to a session stays and is served.
    converse(&client, &session, "meanwhile").await;
    dns.set(&[ONE, TWO]).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    create(&client, &id_at("back", 2, 1)).await;
    assert_whole(&client, &[&session]);
    assert_eq!(scene.home(&session), 0);
}

#[tokio::test]
async fn services_name_their_targets_and_ports() {
    let scene = Scene::new(2).await;
    let mut dns = Dnsmasq::start_with(&[ONE, TWO], &[("cli-1", scene.port), ("cli-2", scene.port)]).await;
    let service = format!(
        "dns = \"_copilot._tcp.{SERVICE}\", resolvers = [\"{}\"], min_ttl = \"100ms\", timeout = \"1s\"",
        dns.address()
    );
    let proxy = proxy(&service).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    let client = client(&proxy).await;
    let session = id_at("kept", 2, 1);
    settled(&client, &session).await;
    assert_eq!(scene.home(&session), 1);
    dns.set_services(&[("cli-2", scene.port)]).await;
    until(&proxy, &[("cli-2", "up")]).await;
    dns.set_services(&[("cli-1", scene.port), ("cli-2", scene.port)]).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    let page = admin::status(&proxy).await;
    let discovery = &page["pools"][0]["discovery"];
    assert_eq!(discovery["source"], format!("dns _copilot._tcp.{SERVICE} SRV"), "{page}");
    assert!(discovery["answer_age_seconds"].as_u64().is_some_and(|age| age < 5), "{page}");
    assert_whole(&client, &[&session]);
}
