//! Who gets in: tokens, tries, delays, the default tenant.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use serde_json::json;

use super::rig::{ALICE, BOB, ENV, Ids, Spelt, TWO, login, two};
use crate::{
    rpc_client::RpcClient,
    session::{
        raw::{Raw, frame},
        rig::{Plan, Rig, create},
    },
};

#[tokio::test]
async fn failures_are_answered_as_the_runtime_does_and_the_third_ends_it() {
    let rig = two(Ids::Prefix, 1).await;
    let mut raw = Raw::connect(rig.proxy.addr("sdk")).await;
    let say = |id: u32, method: &str, params: &str| {
        frame(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#))
    };
    raw.send(&say(1, "session.list", "{}")).await;
    assert_eq!(
        raw.body().await.expect("an answer"),
        br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"AUTHENTICATION_REQUIRED"}}"#
    );
    for id in 2..5 {
        raw.send(&say(id, "connect", r#"{"token":"wrong"}"#)).await;
        let wanted =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32002,"message":"AUTHENTICATION_FAILED"}}}}"#);
        assert_eq!(raw.body().await.expect("an answer"), wanted.as_bytes());
    }
    assert_eq!(raw.body().await, None, "after three tries it is over");
    assert!(rig.cli[0].frames().iter().all(|frame| frame.method() != "session.list"));
    rig.proxy.wait_for_line("audit").await;
}

#[tokio::test]
async fn a_client_stays_who_it_is() {
    let rig = two(Ids::Prefix, 1).await;
    let alice = login(&rig, ALICE).await;
    create(&alice, "alice--mine").await;
    alice.call("connect", json!({"token": ALICE})).await.expect("she is still herself");
    let error = alice.call("connect", json!({"token": BOB})).await.expect_err("nobody else");
    assert_eq!(error.code, -32002);
    alice.call("session.send", json!({"sessionId": "alice--mine", "prompt": "x"})).await.expect("still hers");
}

#[tokio::test]
async fn a_token_belongs_to_its_tenant_in_every_form() {
    use sha2_hex::digest;
    let folder = std::env::temp_dir().join(format!("pilotfish-it-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("alice.token");
    std::fs::write(&file, "first-token-of-alice-0001\n").expect("written");
    let more = format!(
        "[[tenant]]\nname = \"alice\"\ntokens = [{{ file = \"{}\" }}, {{ sha256 = \"{}\" }}]\n[[tenant]]\nname = \"bob\"\ntokens = [{{ env = \"IT_BOB\" }}]\n",
        file.display(),
        digest("second-token-of-alice-002")
    );
    let rig = Rig::with(Plan { more: &more, env: ENV, ..Plan::default() }).await;
    for token in ["first-token-of-alice-0001", "second-token-of-alice-002"] {
        create(&login(&rig, token).await, "alice--x").await;
    }
    // A new token in the file is known within moments, and the old one is no more.
    std::fs::write(&file, "third-token-of-alice-00003\n").expect("written");
    let known = async |token: &str| rig.stranger().await.call("connect", json!({"token": token})).await.is_ok();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !known("third-token-of-alice-00003").await {
        assert!(Instant::now() < deadline, "the new token never became known");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(!known("first-token-of-alice-0001").await, "the old one is gone");
    std::fs::remove_dir_all(&folder).ok();
}

#[tokio::test]
async fn a_listener_without_authentication_belongs_to_its_tenant() {
    let more = TWO;
    let rig = Rig::with(Plan { listener: "tenant = \"alice\"", more, env: ENV, ..Plan::default() }).await;
    let client = rig.client().await;
    create(&client, "alice--hers").await;
    let error = client.call("session.resume", json!({"sessionId": "bob--his"})).await.expect_err("not hers");
    assert!(error.message.contains("Session not found"), "{error:?}");
}

#[tokio::test]
async fn the_client_s_token_goes_no_further_and_the_backend_s_is_not_told() {
    let plan = Plan {
        pool: "connection_token = { env = \"IT_BACK\" }",
        more: TWO,
        token: Some("back-secret-31"),
        env: &[("IT_ALICE", ALICE), ("IT_BOB", BOB), ("IT_BACK", "back-secret-31")],
        ..Plan::default()
    };
    let rig = Rig::with(plan).await;
    let mut alice = Spelt::login(&rig, ALICE).await;
    let made = alice.call("session.create", r#"{"sessionId":"alice--t"}"#).await;
    assert!(made.contains("alice--t") && !made.contains("back-secret-31"));
    for frame in rig.cli[0].frames() {
        assert!(!String::from_utf8_lossy(&frame.body).contains(ALICE), "{frame:?}");
    }
    assert!(!rig.proxy.output().contains(ALICE) && !rig.proxy.output().contains("back-secret-31"));
}

/// A client that comes from another address of loopback.
async fn from(address: [u8; 4], to: SocketAddr) -> tokio::net::TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((IpAddr::from(address), 0))).expect("loopback has many addresses");
    socket.connect(to).await.expect("accepted")
}

#[tokio::test]
async fn wrong_tokens_of_one_address_do_not_delay_another() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let rig = two(Ids::Prefix, 1).await;
    let addr = rig.proxy.addr("sdk");
    let guess = frame(r#"{"jsonrpc":"2.0","id":1,"method":"connect","params":{"token":"guess"}}"#);
    let guessers: Vec<_> = (0..400)
        .map(|_| {
            let guess = guess.clone();
            tokio::spawn(async move {
                let mut stream = from([127, 0, 0, 9], addr).await;
                stream.write_all(&guess).await.ok();
                let mut answer = Vec::new();
                stream.read_buf(&mut answer).await.ok();
            })
        })
        .collect();
    // As a ratio it says nothing here; what counts is that nobody waits for the guessers' delays, which are 100 ms and more.
    let mut waits = Vec::new();
    for _ in 0..40 {
        let client = RpcClient::connect(addr).await;
        let began = Instant::now();
        client.call("connect", json!({"token": ALICE})).await.expect("a right token");
        waits.push(began.elapsed());
    }
    waits.sort();
    assert!(waits[20] < Duration::from_millis(100), "{waits:?}");
    for guesser in guessers {
        guesser.await.expect("no panic");
    }
}

/// Hashes as an operator makes them with `sha256sum`.
mod sha2_hex {
    pub fn digest(text: &str) -> String {
        use std::{
            io::Write,
            process::{Command, Stdio},
        };
        let mut sum =
            Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("coreutils");
        sum.stdin.take().expect("piped").write_all(text.as_bytes()).expect("taken");
        let output = sum.wait_with_output().expect("ended").stdout;
        String::from_utf8(output).expect("hex")[..64].to_owned()
    }
}
