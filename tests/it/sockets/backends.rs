//! Links, probes and connection mode to backends over TLS.

use std::sync::Arc;

use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

use super::{
    Folder,
    certificates::{Authority, dns},
};
use crate::{
    fake_cli::FakeCli,
    process::Pilotfish,
    rpc_client::RpcClient,
    session::rig::{create, turn},
};

/// TLS in front of a fake, which wants certificates of `ca`; the port.
async fn terminate(folder: &Folder, cli: &FakeCli) -> u16 {
    let read = |name: &str| std::fs::read(folder.path(name)).expect("there");
    let certificates = |name: &str| CertificateDer::pem_slice_iter(&read(name)).map(Result::unwrap).collect::<Vec<_>>();
    let mut roots = RootCertStore::empty();
    certificates("ca.crt").into_iter().for_each(|certificate| roots.add(certificate).expect("an authority"));
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().expect("right");
    let key = PrivateKeyDer::from_pem_slice(&read("cli.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("right")
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates("cli.crt"), key)
        .expect("right");
    let (acceptor, to) = (TlsAcceptor::from(Arc::new(config)), cli.addr());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut near = acceptor.accept(stream).await?;
                let mut far = TcpStream::connect(to).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    port
}

fn config(folder: &Folder, mode: &str, port: u16, tls: &str) -> String {
    format!(
        "[admin]\nbind = \"127.0.0.1:0\"\n[[listener]]\nname = \"sdk\"\nbind = \"127.0.0.1:0\"\nmode = \"{mode}\"\npool = \"copilot\"\n\
        [pool.copilot]\nbackends = [ {{ name = \"cli-1\", address = \"localhost:{port}\" }} ]\n\
        tls = {{ ca = \"{}\", cert = \"{}\", key = \"{}\"{tls} }}\n\
        [pool.copilot.health]\ninterval = \"100ms\"\ntimeout = \"3s\"\nrise = 1\nfall = 2\n",
        folder.text("ca.crt"),
        folder.text("own.crt"),
        folder.text("own.key")
    )
}

#[tokio::test]
async fn backends_are_reached_over_tls_with_certificates_on_both_sides() {
    let (folder, cli) = (Folder::new("backends"), FakeCli::start("cli-1").await);
    let ca = Authority::new(&folder, "ca");
    ca.sign(&folder, "cli", &[dns("localhost"), dns("cli.example")]);
    ca.sign(&folder, "own", &[dns("pilotfish.example")]);
    let port = terminate(&folder, &cli).await;
    for (mode, tls) in [("session", ""), ("connection", ", server_name = \"cli.example\"")] {
        let proxy = Pilotfish::start(&config(&folder, mode, port, tls)).await;
        proxy.wait_for_line("backend is up").await;
        let client = RpcClient::connect(proxy.addr("sdk")).await;
        client.call("connect", json!({})).await.expect("connected");
        create(&client, mode).await;
        turn(&client, mode).await;
        let large = client.call("session.send", json!({"sessionId": mode, "prompt": "x".repeat(2 << 20)})).await;
        large.expect("taken");
        client.next_event(mode, "session.idle").await;
    }
    let proxy = Pilotfish::start(&config(&folder, "session", port, ", server_name = \"other.example\"")).await;
    proxy.wait_for_line("the backend's certificate is for other names").await;
    let down = proxy.wait_for_line("backend is down").await;
    assert!(down.contains("reason=\"tls\""), "{down}");
}

/// Beside a CLI on another host stands a pilotfish in mode "connection" that takes TLS.
#[tokio::test]
async fn a_pilotfish_beside_the_cli_takes_tls() {
    let (folder, cli) = (Folder::new("beside"), FakeCli::start("cli-1").await);
    let ca = Authority::new(&folder, "ca");
    ca.sign(&folder, "proxy", &[dns("localhost")]);
    ca.sign(&folder, "own", &[dns("pilotfish.example")]);
    let config_beside = crate::process::config("connection", "shared", &[(cli.name(), cli.addr())], "").replace(
        "mode = \"connection\"",
        &format!("mode = \"connection\"\n{}", super::tls_tunnel::tls(&folder, "required")),
    );
    let beside = Pilotfish::start(&config_beside).await;
    beside.wait_for_line("backend is up").await;
    let proxy = Pilotfish::start(&config(&folder, "session", beside.addr("sdk").port(), "")).await;
    proxy.wait_for_line("backend is up").await;
    let client = RpcClient::connect(proxy.addr("sdk")).await;
    client.call("connect", json!({})).await.expect("connected");
    create(&client, "s1").await;
    let large = client.call("session.send", json!({"sessionId": "s1", "prompt": "x".repeat(3 << 20)})).await;
    large.expect("taken");
    client.next_event("s1", "session.idle").await;
    turn(&client, "s1").await;
}
