//! Unix sockets for listeners and backends.

use std::{fs, os::unix::fs::PermissionsExt as _};

use rustix::process::Signal;
use serde_json::json;
use tokio::net::{TcpStream, UnixListener};

use super::{Folder, port_of};
use crate::{
    fake_cli::FakeCli,
    process::Pilotfish,
    rpc_client::RpcClient,
    session::rig::{create, turn},
};

/// A Unix socket at `path` behind which the fake is.
fn socket_before(path: &std::path::Path, cli: &FakeCli) {
    let (listener, address) = (UnixListener::bind(path).expect("a free path"), cli.addr());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(address).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
}

pub fn config(folder: &Folder, backend: &str, listener: &str) -> String {
    format!(
        "[log]\nlevel = \"info,pilotfish::serve=debug\"\n[admin]\nbind = \"127.0.0.1:0\"\n[[listener]]\nname = \"sdk\"\n\
        bind = \"unix:{}\"\npool = \"copilot\"\n{listener}\n[pool.copilot]\nbackends = [ {{ name = \"cli-1\", address = \"{backend}\" }} ]\n\
        [pool.copilot.health]\ninterval = \"100ms\"\ntimeout = \"3s\"\nrise = 1\n",
        folder.text("sdk.sock")
    )
}

#[tokio::test]
async fn clients_and_backends_on_unix_sockets() {
    let (folder, cli) = (Folder::new("unix"), FakeCli::start("cli-1").await);
    socket_before(&folder.path("cli.sock"), &cli);
    let text = config(&folder, &format!("unix:{}", folder.text("cli.sock")), "socket_mode = \"0620\"");
    let mut proxy = Pilotfish::start(&text).await;
    proxy.wait_for_line("backend is up").await;
    let mode = fs::metadata(folder.path("sdk.sock")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o620);
    let client = RpcClient::connect(port_of(&folder.path("sdk.sock")).await).await;
    client.call("connect", json!({})).await.expect("connected");
    create(&client, "s1").await;
    turn(&client, "s1").await;
    proxy.terminate();
    client.expect_closed().await;
    assert!(proxy.exit().await.success());
    assert!(proxy.output().contains("client.addr=unix:uid="), "{}", proxy.output());
    assert!(!folder.path("sdk.sock").exists(), "it took its socket away");
}

#[tokio::test]
async fn a_socket_that_was_left_over_is_replaced_and_one_that_is_used_is_not() {
    let (folder, cli) = (Folder::new("left"), FakeCli::start("cli-1").await);
    let text = config(&folder, &cli.addr().to_string(), "");
    let mut first = Pilotfish::start(&text).await;
    let mut second = Pilotfish::spawn(&text, &[]);
    let refused = second.wait_for_line("cannot listen on unix:").await;
    assert!(refused.contains("in use"), "{refused}");
    assert!(!second.exit().await.success());
    first.signal(Signal::KILL);
    first.exit().await;
    assert!(folder.path("sdk.sock").exists());
    let third = Pilotfish::start(&text).await;
    third.wait_for_line("backend is up").await;
    let client = RpcClient::connect(port_of(&folder.path("sdk.sock")).await).await;
    client.call("connect", json!({})).await.expect("connected");
    drop(third);
    // Something else at the path is nobody's to take away.
    fs::remove_file(folder.path("sdk.sock")).ok();
    fs::write(folder.path("sdk.sock"), "precious").expect("written");
    let mut fourth = Pilotfish::spawn(&text, &[]);
    assert!(!fourth.exit().await.success());
    assert_eq!(fs::read_to_string(folder.path("sdk.sock")).expect("still there"), "precious");
}
