//! Memory is bounded by bytes, whatever peers do. The figures are the proxy process's own, from `/proc`.

use serde_json::json;

use super::{
    admin,
    raw::{Raw, frame},
    rig::{Plan, Rig, create, id_at, turn},
};
use crate::{deadline::within, fake_cli::Act, process::Pilotfish, rpc_client::RpcClient};

const MIB: u64 = 1 << 20;

/// What the proxy holds in memory, bytes.
fn resident(proxy: &Pilotfish) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", proxy.pid())).expect("a running process");
    let line = text.lines().find(|line| line.starts_with("RssAnon:")).expect("a Linux status");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("KiB") * 1024
}

/// Buffers of worker threads and the allocator are there before anything is measured.
async fn warm(rig: &Rig, client: &RpcClient) {
    create(client, "warm").await;
    turn(client, "warm").await;
    let data = "x".repeat(1 << 20);
    for _ in 0..4 {
        client.call("session.getMessages", json!({"sessionId": "warm", "data": data})).await.expect("live");
    }
    admin::Metrics::of(&rig.proxy).await;
}

#[tokio::test]
async fn announcements_cost_nothing() {
    let rig = Rig::new(1).await;
    let bystander = rig.client().await;
    warm(&rig, &bystander).await;
    let before = resident(&rig.proxy);
    let mut clients = Vec::new();
    for _ in 0..1000 {
        let mut client = Raw::connect(rig.proxy.addr("sdk")).await;
        client.send(b"Content-Length: 33554432\r\n\r\n").await;
        clients.push(client);
    }
    let head = b"Content-Length: 33554432\r\n\r\n".len() as f64;
    admin::until(&rig.proxy, "client_bytes_total", &["direction=\"in\""], |bytes| bytes >= 1000.0 * head).await;
    admin::until(&rig.proxy, "clients{", &[], |_| true).await;
    let grown = resident(&rig.proxy).saturating_sub(before);
    println!("1,000 announcements of 32 MiB: {} KiB", grown / 1024);
    assert!(grown <= 16 * MIB, "{grown} bytes");
    turn(&bystander, "warm").await;
}

