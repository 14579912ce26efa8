//! Every row of `edge-cases.md` section 2 over a real socket.

use serde_json::{Value, json};

use super::{
    raw::frame,
    rig::{Rig, create, turn},
};
use crate::fake_cli::{Act, Gate};

/// Name, body, code, and whether the answer carries the request's id (`"x"`) or `null`.
type Row = (&'static str, Vec<u8>, i64, bool);

fn refused() -> Vec<Row> {
    let mut table: Vec<Row> = Vec::new();
    let mut row = |name, body: &str, code, certain| table.push((name, body.as_bytes().to_vec(), code, certain));
    row(
        "two sessionId",
        r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"sessionId":"edge","sessionId":"b"}}"#,
        -32600,
        true,
    );
    row(
        "two sessionId, one escaped",
        r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"sessionId":"edge","session\u0049d":"b"}}"#,
        -32600,
        true,
    );
    row(
        "two params",
        r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"sessionId":"edge"},"params":{}}"#,
        -32600,
        true,
    );
    row(
        "two methods",
        r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","meth\u006fd":"runtime.shutdown"}"#,
        -32600,
        true,
    );
    row("two ids", r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","id":"y"}"#, -32600, false);
    row("two ids, one escaped", r#"{"jsonrpc":"2.0","i\u0064":"x","method":"session.foo","id":"y"}"#, -32600, false);
    row("two jsonrpc", r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":"x","method":"session.foo"}"#, -32600, true);
    row(
        "two kinds",
        r#"{"jsonrpc":"2.0","id":"x","method":"sessions.open","params":{"kind":"create","kind":"resume"}}"#,
        -32600,
        true,
    );
    row(
        "two ids of an open",
        r#"{"jsonrpc":"2.0","id":"x","method":"sessions.open","params":{"kind":"create","options":{"sessionId":"a","sessionId":"b"}}}"#,
        -32600,
        true,
    );
    row(
        "two sessionIds",
        r#"{"jsonrpc":"2.0","id":"x","method":"sessions.bulkDelete","params":{"sessionIds":[],"sessionIds":["edge"]}}"#,
        -32600,
        true,
    );
    row("params an array", r#"{"jsonrpc":"2.0","id":"x","method":"session.resume","params":["edge"]}"#, -32602, true);
    row("params a string", r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":"edge"}"#, -32602, true);
    row("params null", r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":null}"#, -32602, true);
    row(
        "sessionId a number",
        r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"sessionId":5}}"#,
        -32602,
        true,
    );
    row(
        "sessionId null",
        r#"{"jsonrpc":"2.0","id":"x","method":"session.send","params":{"sessionId":null}}"#,
        -32602,
        true,
    );
    row(
        "sessionId an array",
        r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"sessionId":["edge"]}}"#,
        -32602,
        true,
    );
    row(
        "sessionId an object",
        r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"sessionId":{"a":"edge"}}}"#,
        -32602,
        true,
    );
    row(
        "sessionId empty",
        r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"sessionId":""}}"#,
        -32602,
        true,
    );
    row(
        "sessionId with a slash",
        r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"sessionId":"../edge"}}"#,
        -32602,
        true,
    );
    row(
        "sessionId too long",
        &format!(
            r#"{{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{{"sessionId":"{}"}}}}"#,
            "e".repeat(129)
        ),
        -32602,
        true,
    );
    row(
        "depth 65",
        &format!(
            r#"{{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{{"a":{}{}}}}}"#,
            "[".repeat(63),
            "]".repeat(63)
        ),
        -32700,
        true,
    );
    row("1e400", r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"n":1e400}}"#, -32700, true);
    row(
        "5,000 digits",
        &format!(r#"{{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{{"n":{}}}}}"#, "9".repeat(5000)),
        -32700,
        true,
    );
    row("lone surrogate", r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"t":"\ud800"}}"#, -32700, true);
    row(
        "lone low surrogate",
        r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"t":"\udc00x"}}"#,
        -32700,
        true,
    );
    row(
        "NUL",
        "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"session.foo\",\"params\":{\"t\":\"a\0b\"}}",
        -32700,
        true,
    );
    row("comment", r#"{"jsonrpc":"2.0","id":"x","method":"session.foo"/**/}"#, -32700, true);
    row("trailing comma", r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{},}"#, -32700, true);
    row("NaN", r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"n":NaN}}"#, -32700, true);
    row("\\x41", r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"t":"\x41"}}"#, -32700, true);
    row("BOM", "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"session.foo\"}", -32700, false);
    row("two bodies", r#"{"jsonrpc":"2.0","id":"x","method":"session.foo"}{"jsonrpc":"2.0"}"#, -32700, true);
    row("cut short", r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"#, -32700, true);
    row("batch", r#"[{"jsonrpc":"2.0","id":"x","method":"session.foo"}]"#, -32600, false);
    row("an envelope as an array", r#"["2.0","session.foo","x",{"sessionId":"edge"}]"#, -32600, false);
    row("a string", r#""x""#, -32600, false);
    row("a number", "5", -32600, false);
    row("null", "null", -32600, false);
    row("an empty object", "{}", -32600, false);
    row("method not a string", r#"{"jsonrpc":"2.0","id":"x","method":5}"#, -32600, true);
    row("no method", r#"{"jsonrpc":"2.0","id":"x"}"#, -32600, true);
    row("no jsonrpc", r#"{"id":"x","method":"session.foo"}"#, -32600, true);
    row("jsonrpc 1.0", r#"{"jsonrpc":"1.0","id":"x","method":"session.foo"}"#, -32600, true);
    row("jsonrpc a number", r#"{"jsonrpc":2.0,"id":"x","method":"session.foo"}"#, -32600, true);
    for id in ["null", "true", "{}", "[1]", "1.5", "1.0", "1e2", "-0", "9007199254740992", "9223372036854775808"] {
        row("an id that is none", &format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"session.foo"}}"#), -32600, false);
    }
    row(
        "an id of 257 bytes",
        &format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"session.foo"}}"#, "i".repeat(257)),
        -32600,
        false,
    );
    row("method and result", r#"{"jsonrpc":"2.0","id":"x","method":"session.foo","result":{}}"#, -32600, true);
    row("result and error", r#"{"jsonrpc":"2.0","id":"x","result":{},"error":{}}"#, -32600, true);
    for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"] {
        let body = [br#"{"jsonrpc":"2.0","id":"x","method":"session.foo","params":{"t":""#, bytes, br#""}}"#].concat();
        table.push(("not UTF-8", body, -32700, true));
    }
    table
}

#[tokio::test]
async fn a_bad_body_is_answered_and_goes_nowhere() {
    let rig = Rig::new(1).await;
    let (client, bystander) = (rig.client().await, rig.client().await);
    create(&client, "edge").await;
    let conn = rig.conn(0, "edge");
    let gate = Gate::new();
    rig.cli[0].next(1, "session.bar", Act::Hold(gate.clone()));
    let open = client.start("session.bar", json!({"sessionId": "edge"})).await;
    gate.reached(1).await;
    let before = rig.heard(0, conn).len();
    for (name, body, code, certain) in refused() {
        let shown = format!("{name}: {}", String::from_utf8_lossy(&body[..body.len().min(120)]));
        client.send_raw(&frame(&body)).await;
        let answer = client.next_stray().await;
        assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
        let id = answer["id"].clone();
        // An id is only repeated where it is certain; UTF-8 is checked over the whole before anything is read of it.
        let fits = if certain { id == "x" || (code == -32700 && id.is_null()) } else { id.is_null() };
        assert!(fits, "{shown}: {answer}");
    }
    assert_eq!(rig.heard(0, conn).len(), before, "nothing of all that reached the backend");
    bystander.call("ping", json!({})).await.expect("undisturbed");
    gate.open();
    open.answer().await.expect("the one that was open all the time");
    turn(&client, "edge").await;
}

#[tokio::test]
async fn unusual_spellings_mean_what_they_mean() {
    let rig = Rig::new(3).await;
    let client = rig.client().await;
    create(&client, "edge").await;
    let home = rig.home("edge");
    let bodies = [
        r#"{"jsonrpc":"2.0","id":"x","method":"session.getMessages","params":{"\u0073essionId":"edge"}}"#,
        r#"{"jsonrpc":"2.0","id":"x","method":"session.getMessages","params":{"sessionId":"\u0065dge"}}"#,
        r#"{"params":{"sessionId":"edge"},"method":"session.getMessages","id":"x","jsonrpc":"2.0"}"#,
        "\n\t {\"jsonrpc\" : \"2.0\" , \"id\" : \"x\", \"method\":\"session\\u002egetMessages\", \"params\" : { \"sessionId\" : \"edge\" } } \r\n",
        r#"{"jsonrpc":"2.0","id":"x","method":"session.getMessages","params":{"sessionid":"b","session_id":"c","sessionId":"edge"}}"#,
        r#"{"jsonrpc":"2.0","id":"x","method":"session.getMessages","params":{"sessionId":"edge","deep":{"sessionId":"b","sessionId":"c"}}}"#,
        r#"{"jsonrpc":"2.0","id":"x","method":"session.getMessages","params":{"sessionId":"edge","t":"\ud83d\udc1f é 🐟","n":[1e3,-0.5,0]}}"#,
    ];
    for body in bodies {
        client.send_raw(&frame(body)).await;
        let answer = client.next_stray().await;
        assert!(answer["result"]["events"].is_array(), "{body}: {answer}");
        // Byte for byte as it was written.
        rig.cli[home].wait_for(|frame| frame.body == body.as_bytes()).await;
    }
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":"x","method":"session.getMessages","params":{{"sessionId":"edge","a":{}{}}}}}"#,
        "[".repeat(62),
        "]".repeat(62)
    );
    client.send_raw(&frame(deep)).await;
    assert!(client.next_stray().await["result"].is_object(), "64 levels are allowed");
    // Keys in another case are other keys: no session, so any backend may say what it thinks of that.
    client
        .send_raw(&frame(r#"{"jsonrpc":"2.0","id":"x","method":"session.getMessages","params":{"sessionid":"edge"}}"#))
        .await;
    let answer: Value = client.next_stray().await;
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("Missing sessionId")), "{answer}");
}
