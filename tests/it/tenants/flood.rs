//! A tenant that sends all it can: it is held to its quota, and another one hardly notices.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::AbortHandle;

use super::{
    quota::{raw_login, rig},
    rig::{ALICE, BOB, login},
};
use crate::{
    deadline::{DEADLINE, within},
    rpc_client::RpcClient,
    session::{admin, raw::frame, rig::Rig},
};

/// The time of each of `count` pings of bob, sorted; fewer if they take too long.
async fn pings(bob: &RpcClient, count: usize) -> Vec<Duration> {
    let (mut all, began) = (Vec::new(), Instant::now());
    while all.len() < count && began.elapsed() < DEADLINE / 3 {
        let began = Instant::now();
        bob.call("ping", json!({})).await.expect("an answer");
        all.push(began.elapsed());
    }
    all.sort();
    all
}

/// Writes `method` as fast as it is read, and reads whatever comes, until it is dropped.
async fn flood(rig: &Rig, method: &'static str, params: &'static str) -> AbortHandle {
    let mut raw = raw_login(rig, ALICE).await;
    let task = tokio::spawn(async move {
        let (mut from, mut to) = raw.split();
        let write = async {
            for id in 1_u64.. {
                to.send(&frame(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)))
                    .await;
            }
        };
        let read = async { while from.body().await.is_some() {} };
        tokio::join!(write, read);
    });
    task.abort_handle()
}

/// Comes and goes, and is turned away most of the time.
fn flood_of_connections(addr: SocketAddr) -> AbortHandle {
    let task = tokio::spawn(async move {
        loop {
            RpcClient::connect(addr).await.start("connect", json!({"token": ALICE})).await.outcome().await;
        }
    });
    task.abort_handle()
}

/// Bob's p99 before alice's flood and during it.
struct Calm(Duration, Duration);

impl Calm {
    fn new(before: &[Duration], during: &[Duration]) -> Self {
        let p99 = |all: &[Duration]| all[all.len() * 99 / 100];
        Self(p99(before), p99(during))
    }

    /// Generous, for the machine may be busy; the bench has the tight figure.
    fn assert(&self) {
        let bound = (10 * self.0).max(Duration::from_millis(250));
        assert!(self.1 <= bound, "bob's p99 was {:?} and became {:?}", self.0, self.1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_frames_is_held_to_its_quota_and_nobody_else_notices() {
    const RATE: usize = 300;
    let rig = rig("frames_per_second = 300").await;
    let bob = &login(&rig, BOB).await;
    pings(bob, 50).await; // Both sides are warm.
    let quiet = pings(bob, 200).await;
    let mut floods = Vec::new();
    for _ in 0..4 {
        floods.push(flood(&rig, "status.get", "{}").await);
    }
    let hers = || rig.cli[0].count("status.get");
    let reach = async |count: usize| {
        while hers() < count {
            pings(bob, 1).await;
        }
    };
    // Once the burst is through, only the rate is left.
    within(|| "the burst".into(), reach(RATE + 50)).await;
    let (began, first) = (Instant::now(), hers());
    let loud = pings(bob, 200).await;
    within(|| "three seconds' worth".into(), reach(first + 3 * RATE)).await;
    let rate = (hers() - first) as f64 / began.elapsed().as_secs_f64();
    floods.iter().for_each(AbortHandle::abort);
    assert!((0.8 * RATE as f64..1.2 * RATE as f64).contains(&rate), "{rate} of {RATE} frames a second");
    Calm::new(&quiet, &loud).assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_sessions_and_connections_is_held_to_its_quota_and_nobody_else_notices() {
    let rig = rig("connections = 3\ncreates_per_minute = 5\nsessions = 10").await;
    let bob = &login(&rig, BOB).await;
    pings(bob, 50).await;
    let quiet = pings(bob, 200).await;
    let mut floods = Vec::new();
    for _ in 0..3 {
        floods.push(flood(&rig, "session.create", "{}").await);
    }
    for _ in 0..4 {
        floods.push(flood_of_connections(rig.proxy.addr("sdk")));
    }
    rig.cli[0].wait_for_count("session.create", 5).await;
    let loud = pings(bob, 300).await;
    floods.iter().for_each(AbortHandle::abort);
    // A minute has room for one more at most.
    let created = rig.cli[0].count("session.create");
    assert!((5..=6).contains(&created), "{created} sessions");
    let refused = admin::until(&rig.proxy, "refusals_total", &["rule=\"connections\""], |sum| sum >= 4.0).await;
    assert!(refused >= 4.0);
    Calm::new(&quiet, &loud).assert();
}
