//! Another process takes over a Unix socket and a TLS listener.

use rustix::process::Signal;
use serde_json::json;

use super::{
    Folder,
    certificates::{Authority, dns, loopback},
    port_of,
};
use crate::{
    fake_cli::FakeCli,
    process::{self, Pilotfish},
    rpc_client::RpcClient,
    session::rig::{create, turn},
};

#[tokio::test]
async fn unix_and_tls_listeners_are_handed_over() {
    let (folder, cli) = (Folder::new("heir"), FakeCli::start("cli-1").await);
    let ca = Authority::new(&folder, "ca");
    ca.sign(&folder, "proxy", &[loopback()]);
    ca.sign(&folder, "sidecar", &[dns("sidecar.example")]);
    let tls = format!(
        "[[listener]]\nname = \"tls\"\nbind = \"127.0.0.1:0\"\npool = \"copilot\"\ntls = {{ cert = \"{}\", key = \"{}\", client_ca = \"{}\" }}\n",
        folder.text("proxy.crt"),
        folder.text("proxy.key"),
        folder.text("ca.crt")
    );
    let text = super::unix::config(&folder, &cli.addr().to_string(), &tls);
    let mut proxy = Pilotfish::start(&text).await;
    proxy.wait_for_line("backend is up").await;
    let (ca, cert, key) = (folder.text("ca.crt"), folder.text("sidecar.crt"), folder.text("sidecar.key"));
    let to = proxy.addr("tls").to_string();
    let tunnel =
        Pilotfish::tunnel(&["--listen", "127.0.0.1:0", "--to", &to, "--ca", &ca, "--cert", &cert, "--key", &key]).await;
    let ways = [port_of(&folder.path("sdk.sock")).await, tunnel.addr("tunnel")];
    let mut old = Vec::new();
    for (number, way) in ways.iter().enumerate() {
        let client = RpcClient::connect(*way).await;
        client.call("connect", json!({})).await.expect("connected");
        create(&client, &format!("old-{number}")).await;
        old.push(client);
    }
    proxy.signal(Signal::QUIT);
    let heir = proxy.successor(1).await;
    for client in &old {
        client.expect_closed().await;
    }
    assert!(proxy.exit().await.success());
    assert!(folder.path("sdk.sock").exists(), "it is the new process's");
    for (number, way) in ways.iter().enumerate() {
        let client = RpcClient::connect(*way).await;
        client.call("connect", json!({})).await.expect("connected");
        create(&client, &format!("new-{number}")).await;
        turn(&client, &format!("new-{number}")).await;
    }
    process::signal(heir, Signal::TERM);
    process::gone(heir).await;
    assert!(!folder.path("sdk.sock").exists(), "the new process took it away");
}
