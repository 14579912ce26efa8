//! `pilotfish tunnel` before a TLS listener: what is carried, and what is said when it cannot be.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use tokio::net::TcpListener;

use super::{
    Folder,
    certificates::{Authority, dns, loopback},
};
use crate::{
    fake_cli::FakeCli,
    process::Pilotfish,
    rpc_client::{RpcClient, RpcError},
    session::{
        admin::page,
        rig::{Plan, Rig, create, turn},
    },
};

/// A proxy with a TLS listener that wants certificates, and a folder with some of them.
pub struct World {
    pub folder: Folder,
    pub ca: Authority,
    pub rig: Rig,
}

pub fn tls(folder: &Folder, auth: &str) -> String {
    format!(
        "tls = {{ cert = \"{}\", key = \"{}\", client_ca = \"{}\", client_auth = \"{auth}\" }}",
        folder.text("proxy.crt"),
        folder.text("proxy.key"),
        folder.text("ca.crt")
    )
}

impl World {
    pub async fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let ca = Authority::new(&folder, "ca");
        ca.sign(&folder, "proxy", &[loopback(), dns("proxy.example")]);
        ca.sign(&folder, "sidecar", &[dns("sidecar.example")]);
        let listener = tls(&folder, "required");
        let rig = Rig::with(Plan { listener: &listener, ..Plan::default() }).await;
        Self { folder, ca, rig }
    }

    /// A tunnel to the proxy with these files, and further arguments.
    pub async fn tunnel(&self, ca: &str, own: Option<&str>, more: &[&str]) -> Pilotfish {
        let to = self.rig.proxy.addr("sdk").to_string();
        tunnel_to(&self.folder, &to, ca, own, more).await
    }
}

pub async fn tunnel_to(folder: &Folder, to: &str, ca: &str, own: Option<&str>, more: &[&str]) -> Pilotfish {
    let ca = folder.text(&format!("{ca}.crt"));
    let own = own.map(|own| [folder.text(&format!("{own}.crt")), folder.text(&format!("{own}.key"))]);
    let own: Vec<&str> = own.iter().flat_map(|[cert, key]| ["--cert", cert, "--key", key]).collect();
    let levels = ["--log-level", "info,pilotfish::serve=debug"];
    let args = ["--listen", "127.0.0.1:0", "--to", to, "--ca", &ca];
    Pilotfish::tunnel(&[&args[..], &levels, &own, more].concat()).await
}

async fn connect(to: SocketAddr) -> (RpcClient, Result<serde_json::Value, RpcError>) {
    let client = RpcClient::connect(to).await;
    let answer = client.call("connect", json!({})).await;
    (client, answer)
}

#[tokio::test]
async fn sessions_live_through_a_tunnel_with_certificates_on_both_sides() {
    let world = World::new("through").await;
    let mut tunnel = world.tunnel("ca", Some("sidecar"), &[]).await;
    tunnel.wait_for_line("the proxy is there").await;
    let (client, hello) = connect(tunnel.addr("tunnel")).await;
    hello.expect("connected");
    create(&client, "s1").await;
    turn(&client, "s1").await;
    // As large as TLS has to cut into many records, in both directions.
    let large = "x".repeat(3 << 20);
    let echo = client.call("session.send", json!({"sessionId": "s1", "prompt": large})).await;
    echo.expect("taken");
    client.next_event("s1", "session.idle").await;
    tunnel.terminate();
    tunnel.wait_for_line("no more connections").await;
    turn(&client, "s1").await;
    client.cut(crate::fake_cli::Close::Fin).await;
    assert!(tunnel.exit().await.success(), "{}", tunnel.output());
}

