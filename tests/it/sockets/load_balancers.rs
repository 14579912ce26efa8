//! PROXY protocol, version 2, from load balancers in front of us.

use std::net::SocketAddr;

use pilotfish::serve::proxy_header;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    deadline::within,
    fake_cli::FakeCli,
    process::{self, Pilotfish},
    session::{
        raw::{Raw, frame},
        rig::{Plan, Rig},
    },
};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}"#;

fn header(from: &str, to: &str) -> Vec<u8> {
    proxy_header::proxied(from.parse().unwrap(), to.parse().unwrap())
}

/// A client that begins with these bytes; whether its ping is answered.
async fn asks(at: SocketAddr, begin: &[u8]) -> bool {
    let mut raw = Raw::connect(at).await;
    raw.send(&[begin, &frame(PING)].concat()).await;
    let body = raw.body().await;
    let connected = body.is_some_and(|body| String::from_utf8_lossy(&body).contains("\"result\""));
    raw.finish().await;
    raw.end().await;
    connected
}

#[tokio::test]
async fn the_client_of_a_trusted_load_balancer_is_known() {
    let rig = Rig::with(Plan {
        listener: "proxy_protocol_from = [ \"127.0.0.1\" ]",
        session: "header_timeout = \"300ms\"",
        ..Plan::default()
    })
    .await;
    let at = rig.proxy.addr("sdk");
    assert!(asks(at, &header("192.0.2.7:1234", "198.51.100.1:4321")).await);
    rig.proxy.wait_for_line("client.addr=192.0.2.7:1234").await;
    assert!(asks(at, &header("[2001:db8::7]:1234", "[2001:db8::1]:4321")).await);
    rig.proxy.wait_for_line("client.addr=[2001:db8::7]:1234").await;
    assert!(asks(at, &proxy_header::local()).await, "on its own behalf");
    let mut extended = header("192.0.2.8:1", "198.51.100.1:4321");
    extended.extend([0x04, 0, 3, 1, 2, 3]);
    extended[15] += 6;
    assert!(asks(at, &extended).await, "with an extension");
    let mut unix = proxy_header::local();
    (unix[12], unix[13], unix[15]) = (0x21, 0x31, 216);
    unix.extend([0; 216]);
    assert!(asks(at, &unix).await, "of a client on a Unix socket");
    // One that has to, and does not.
    assert!(!asks(at, b"").await);
    rig.proxy.wait_for_line("no header of the PROXY protocol, version 2").await;
    assert!(!asks(at, b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 4321\r\n").await);
    let mut cut = Raw::connect(at).await;
    cut.send(&header("192.0.2.9:1", "198.51.100.1:4321")[..20]).await;
    assert!(cut.end().await.is_empty(), "half a header is waited for no longer than a whole one may take");
    rig.proxy.wait_for_line("not through in time").await;
    let mut long = header("192.0.2.9:1", "198.51.100.1:4321");
    long[14] = 0xff;
    assert!(!asks(at, &long).await);
    rig.proxy.wait_for_line("a header of").await;
}

#[tokio::test]
async fn nobody_else_may_say_who_they_are() {
    let rig = Rig::with(Plan { listener: "proxy_protocol_from = [ \"192.0.2.0/24\" ]", ..Plan::default() }).await;
    let at = rig.proxy.addr("sdk");
    assert!(asks(at, b"").await, "as ever");
    assert!(!asks(at, &header("192.0.2.7:1234", "198.51.100.1:4321")).await);
    assert!(!rig.proxy.output().contains("192.0.2.7:1234"));
}

#[tokio::test]
async fn connection_mode_passes_it_on() {
    let backend = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let fake = FakeCli::start("cli-1").await;
    let more = "proxy_protocol_from = [ \"127.0.0.0/8\" ]\n[listener.connection]\nproxy_protocol = \"v2\"";
    let address = backend.local_addr().expect("bound");
    let config = process::config("connection", "shared", &[("cli-1", address)], "");
    let config = config.replace(
        "mode = \"connection\"\npool = \"copilot\"",
        &format!("mode = \"connection\"\npool = \"copilot\"\n{more}"),
    );
    // Health looks at the socket that is under test, too: it gets what a fake answers.
    let proxy = Pilotfish::start(&config).await;
    let said = header("192.0.2.7:1234", "198.51.100.1:4321");
    let mut client = TcpStream::connect(proxy.addr("sdk")).await.expect("accepted");
    client.write_all(&[&said[..], b"first"].concat()).await.expect("taken");
    let expected = [&said[..], b"first"].concat();
    let found = within(|| "the client's bytes at the backend".to_owned(), async {
        loop {
            let (mut stream, _) = backend.accept().await.expect("dialled");
            let mut start = [0; 4];
            if stream.read_exact(&mut start).await.is_ok() && start == expected[..4] {
                let mut rest = vec![0; expected.len() - 4];
                stream.read_exact(&mut rest).await.expect("the rest");
                return [&start[..], &rest].concat();
            }
            let mut straight = TcpStream::connect(fake.addr()).await.expect("there");
            straight.write_all(&start).await.expect("taken");
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut straight).await });
        }
    })
    .await;
    assert_eq!(found, expected);
}
