//! Several Redis servers: Sentinels that promote a replica, and a Cluster.

use std::collections::BTreeSet;

use pilotfish::store::{Claimed, Key, Locked, RedisSettings, Renewed, Store, Told, Topology};

use super::{
    key,
    proxy::{Proxy, settings},
    server::{Server, free_port},
    waiter, wish,
};
use crate::deadline::within;

fn with(name: &str, servers: &[&Server], topology: Topology) -> RedisSettings {
    let addresses = servers.iter().map(|server| server.address().parse().expect("an address")).collect();
    RedisSettings { addresses, topology, ..settings(name, "127.0.0.1:1") }
}

/// Asks until the answer holds the words.
async fn until_it_says(server: &Server, words: &[&str], wanted: &str) {
    let asked = async { while !server.command(words).await.contains(wanted) {} };
    within(|| format!("{wanted} from {words:?}"), asked).await;
}

#[tokio::test]
async fn sentinels_promote_a_replica_that_lagged() {
    let (mut master, replica) = (Server::start().await, Server::start().await);
    replica.command(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]).await;
    until_it_says(&replica, &["INFO", "replication"], "master_link_status:up").await;
    let mut sentinels = Vec::new();
    for _ in 0..3 {
        sentinels.push(Server::sentinel(master.port).await);
    }
    for sentinel in &sentinels {
        let words = ["SENTINEL", "MASTER", "pilotfish"];
        until_it_says(sentinel, &words, "num-slaves\r\n$1\r\n1\r\n$19\r\nnum-other-sentinels\r\n$1\r\n2\r\n").await;
    }
    let all: Vec<&Server> = sentinels.iter().collect();
    let topology = Topology::Sentinel { master: "pilotfish".to_owned() };
    let mut one = Proxy::start(with("one", &all, topology.clone())).await;
    let two = Proxy::start(with("two", &all, topology)).await;
    let Ok(Locked::Held(old)) = one.lock(&key("s"), &waiter(1)).await else { panic!("the lock") };
    // The replica has not heard of the lock.
    until_it_says(&replica, &["EXISTS", "test:{p/s}:lock"], ":1").await;
    replica.command(&["CONFIG", "SET", "replica-read-only", "no"]).await;
    assert_eq!(replica.command(&["DEL", "test:{p/s}:lock"]).await, ":1\r\n");
    master.kill().await;
    one.until(&Told::Down).await;
    one.until(&Told::Up { lost: true }).await;
    assert_eq!(one.metric(r#"pilotfish_leases_lost_total{reason="failover"}"#), 1.0);
    let fresh = within(|| "the lock".to_owned(), async {
        loop {
            if let Ok(Locked::Held(hold)) = two.lock(&key("s"), &waiter(1)).await {
                return hold;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(fresh.token > old.token, "the replica never heard of the old token");
    assert_eq!(one.unlock(&key("s"), old.token).await, Ok(false));
}

/// Three masters with all slots.
async fn cluster() -> Vec<Server> {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let (port, bus) = (free_port(), free_port());
        let words = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port"];
        let mut arguments = vec!["--port".to_owned(), port.to_string()];
        arguments.extend(words.map(str::to_owned));
        arguments.push(bus.to_string());
        nodes.push((Server::start_at(port, arguments).await, bus));
    }
    for ((node, _), (from, to)) in nodes.iter().zip([(0, 5460), (5461, 10922), (10923, 16383)]) {
        assert_eq!(node.command(&["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()]).await, "+OK\r\n");
        for (other, bus) in &nodes {
            node.command(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string(), &bus.to_string()]).await;
        }
    }
    for (node, _) in &nodes {
        until_it_says(node, &["CLUSTER", "INFO"], "cluster_state:ok").await;
        until_it_says(node, &["CLUSTER", "INFO"], "cluster_known_nodes:3").await;
    }
    nodes.into_iter().map(|(node, _)| node).collect()
}

/// The node that has the slot of a session's keys.
async fn place(nodes: &[Server], session: &str) -> usize {
    for (index, node) in nodes.iter().enumerate() {
        if node.command(&["EXISTS", &format!("test:{{p/{session}}}:pin")]).await == ":1\r\n" {
            return index;
        }
    }
    panic!("no node has {session}");
}

#[tokio::test]
async fn a_cluster_of_three_masters() {
    let mut nodes = cluster().await;
    // One seed is enough to find the others.
    let mut one = Proxy::start(with("one", &[&nodes[0]], Topology::Cluster)).await;
    let two = Proxy::start(with("two", &[&nodes[2], &nodes[1]], Topology::Cluster)).await;
    let sessions: Vec<Key> = (0..40).map(|number| key(&format!("s{number}"))).collect();
    let mut holds = Vec::new();
    for session in &sessions {
        let Ok(Claimed::Held { hold, .. }) = one.claim(session, &wish("a")).await else { panic!("{session:?}") };
        holds.push((session.clone(), hold.token));
        assert!(
            matches!(two.claim(session, &wish("b")).await, Ok(Claimed::Held { shared: true, home, .. }) if &*home == "a")
        );
    }
    let mut used = BTreeSet::new();
    for session in &sessions {
        used.insert(place(&nodes, &session.session).await);
    }
    assert_eq!(used.len(), 3, "all masters have some");
    let renewed = one.renew(&holds).await.expect("answers");
    assert!(renewed.iter().all(|one| matches!(one, Renewed::Until { shared: true, .. })) && renewed.len() == 40);
    // News reach everybody, whichever node they come from.
    for session in &sessions {
        let Ok(Locked::Held(hold)) = two.lock(session, &waiter(1)).await else { panic!("{session:?}") };
        assert!(matches!(one.lock(session, &waiter(1)).await, Ok(Locked::Busy { .. })));
        assert_eq!(two.unlock(session, hold.token).await, Ok(true));
        one.until(&Told::Free(session.clone())).await;
    }
    let first = place(&nodes, "s0").await;
    nodes[first].kill().await;
    one.until(&Told::Down).await;
    nodes[first].revive().await;
    one.until(&Told::Up { lost: true }).await;
    assert_eq!(one.losses(), 1);
}

#[tokio::test]
async fn slots_that_move_are_followed() {
    let nodes = cluster().await;
    let mut proxy = Proxy::start(with("one", &[&nodes[0]], Topology::Cluster)).await;
    let slot = nodes[0].command(&["CLUSTER", "KEYSLOT", "{p/s}"]).await;
    let slot = slot.trim_start_matches(':').trim();
    let id = async |node: &Server| node.command(&["CLUSTER", "MYID"]).await.lines().nth(1).expect("an id").to_owned();
    proxy.claim(&key("s"), &wish("a")).await.expect("a hold");
    let from = place(&nodes, "s").await;
    nodes[from].command(&["FLUSHALL"]).await;
    let to = &nodes[(from + 1) % 3];
    for node in [to, &nodes[from], &nodes[(from + 2) % 3]] {
        assert_eq!(node.command(&["CLUSTER", "SETSLOT", slot, "NODE", &id(to).await]).await, "+OK\r\n");
    }
    let _ = proxy.claim(&key("s"), &wish("a")).await;
    proxy.until(&Told::Up { lost: false }).await;
    proxy.claim(&key("s"), &wish("a")).await.expect("at its new node");
    assert_eq!(place(&nodes, "s").await, (from + 1) % 3);
}