#[tokio::test]
async fn the_end_of_the_proxy_is_seen_and_a_new_one_is_waited_for() {
    let world = World::new("again").await;
    let tunnel = world.tunnel("ca", Some("sidecar"), &["--connect-timeout", "10s"]).await;
    let (client, hello) = connect(tunnel.addr("tunnel")).await;
    hello.expect("connected");
    let World { folder, rig: Rig { cli, proxy }, .. } = world;
    let at = proxy.addr("sdk");
    drop(proxy);
    client.expect_closed().await;
    let waiting = tokio::spawn(connect(tunnel.addr("tunnel")));
    tunnel.wait_for_line("cannot reach the proxy, trying again").await;
    let plan = Plan { listener: &tls(&folder, "required"), ..Plan::default() };
    let config = plan.config(&[cli[0].addr()]);
    let config =
        config.replacen("name = \"sdk\"\nbind = \"127.0.0.1:0\"", &format!("name = \"sdk\"\nbind = \"{at}\""), 1);
    let _proxy = Pilotfish::start(&config).await;
    let (_, hello) = waiting.await.expect("no panic");
    hello.expect("it was only late");
    tunnel.wait_for_line("the proxy is there again").await;
}

#[tokio::test]
async fn what_it_tells_operators() {
    let world = World::new("seen").await;
    let mut tunnel = world.tunnel("ca", Some("sidecar"), &["--admin", "127.0.0.1:0"]).await;
    tunnel.wait_for_listener("admin").await;
    assert_eq!(page(&tunnel, "/livez").await.0, 200);
    assert_eq!(page(&tunnel, "/readyz").await, (200, "ok\n".to_owned()));
    let (client, hello) = connect(tunnel.addr("tunnel")).await;
    hello.expect("connected");
    let (code, text) = page(&tunnel, "/metrics").await;
    assert!(code == 200 && text.contains("pilotfish_clients{listener=\"tunnel\"} 1"), "{text}");
    let World { rig, .. } = world;
    drop(rig.proxy);
    client.expect_closed().await;
    let other = tokio::spawn(connect(tunnel.addr("tunnel")));
    tunnel.wait_for_line("cannot reach the proxy, trying again").await;
    assert_eq!(page(&tunnel, "/readyz").await, (503, "the proxy cannot be reached\n".to_owned()));
    other.abort();
}

