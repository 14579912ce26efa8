//! A name server in every bad mood, under a turn that goes on through all of them.

use std::net::IpAddr;

use hickory_resolver::proto::op::ResponseCode;

use super::{
    dnsmasq::SERVICE,
    name_server::{Mood, NameServer},
    scene::{Scene, address, asked, backends, client, counted, proxy, until},
};
use crate::{
    moves::checks::{assert_once, assert_sound, idle_behind, kinds, settled},
    session::rig::{create, id_at},
};

fn host(name: &'static str, at: usize) -> (&'static str, IpAddr) {
    (name, address(at).parse().expect("an address"))
}

fn found(server: &NameServer, port: u16, more: &str) -> String {
    let resolver = server.address;
    format!(
        "dns = \"{SERVICE}\", port = {port}, resolvers = [\"{resolver}\"], min_ttl = \"50ms\", timeout = \"600ms\"{more}"
    )
}

#[tokio::test]
async fn no_mood_of_a_name_server_cuts_a_turn_or_changes_the_pool() {
    let scene = Scene::new(2).await;
    let hosts = || vec![host("cli-1", 0), host("cli-2", 1)];
    let server = NameServer::start(Mood::Hosts(hosts())).await;
    let proxy = proxy(&found(&server, scene.port, "")).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    let client = client(&proxy).await;
    let session = id_at("kept", 2, 0);
    settled(&client, &session).await;
    let (gate, before) = scene.long_turn(&client, &session).await;
    let moods = [
        (Mood::Code(ResponseCode::ServFail), "refused"),
        (Mood::Code(ResponseCode::Refused), "refused"),
        (Mood::Empty, "empty"),
        (Mood::Code(ResponseCode::NXDomain), "no_name"),
        (Mood::Silent, "timeout"),
        (Mood::Garbage, "broken"),
        (Mood::Nameless(hosts()), "ok"),
        (Mood::Truncated(hosts()), "ok"),
    ];
    for (number, (mood, outcome)) in moods.into_iter().enumerate() {
        server.set(mood);
        asked(&proxy, outcome, 3).await;
        let names: Vec<_> = backends(&proxy).await.into_iter().map(|(name, _, state)| (name, state)).collect();
        assert_eq!(names, [("cli-1".into(), "up".into()), ("cli-2".into(), "up".into())], "{outcome}");
        let new = id_at(&format!("new-{number}"), 2, 1);
        create(&client, &new).await;
        assert_eq!(scene.home(&new), 1);
    }
    gate.open();
    idle_behind(&client, &session, before).await;
    assert_once(&client, &session);
    assert!(!kinds(&client, &session).iter().any(|kind| kind == "session.error"));
    let left = "pilotfish_discovery_changes_total{change=\"left\",pool=\"copilot\"}";
    assert_eq!(counted(&proxy, left, -1.0).await, 0.0);
    assert_sound(&scene.storage);
}

#[tokio::test]
async fn the_start_does_not_wait_for_a_silent_name_server_for_ever() {
    let scene = Scene::new(1).await;
    let server = NameServer::start(Mood::Silent).await;
    let proxy = proxy(&found(&server, scene.port, "")).await;
    assert!(backends(&proxy).await.is_empty());
    server.set(Mood::Hosts(vec![host("cli-1", 0)]));
    until(&proxy, &[("cli-1", "up")]).await;
    create(&client(&proxy).await, "first").await;
    assert_eq!(scene.home("first"), 0);
}

#[tokio::test]
async fn many_backends_do_not_fit_into_one_datagram() {
    let scene = Scene::new(3).await;
    let hosts = vec![host("cli-1", 0), host("cli-2", 1), host("cli-3", 2)];
    let server = NameServer::start(Mood::Truncated(hosts)).await;
    let proxy = proxy(&found(&server, scene.port, ", weight = 3")).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up"), ("cli-3", "up")]).await;
}

#[tokio::test]
async fn ipv6_addresses_are_found_too() {
    let mut scene = Scene::new(1).await;
    scene.add("cli-2", "::1").await;
    let server = NameServer::start(Mood::Hosts(vec![host("cli-1", 0), ("cli-2", "::1".parse().unwrap())])).await;
    let proxy = proxy(&found(&server, scene.port, "")).await;
    until(&proxy, &[("cli-1", "up"), ("cli-2", "up")]).await;
    assert_eq!(backends(&proxy).await[1].1, format!("[::1]:{}", scene.port));
    let client = client(&proxy).await;
    let session = id_at("six", 2, 1);
    create(&client, &session).await;
    assert_eq!(scene.home(&session), 1);
}

#[tokio::test]
async fn without_names_addresses_have_to_do() {
    let scene = Scene::new(2).await;
    let server = NameServer::start(Mood::Nameless(vec![host("cli-1", 0), host("cli-2", 1)])).await;
    let proxy = proxy(&found(&server, scene.port, "")).await;
    // First they are not used: with another name they would stand elsewhere.
    assert!(backends(&proxy).await.is_empty());
    until(&proxy, &[("127.0.0.2", "up"), ("127.0.0.3", "up")]).await;
}
