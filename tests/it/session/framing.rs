//! Every row of `edge-cases.md` section 1 over a real socket: what the proxy must do is the last column.

use serde_json::Value;

use super::{
    raw::{Raw, frame},
    rig::{Rig, create, turn},
};
use crate::fake_cli::Act;

const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"session.getMessages","params":{"sessionId":"edge"}}"#;

/// What must be refused: the bytes before the body.
fn refused() -> Vec<(&'static str, Vec<u8>)> {
    let n = BODY.len();
    let head = |text: String| [text.as_bytes(), BODY.as_bytes()].concat();
    let mut table = vec![
        ("space before the colon", head(format!("Content-Length : {n}\r\n\r\n"))),
        ("leading space in the name", head(format!(" Content-Length: {n}\r\n\r\n"))),
        ("bare LF", head(format!("Content-Length: {n}\n\n"))),
        ("bare LF behind one good line", head(format!("Content-Length: {n}\r\nX: y\n\r\n"))),
        ("CR LF LF", head(format!("Content-Length: {n}\r\n\n"))),
        ("bare CR", head(format!("Content-Length: {n}\r\r\n"))),
        ("two lengths", head(format!("Content-Length: 5\r\nContent-Length: {n}\r\n\r\n"))),
        ("two equal lengths", head(format!("Content-Length: {n}\r\nContent-Length: {n}\r\n\r\n"))),
        ("two lengths across case", head(format!("content-length: {n}\r\nCONTENT-LENGTH: 5\r\n\r\n"))),
        ("utf-16", head(format!("Content-Length: {n}\r\nContent-Type: application/x; charset=utf-16\r\n\r\n"))),
        ("no colon", head(format!("Content-Length {n}\r\n\r\n"))),
        ("a line without a colon", head(format!("Content-Length: {n}\r\nhello\r\n\r\n"))),
        ("folded line", head(format!("Content-Length: {n}\r\n  more: x\r\n\r\n"))),
        ("empty block", head("\r\n".into())),
        ("no length", head("Content-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n".into())),
        ("empty length", head("Content-Length: \r\n\r\n".into())),
        ("first byte with the high bit", head(format!("\u{c3}ontent-Length: {n}\r\n\r\n"))),
        ("NUL in another name", head(format!("Content-Length: {n}\r\nX\0Y: z\r\n\r\n"))),
        ("a header of over 1,024 bytes", head(format!("X-Pad: {}\r\nContent-Length: {n}\r\n\r\n", "p".repeat(1024)))),
        ("nine lines", head(format!("{}Content-Length: {n}\r\n\r\n", "X: y\r\n".repeat(8)))),
        ("HTTP GET", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("HTTP POST", head(format!("POST / HTTP/1.1\r\nContent-Length: {n}\r\n\r\n"))),
        ("TLS", vec![0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]),
    ];
    let lengths = [
        "00085",
        "+85",
        "85abc",
        "85, 85",
        "85;x",
        "85.9",
        "0x55",
        "1e2",
        "8_5",
        "-5",
        "18446744073709551701",
        "0",
        "-0",
        "10000000000000000000000000000000000000000",
        "1000000000000",
        "33554433",
        "\u{664}",
        "8 5",
        "'85'",
        "",
    ];
    for length in lengths {
        table.push(("a bad length", head(format!("Content-Length: {length}\r\n\r\n"))));
    }
    // The high bit alone, not as UTF-8.
    let mut odd = head(format!("Content-Length: {n}\r\n\r\n"));
    odd[0] |= 0x80;
    table.push(("first byte 0xC3", odd));
    table
}

#[tokio::test]
async fn a_bad_header_is_answered_closed_and_goes_nowhere() {
    let rig = Rig::new(1).await;
    let bystander = rig.client().await;
    create(&bystander, "edge").await;
    rig.cli[0].on("session.foo", Act::Ignore);
    for (name, bytes) in refused() {
        let shown = format!("{name}: {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]));
        let mut client = Raw::connect(rig.proxy.addr("sdk")).await;
        client
            .send(&frame(r#"{"jsonrpc":"2.0","id":"open","method":"session.foo","params":{"sessionId":"edge"}}"#))
            .await;
        let conn = rig.cli[0].wait_for(|f| f.method() == "session.foo" && f.conn == rig.cli[0].accepted()).await.conn;
        client.try_send(&bytes).await;
        // A second frame behind the bad one must not be taken for anything.
        client.try_send(&frame(BODY)).await;
        let answers: Vec<Value> =
            client.end().await.iter().map(|body| serde_json::from_slice(body).expect("JSON")).collect();
        let open = answers.iter().find(|answer| answer["id"] == "open").unwrap_or_else(|| panic!("{shown}"));
        assert_eq!(open["error"]["code"], -32700, "{shown}");
        assert_eq!(answers.iter().filter(|answer| answer["id"].is_null()).count(), 1, "{shown}: {answers:?}");
        assert_eq!(rig.heard(0, conn), ["session.foo"], "{shown}");
    }
    turn(&bystander, "edge").await;
}

#[tokio::test]
async fn what_only_looks_odd_is_taken() {
    let rig = Rig::new(1).await;
    let client = rig.client().await;
    create(&client, "edge").await;
    let n = BODY.len();
    let heads = [
        format!("content-length: {n}\r\n\r\n"),
        format!("CONTENT-LENGTH:{n}\r\n\r\n"),
        format!("Content-Length:\t{n}\r\n\r\n"),
        format!("Content-Length:   {n}\r\n\r\n"),
        format!("X-Foo: y\r\nContent-Length: {n}\r\n\r\n"),
        format!("Content-Length: {n}\r\nContent-Encoding: gzip\r\n\r\n"),
        format!("Content-Length: {n}\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n"),
        format!("Content-Length: {n}\r\nContent-Type: application/vscode-jsonrpc; charset=utf8\r\n\r\n"),
        format!("{}Content-Length: {n}\r\n\r\n", "X: y\r\n".repeat(7)),
    ];
    let count = heads.len();
    for head in heads {
        client.send_raw(&[head.as_bytes(), BODY.as_bytes()].concat()).await;
        let answer = client.next_stray().await;
        assert!(answer["result"]["events"].is_array(), "{head:?}: {answer}");
    }
    // The backend's reader takes nothing but our own header: every body came whole.
    let bodies = rig.cli[0].frames();
    assert_eq!(bodies.iter().filter(|frame| frame.body == BODY.as_bytes()).count(), count);
}

/// Two writes for every position, so that the proxy meets every cut.
#[tokio::test]
async fn frames_may_be_cut_at_every_byte() {
    let rig = Rig::new(1).await;
    let mut client = Raw::connect(rig.proxy.addr("sdk")).await;
    client.send(&frame(r#"{"jsonrpc":"2.0","id":0,"method":"session.create","params":{"sessionId":"edge"}}"#)).await;
    client.body_with("\"id\":0,\"result\"").await;
    let one = frame(BODY);
    let mut sent = super::admin::Metrics::of(&rig.proxy).await.sum("client_bytes_total", &["direction=\"in\""]);
    for cut in 1..one.len() {
        client.send(&one[..cut]).await;
        // The first part has been read by the proxy before the second is written.
        sent += cut as f64;
        super::admin::until(&rig.proxy, "client_bytes_total", &["direction=\"in\""], |bytes| bytes >= sent).await;
        sent += (one.len() - cut) as f64;
        client.send(&one[cut..]).await;
        client.body_with("\"id\":1,\"result\"").await;
    }
    // One byte at a time, several frames in one go.
    let three = [one.clone(), one.clone(), one].concat();
    for byte in &three {
        client.send(&[*byte]).await;
    }
    for _ in 0..3 {
        client.body_with("\"id\":1,").await;
    }
}
