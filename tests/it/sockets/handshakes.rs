//! Handshakes that do not come, and those that are none.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    Folder,
    certificates::{Authority, dns, loopback},
    tls_tunnel::{tls, tunnel_to},
};
use crate::{
    deadline::within,
    rpc_client::RpcClient,
    session::{
        admin,
        rig::{Plan, Rig, create, turn},
    },
};

const SLOW: usize = 300;

/// Who is slow holds up nobody, holds its place no longer than it may, and a crowd of one address makes room for itself.
#[tokio::test]
async fn slow_handshakes_harm_nobody() {
    let folder = Folder::new("slow");
    let ca = Authority::new(&folder, "ca");
    ca.sign(&folder, "proxy", &[loopback()]);
    ca.sign(&folder, "sidecar", &[dns("sidecar.example")]);
    let listener = format!("max_clients = 400\n{}", tls(&folder, "required"));
    let rig = Rig::with(Plan { listener: &listener, session: "header_timeout = \"2s\"", ..Plan::default() }).await;
    let at = rig.proxy.addr("sdk");
    let mut slow = Vec::new();
    for number in 0..SLOW {
        let mut stream = TcpStream::connect(at).await.expect("accepted");
        if number % 2 == 0 {
            // The beginning of a hello.
            stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.expect("taken");
        }
        slow.push(stream);
    }
    let tunnel = tunnel_to(&folder, &at.to_string(), "ca", Some("sidecar"), &[]).await;
    let client = RpcClient::connect(tunnel.addr("tunnel")).await;
    client.call("connect", json!({})).await.expect("let through");
    create(&client, "s1").await;
    turn(&client, "s1").await;
    for mut stream in slow {
        let ended = within(|| "the end of a slow one".to_owned(), stream.read(&mut [0; 64])).await;
        assert!(ended.is_err() || ended.is_ok_and(|read| read == 0));
    }
    admin::until(&rig.proxy, "clients_rejected_total", &["listener=\"sdk\""], |sum| sum == SLOW as f64).await;
    let metrics = admin::Metrics::of(&rig.proxy).await;
    let rejected = |reason: &str| metrics.sum("clients_rejected_total", &[&format!("reason=\"{reason}\"")]);
    assert_eq!(rejected("handshake") + rejected("denied"), SLOW as f64);
    assert!(rejected("denied") >= (SLOW - 256) as f64, "the oldest made room");
    turn(&client, "s1").await;
}

/// Plain text, and nothing at all, at a TLS listener.
#[tokio::test]
async fn what_is_no_tls_is_told_and_refused() {
    let folder = Folder::new("plain");
    let ca = Authority::new(&folder, "ca");
    ca.sign(&folder, "proxy", &[loopback()]);
    let listener = tls(&folder, "optional");
    let rig = Rig::with(Plan { listener: &listener, ..Plan::default() }).await;
    let mut stream = TcpStream::connect(rig.proxy.addr("sdk")).await.expect("accepted");
    stream.write_all(b"Content-Length: 2\r\n\r\n{}").await.expect("taken");
    rig.proxy.wait_for_line("the client does not speak TLS").await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
}