#[tokio::test]
async fn idle_clients_cost_little() {
    let rig = Rig::new(1).await;
    let bystander = rig.client().await;
    warm(&rig, &bystander).await;
    let before = resident(&rig.proxy);
    let mut clients = Vec::new();
    let greeting = frame(r#"{"jsonrpc":"2.0","id":1,"method":"connect","params":{"clientInfo":{"name":"idle"}}}"#);
    for _ in 0..1000 {
        let mut client = Raw::connect(rig.proxy.addr("sdk")).await;
        client.send(&greeting).await;
        client.body_with("\"id\":1").await;
        clients.push(client);
    }
    let grown = resident(&rig.proxy).saturating_sub(before);
    println!("an idle client with its link: {} bytes", grown / 1000);
    assert!(grown / 1000 <= 16 << 10, "{} bytes each", grown / 1000);
    turn(&bystander, "warm").await;
}

#[tokio::test]
async fn a_slow_reader_costs_its_backend_and_not_us() {
    let rig = Rig::new(1).await;
    let bystander = rig.client().await;
    warm(&rig, &bystander).await;
    let mut slow = Raw::connect(rig.proxy.addr("sdk")).await;
    slow.send(&frame(r#"{"jsonrpc":"2.0","id":1,"method":"session.create","params":{"sessionId":"slow"}}"#)).await;
    slow.body_with("\"id\":1,\"result\"").await;
    let before = resident(&rig.proxy);
    // 100 MiB in events of 4 KiB, and nobody reads.
    rig.cli[0].flood("slow", 25_600, 4096);
    admin::until(&rig.proxy, "backpressure_total", &["towards=\"client\""], |count| count >= 1.0).await;
    for _ in 0..50 {
        turn(&bystander, "warm").await;
    }
    let grown = resident(&rig.proxy).saturating_sub(before);
    println!("a slow reader with 100 MiB waiting: {} KiB", grown / 1024);
    assert!(grown <= 8 * MIB, "{grown} bytes");
    let buffered = admin::Metrics::of(&rig.proxy).await.sum("buffered_bytes", &["towards=\"client\""]);
    assert!(buffered >= 1.0 && buffered <= 4.0 * MIB as f64, "{buffered}");
    // It reads at last: all of it is there.
    let mut flood = 0;
    while flood < 25_600 {
        flood += usize::from(String::from_utf8_lossy(&slow.body().await.expect("an event")[..200]).contains("_delta"));
    }
    admin::until(&rig.proxy, "buffered_bytes", &["towards=\"client\""], |bytes| bytes == 0.0).await;
}

#[tokio::test]
async fn a_backend_that_does_not_read_costs_its_client_and_not_us() {
    let rig = Rig::with(Plan { backends: 2, health: super::rig::ONCE, ..Plan::default() }).await;
    let bystander = rig.client().await;
    let here = id_at("by", 2, 1);
    create(&bystander, &here).await;
    turn(&bystander, &here).await;
    let session = id_at("stuck", 2, 0);
    let mut writer = Raw::connect(rig.proxy.addr("sdk")).await;
    writer
        .send(&frame(format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"session.create","params":{{"sessionId":"{session}"}}}}"#
        )))
        .await;
    writer.body_with("\"id\":1,\"result\"").await;
    rig.cli[0].freeze();
    let before = resident(&rig.proxy);
    let data = "x".repeat(1 << 20);
    // 100 MiB of prompts in the background; the kernel takes some, then the client has to wait.
    let writing = tokio::spawn(async move {
        for id in 2..102 {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"session.foo","params":{{"sessionId":"{session}","d":"{data}"}}}}"#
            );
            writer.try_send(&frame(body)).await;
        }
        writer
    });
    admin::until(&rig.proxy, "backpressure_total", &["towards=\"backend\""], |count| count >= 1.0).await;
    for _ in 0..20 {
        turn(&bystander, &here).await;
    }
    let grown = resident(&rig.proxy).saturating_sub(before);
    println!("a backend that does not read 100 MiB: {} KiB", grown / 1024);
    assert!(grown <= 8 * MIB, "{grown} bytes");
    assert!(!writing.is_finished(), "the client has to wait");
    rig.cli[0].on("session.foo", Act::Answer("0".into()));
    rig.cli[0].thaw();
    let mut writer = within(|| "all prompts written".into(), writing).await.expect("written");
    let mut answers = 0;
    while answers < 100 {
        answers += usize::from(writer.body().await.expect("an answer").ends_with(b"\"result\":0}"));
    }
}

/// What a large frame needed is given back. Allocations of this size go straight back to the system (smaller ones the allocator
/// may keep), so they show: each worker thread kept the buffer of its largest frame, 117 MiB were measured in November 2026.
#[tokio::test]
async fn a_large_frame_leaves_nothing_behind() {
    let rig = Rig::with(Plan { session: "max_frame = \"64MiB\"", ..Plan::default() }).await;
    let client = rig.client().await;
    warm(&rig, &client).await;
    let before = resident(&rig.proxy);
    // With its id last it has to be whole before it can go on.
    let data = "x".repeat(48 << 20);
    let body =
        format!(r#"{{"jsonrpc":"2.0","method":"session.foo","params":{{"sessionId":"warm","d":"{data}"}},"id":"L"}}"#);
    for _ in 0..3 {
        client.send_raw(&frame(&body)).await;
        assert_eq!(client.next_stray().await["id"], "L");
    }
    // Every worker thread has served somebody since.
    for _ in 0..20 {
        rig.client().await.call("ping", json!({})).await.expect("fine");
    }
    let grown = resident(&rig.proxy).saturating_sub(before);
    println!("after three frames of 48 MiB: {} KiB", grown / 1024);
    assert!(grown <= 16 * MIB, "{grown} bytes");
}
