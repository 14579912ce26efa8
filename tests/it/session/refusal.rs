//! A bad config: every problem is told, and nothing is bound.

use std::net::TcpListener;

use crate::process::Pilotfish;

#[tokio::test]
async fn all_problems_are_told_and_nothing_is_bound() {
    let ports: Vec<u16> = (0..2)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port())
        .collect();
    let config = format!(
        r#"
[admin]
bind = "127.0.0.1:{}"
[[listener]]
name = "sdk"
bind = "127.0.0.1:{}"
mode = "sesion"
pool = "copilott"
[listener.session]
header_timeout = "fast"
[pool.copilot]
storage = "shared"
polcy = "round-robin"
backends = [ {{ name = "a", address = "127.0.0.1:1" }}, {{ name = "a", address = "nonsense" }} ]
connection_token = {{ env = "IT_NO_SUCH_VARIABLE" }}
"#,
        ports[0], ports[1]
    );
    let mut proxy = Pilotfish::spawn(&config, &[]);
    assert_eq!(proxy.exit().await.code(), Some(1));
    for told in ["sesion", "copilott", "header_timeout", "polcy", "nonsense", "IT_NO_SUCH_VARIABLE"] {
        proxy.wait_for_line(told).await;
    }
    assert!(!proxy.output().contains("listening"));
    for port in ports {
        TcpListener::bind(("127.0.0.1", port)).expect("nobody has it");
    }
}

#[tokio::test]
async fn a_taken_port_is_told_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    let config = format!(
        "[admin]\nbind = \"127.0.0.1:0\"\n[[listener]]\nname = \"sdk\"\nbind = \"{address}\"\npool = \"p\"\n[pool.p]\n\
         backends = [ {{ name = \"a\", address = \"127.0.0.1:1\" }} ]\n"
    );
    let mut proxy = Pilotfish::spawn(&config, &[]);
    assert_eq!(proxy.exit().await.code(), Some(1));
    proxy.wait_for_line(&address.to_string()).await;
}
