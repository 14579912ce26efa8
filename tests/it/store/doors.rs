//! How a Redis lets us in: ACL users, TLS, Unix sockets, databases.

use std::process::Stdio;

use pilotfish::{
    model::Secret,
    store::{Redis, RedisSettings, Store, StoreError, Tls},
    telemetry::Metrics,
};
use tokio::process::Command;

use super::{
    key,
    proxy::{Proxy, settings},
    server::{Folder, Server, free_port},
    waiter, wish,
};
use crate::deadline::within;

/// It can do everything that a proxy does.
async fn works(settings: RedisSettings) {
    let proxy = Proxy::start(settings).await;
    proxy.claim(&key("s"), &wish("a")).await.expect("a hold");
    proxy.lock(&key("s"), &waiter(1)).await.expect("a lock");
    let who = pilotfish::store::Who { tenant: "t".into(), user: None };
    proxy.record(&key("s"), &who).await.expect("an owner");
    proxy.owners("p", 0).await.expect("owners");
    proxy.disown(&key("s"), None).await.expect("no owner");
}

#[tokio::test]
async fn an_acl_user_that_may_only_what_the_guide_says() {
    let server = Server::start().await;
    let rules = "ACL SETUSER pilot on >s3cret resetkeys ~test:* resetchannels &test:* -@all +@connection +@scripting +info +subscribe \
        +time +publish +get +set +del +hget +hset +hdel +hgetall +hmget +hincrby +hscan +pexpire +zadd +zrem +zrank +zcard +zrangebyscore";
    let rules: Vec<&str> = rules.split_whitespace().collect();
    assert_eq!(server.command(&rules).await, "+OK\r\n");
    server.command(&["ACL", "SETUSER", "default", "off"]).await;
    let base = settings("one", &server.address());
    works(RedisSettings { username: Some("pilot".to_owned()), password: Some(Secret::new("s3cret")), ..base.clone() })
        .await;
    let wrong = RedisSettings { username: Some("pilot".to_owned()), password: Some(Secret::new("wr0ng")), ..base };
    assert!(!format!("{wrong:?}").contains("wr0ng"));
    let proxy = Proxy::launch(wrong);
    assert_eq!(proxy.claim(&key("s"), &wish("a")).await, Err(StoreError::Unavailable));
    assert!(!format!("{:?}", *proxy).contains("wr0ng"));
}

#[tokio::test]
async fn a_password_a_database_and_a_socket() {
    let folder = Folder::new();
    let socket = folder.file("redis.sock");
    let server = Server::start_with(&["--requirepass", "s3cret", "--unixsocket", &socket]).await;
    let base =
        RedisSettings { password: Some(Secret::new("s3cret")), database: 3, ..settings("one", &server.address()) };
    works(base.clone()).await;
    works(RedisSettings { addresses: vec![format!("unix:{socket}").parse().expect("an address")], ..base }).await;
}

/// Runs openssl in `folder`.
async fn openssl(folder: &Folder, arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split_whitespace()).current_dir(folder.path()).stdin(Stdio::null());
    let output = within(|| format!("openssl {arguments}"), command.output()).await.expect("openssl");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority `ca`, and certificates `server` (for 127.0.0.1) and `client` that it signed.
async fn certificates() -> Folder {
    let folder = Folder::new();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&folder, &format!("req -x509 {key} -days 2 -subj /CN=ca -keyout ca.key -out ca.pem")).await;
    for name in ["server", "client"] {
        openssl(&folder, &format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr")).await;
        std::fs::write(folder.path().join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").expect("written");
        let sign = format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names");
        openssl(&folder, &format!("{sign} -out {name}.pem")).await;
    }
    folder
}

#[tokio::test]
async fn tls_with_an_authority_and_a_certificate_of_our_own() {
    let folder = certificates().await;
    let file = |name: &str| folder.file(name);
    let port = free_port();
    let mut arguments: Vec<String> = ["--port", "0", "--tls-port"].map(str::to_owned).to_vec();
    arguments.push(port.to_string());
    for (option, name) in [("cert-file", "server.pem"), ("key-file", "server.key"), ("ca-cert-file", "ca.pem")] {
        arguments.extend([format!("--tls-{option}"), file(name)]);
    }
    let _server = Server::start_at(port, arguments).await;
    let tls = Tls {
        everywhere: false,
        authorities: Some(file("ca.pem").into()),
        identity: Some((file("client.pem").into(), file("client.key").into())),
    };
    let url = format!("rediss://localhost:{port}");
    let base = RedisSettings { tls: Some(tls.clone()), ..settings("one", &url) };
    works(base.clone()).await;
    let bare = settings("one", &format!("127.0.0.1:{port}"));
    works(RedisSettings { tls: Some(Tls { everywhere: true, ..tls.clone() }), ..bare }).await;
    let stranger = Proxy::launch(RedisSettings { tls: Some(Tls { authorities: None, ..tls.clone() }), ..base.clone() });
    let nobody = Proxy::launch(RedisSettings { tls: Some(Tls { identity: None, ..tls.clone() }), ..base.clone() });
    assert!(!stranger.is_up() && !nobody.is_up());
    let metrics = Metrics::new(&[]).expect("metrics");
    let swapped = Tls { identity: Some((file("client.pem").into(), file("client.csr").into())), ..tls };
    let error = Redis::open(RedisSettings { tls: Some(swapped), ..base }, metrics.store()).expect_err("no key");
    assert!(error.to_string().ends_with("client.csr: not a private key in PEM"), "{error}");
}