/// What the SDK, the tunnel's log and the proxy's log say of certificates that are not right.
#[tokio::test]
async fn wrong_certificates_are_told_on_both_sides() {
    let world = World::new("wrong").await;
    let stranger = Authority::new(&world.folder, "stranger");
    stranger.sign(&world.folder, "alien", &[dns("sidecar.example")]);
    world.ca.sign_expired(&world.folder, "old", &[dns("sidecar.example")]);
    let cases = [
        ("ca", None, &[][..], "the proxy wants a certificate, and we have none", "the client shows no certificate"),
        (
            "ca",
            Some("alien"),
            &[],
            "the proxy does not accept our certificate: it does not know who signed it",
            "the client's certificate is not signed by anybody in `client_ca`",
        ),
        (
            "ca",
            Some("old"),
            &[],
            "the proxy does not accept our certificate: it has expired",
            "the client's certificate has expired",
        ),
        (
            "stranger",
            Some("sidecar"),
            &[],
            "the proxy's certificate is not signed by anybody in the file of --ca",
            "the client does not accept our certificate",
        ),
        (
            "ca",
            Some("sidecar"),
            &["--server-name", "other.example"],
            "the proxy's certificate is for other names: ",
            "the client does not accept our certificate",
        ),
    ];
    for (ca, own, more, here, there) in cases {
        let tunnel = world.tunnel(ca, own, more).await;
        let (client, answer) = connect(tunnel.addr("tunnel")).await;
        let error = answer.expect_err("not carried");
        assert_eq!((error.code, error.data["by"].as_str()), (-32010, Some("tunnel")), "{error:?}");
        assert!(error.message.contains(here), "{error:?}, not {here}");
        client.expect_closed().await;
        tunnel.wait_for_line(here).await;
        world.rig.proxy.wait_for_line(there).await;
    }
    let (folder, to) = (&world.folder, world.rig.proxy.addr("sdk").to_string());
    world.ca.sign_expired(folder, "proxy", &[loopback()]);
    world.rig.proxy.wait_for_line("the certificates were read again").await;
    let tunnel = tunnel_to(folder, &to, "ca", Some("sidecar"), &[]).await;
    let error = connect(tunnel.addr("tunnel")).await.1.expect_err("not carried");
    assert!(error.message.contains("the proxy's certificate has expired"), "{error:?}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_after_the_time_and_so_is_one_without_tls() {
    let (folder, cli) = (Folder::new("absent"), FakeCli::start("cli-1").await);
    Authority::new(&folder, "ca");
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = closed.local_addr().expect("bound");
    drop(closed);
    let tunnel = tunnel_to(&folder, &at.to_string(), "ca", None, &["--connect-timeout", "300ms"]).await;
    let (client, answer) = connect(tunnel.addr("tunnel")).await;
    let error = answer.expect_err("nobody is there");
    assert!(error.message.contains("the proxy cannot be reached for 300ms"), "{error:?}");
    assert!(error.message.contains("refused"), "{error:?}");
    client.expect_closed().await;
    let plain = tunnel_to(&folder, &cli.addr().to_string(), "ca", None, &["--connect-timeout", "300ms"]).await;
    let error = connect(plain.addr("tunnel")).await.1.expect_err("no TLS there");
    assert!(error.message.contains("the proxy"), "{error:?}");
}

/// Certificates change under connections that live.
#[tokio::test]
async fn certificates_change_without_a_restart() {
    let world = World::new("change").await;
    let (folder, proxy) = (&world.folder, &world.rig.proxy);
    let tunnel = world.tunnel("ca", Some("sidecar"), &[]).await;
    let (client, hello) = connect(tunnel.addr("tunnel")).await;
    hello.expect("connected");
    create(&client, "s1").await;
    // A broken file changes nothing.
    let right = std::fs::read(folder.path("proxy.crt")).expect("there");
    std::fs::write(folder.path("proxy.crt"), "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
        .expect("written");
    let told = proxy.wait_for_line("the last certificates stay in force").await;
    assert!(told.contains("listener `sdk`") && told.contains("proxy.crt"), "{told}");
    connect(tunnel.addr("tunnel")).await.1.expect("as before");
    std::fs::write(folder.path("proxy.crt"), right).expect("written");
    proxy.wait_for_line("the files of the certificates are as they were").await;
    // Another authority on all sides: first the proxy, whom the tunnel then does not trust, then the tunnel.
    let next = Authority::new(folder, "ca");
    next.sign(folder, "proxy", &[loopback()]);
    proxy.wait_for_line("the certificates were read again").await;
    next.sign(folder, "sidecar", &[dns("sidecar.example")]);
    tunnel.wait_for_line("the certificates were read again").await;
    let (other, hello) = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            // One of the tunnel's files may have changed before the other.
            let (client, answer) = connect(tunnel.addr("tunnel")).await;
            if answer.is_ok() {
                return (client, answer);
            }
        }
    })
    .await
    .expect("in time");
    hello.expect("connected");
    create(&other, "s2").await;
    turn(&other, "s2").await;
    turn(&client, "s1").await;
}

#[tokio::test]
async fn a_tunnel_listens_on_a_unix_socket_and_takes_it_away() {
    let world = World::new("tunix").await;
    let path = world.folder.text("local.sock");
    let to = world.rig.proxy.addr("sdk").to_string();
    let (ca, cert, key) =
        (world.folder.text("ca.crt"), world.folder.text("sidecar.crt"), world.folder.text("sidecar.key"));
    let listen = format!("unix:{path}");
    let mut tunnel =
        Pilotfish::tunnel(&["--listen", &listen, "--to", &to, "--ca", &ca, "--cert", &cert, "--key", &key]).await;
    let (client, hello) = connect(super::port_of(&world.folder.path("local.sock")).await).await;
    hello.expect("connected");
    create(&client, "s1").await;
    drop(client);
    tunnel.terminate();
    assert!(tunnel.exit().await.success());
    assert!(!world.folder.path("local.sock").exists());
}
