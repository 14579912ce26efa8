//! Large frames: they stream through byte for byte, and one that turns out bad is never acted on.

use serde_json::json;

use super::{
    raw::{Raw, frame},
    rig::{Rig, create, id_at, turn},
};
use crate::{
    fake_cli::{Act, Close, FakeCli},
    rpc_client::RpcClient,
};

const MIB: usize = 1 << 20;

/// Text that repeats itself nowhere near, so that a lost or doubled piece shows.
fn text(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    let mut number = 0u64;
    while text.len() < bytes {
        text.push_str(&format!("{number:x}."));
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    }
    text
}

/// A raw client with a session on each of two backends, ids 1 and 2.
async fn pair() -> (Rig, Raw, [String; 2]) {
    let rig = Rig::new(2).await;
    let mut client = Raw::connect(rig.proxy.addr("sdk")).await;
    let sessions = [id_at("large", 2, 0), id_at("large", 2, 1)];
    for (at, session) in sessions.iter().enumerate() {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":{at},"method":"session.create","params":{{"sessionId":"{session}"}}}}"#);
        client.send(&frame(body)).await;
        client.body_with(&format!("\"id\":{at},\"result\"")).await;
        client.body_with("\"type\":\"session.start\"").await;
    }
    (rig, client, sessions)
}

async fn expect(cli: &FakeCli, body: &str) {
    cli.wait_for(|frame| frame.body.len() == body.len() && frame.body == body.as_bytes()).await;
}

#[tokio::test]
async fn requests_come_through_byte_for_byte() {
    let (rig, mut client, [session, _]) = pair().await;
    for size in [63 << 10, 64 << 10, 65 << 10, 128 << 10, 300 << 10, MIB, 20 * MIB] {
        let data = text(size);
        let bodies = [
            (
                "usual",
                format!(
                    r#"{{"jsonrpc":"2.0","id":"L","method":"session.foo","params":{{"sessionId":"{session}","data":"{data}"}}}}"#
                ),
            ),
            (
                "sessionId late",
                format!(
                    r#"{{"jsonrpc":"2.0","id":"L","method":"session.foo","params":{{"data":"{data}","sessionId":"{session}"}}}}"#
                ),
            ),
            (
                "id last",
                format!(
                    r#"{{"jsonrpc":"2.0","method":"session.foo","params":{{"sessionId":"{session}","data":"{data}"}},"id":"L"}}"#
                ),
            ),
            (
                "everything last",
                format!(
                    r#"{{"params":{{"data":"{data}","sessionId":"{session}"}},"method":"session.foo","id":"L","jsonrpc":"2.0"}}"#
                ),
            ),
        ];
        for (name, body) in bodies {
            client.send(&frame(&body)).await;
            let answer = client.body_with("\"id\":\"L\"").await;
            assert!(String::from_utf8_lossy(&answer).contains("Unhandled method session.foo"), "{name} {size}");
            expect(&rig.cli[0], &body).await;
        }
    }
    // An odd header in front: the body is the same, the header ours.
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"L","method":"session.foo","params":{{"sessionId":"{session}","data":"{}"}}}}"#,
        text(MIB)
    );
    client.send(format!("content-length:{}\r\nX-Odd: 1\r\n\r\n{body}", body.len()).as_bytes()).await;
    client.body_with("\"id\":\"L\"").await;
    expect(&rig.cli[0], &body).await;
}

/// Small frames of the same client, before, behind and to another backend, keep their order around a large one.
#[tokio::test]
async fn small_frames_around_a_large_one_keep_their_order() {
    let (rig, mut client, [a, b]) = pair().await;
    let call = |id: usize, session: &str, data: &str| {
        frame(format!(
            r#"{{"jsonrpc":"2.0","id":"s{id}","method":"session.foo","params":{{"sessionId":"{session}","data":"{data}"}}}}"#
        ))
    };
    let data = text(3 * MIB);
    let mut bytes = Vec::new();
    for (id, (session, data)) in
        [(&a, "x"), (&a, &*data), (&b, "y"), (&a, "z"), (&b, &data), (&b, "w")].into_iter().enumerate()
    {
        bytes.extend(call(id, session, data));
    }
    client.send(&bytes).await;
    let mut answered = Vec::new();
    while answered.len() < 6 {
        answered.push(client.body_with("Unhandled method").await);
    }
    let order = |cli: &FakeCli| -> Vec<String> {
        cli.frames().iter().filter(|frame| frame.method() == "session.foo").filter_map(|frame| frame.id()).collect()
    };
    assert_eq!(order(&rig.cli[0]), [r#""s0""#, r#""s1""#, r#""s3""#]);
    assert_eq!(order(&rig.cli[1]), [r#""s2""#, r#""s4""#, r#""s5""#]);
}

#[tokio::test]
async fn one_that_turns_out_bad_is_never_acted_on() {
    let data = text(2 * MIB);
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("late second sessionId", r#"","sessionId":"other"}}"#.into()),
        ("late second method", r#""},"method":"session.send"}"#.into()),
        ("late second id", r#""},"id":"M"}"#.into()),
        ("late result", r#""},"result":1}"#.into()),
        ("late lone surrogate", r#"\ud800"}}"#.into()),
        ("late bad escape", r#"\x41"}}"#.into()),
        ("late bad UTF-8", b"\xff\"}}".to_vec()),
        ("late end of UTF-8", b"\"}} \xe2\x82".to_vec()),
        ("late garbage", r#""}}}"#.into()),
        ("never closed", r#"" "#.into()),
    ];
    for (name, tail) in bad {
        let (rig, mut client, [session, other]) = pair().await;
        let head = format!(
            r#"{{"jsonrpc":"2.0","id":"L","method":"session.foo","params":{{"sessionId":"{session}","data":"{data}"#
        );
        client.send(&frame([head.as_bytes(), &tail].concat())).await;
        let answer = client.body_with("\"error\"").await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.contains("-32700") || text.contains("-32600"), "{name}: {text}");
        // Behind it the connection goes on.
        let next = |id: &str, session: &str| {
            frame(format!(
                r#"{{"jsonrpc":"2.0","id":"{id}","method":"session.getMessages","params":{{"sessionId":"{session}"}}}}"#
            ))
        };
        client.send(&next("n1", &other)).await;
        client.body_with("\"id\":\"n1\",\"result\"").await;
        assert_eq!(rig.cli[0].count("session.foo"), 0, "{name}");
        assert!(rig.cli.iter().all(|cli| cli.frames().iter().all(|frame| frame.body.len() < MIB)), "{name}");
        let again = frame(format!(
            r#"{{"jsonrpc":"2.0","id":"n2","method":"session.create","params":{{"sessionId":"{session}"}}}}"#
        ));
        client.send(&again).await;
        client.body_with("\"id\":\"n2\",\"result\"").await;
    }
}

#[tokio::test]
async fn one_that_is_bad_from_the_start_is_skipped_and_its_link_lives() {
    let (rig, mut client, [session, _]) = pair().await;
    let data = text(2 * MIB);
    let bodies = [
        format!(
            r#"{{"jsonrpc":"2.0","id":"L","method":"session.foo","params":{{"sessionId":"{session}","sessionId":"b","data":"{data}"}}}}"#
        ),
        format!(
            r#"{{"jsonrpc":"2.0","id":"L","method":"session.foo","params":{{"sessionId":"{session}" oops "data":"{data}"}}}}"#
        ),
        format!(r#"["{data}"]"#),
    ];
    for body in bodies {
        client.send(&frame(&body)).await;
        let answer = client.body_with("\"error\"").await;
        assert!(String::from_utf8_lossy(&answer).contains("-32"), "{}", &body[..100]);
        client
            .send(&frame(format!(
                r#"{{"jsonrpc":"2.0","id":"n","method":"session.getMessages","params":{{"sessionId":"{session}"}}}}"#
            )))
            .await;
        client.body_with("\"id\":\"n\",\"result\"").await;
    }
    assert_eq!(rig.cli[0].count("session.foo"), 0);
    assert_eq!(rig.home(&session), 0, "the session lives on");
}

#[tokio::test]
async fn answers_and_events_come_through_byte_for_byte() {
    let (rig, mut client, [session, _]) = pair().await;
    let conn = rig.conn(0, &session);
    for size in [63 << 10, 64 << 10, 66 << 10, 200 << 10, MIB, 10 * MIB] {
        let data = text(size);
        let answers = [
            format!(r#"{{"jsonrpc":"2.0","id":"L","result":{{"data":"{data}"}}}}"#),
            format!(r#"{{"jsonrpc":"2.0","result":{{"data":"{data}"}},"id":"L"}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":"L","error":{{"code":-1,"message":"m","data":"{data}"}}}}"#),
        ];
        for answer in answers {
            rig.cli[0].next(1, "session.foo", Act::Raw(frame(&answer)));
            client
                .send(&frame(format!(
                    r#"{{"jsonrpc":"2.0","id":"L","method":"session.foo","params":{{"sessionId":"{session}"}}}}"#
                )))
                .await;
            let came = client.body_with("\"jsonrpc\":\"2.0\"").await;
            assert!(came == answer.as_bytes(), "{size}: {:?}", String::from_utf8_lossy(&came[..came.len().min(99)]));
        }
        let events = [
            format!(
                r#"{{"jsonrpc":"2.0","method":"session.event","params":{{"sessionId":"{session}","event":{{"type":"big","data":"{data}"}}}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","method":"session.event","params":{{"event":{{"data":"{data}","type":"big"}},"sessionId":"{session}"}}}}"#
            ),
            format!(r#"{{"method":"future.notification","jsonrpc":"2.0","params":{{"data":"{data}"}}}}"#),
        ];
        for event in events {
            rig.cli[0].send_raw(conn, frame(&event));
            let came = client.body().await.expect("an event");
            assert!(came == event.as_bytes(), "{size}: {:?}", String::from_utf8_lossy(&came[..came.len().min(99)]));
        }
    }
}

#[tokio::test]
async fn large_frames_of_two_backends_stay_whole() {
    let (rig, mut client, sessions) = pair().await;
    let event = |at: usize, number: usize, data: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"session.event","params":{{"sessionId":"{}","event":{{"type":"n{number}","data":"{data}"}}}}}}"#,
            sessions[at]
        )
    };
    let data = [text(MIB), text(3 * MIB), "small".into()];
    let mut sent = [Vec::new(), Vec::new()];
    for number in 0..12 {
        for at in 0..2 {
            let body = event(at, number, &data[(number + at) % 3]);
            rig.cli[at].send_raw(rig.conn(at, &sessions[at]), frame(&body));
            sent[at].push(body);
        }
    }
    let mut came = [0, 0];
    while came[0] + came[1] < 24 {
        let body = client.body().await.expect("whole frames only");
        let at = usize::from(
            !body[..body.len().min(120)].windows(sessions[0].len()).any(|part| part == sessions[0].as_bytes()),
        );
        assert!(body == sent[at][came[at]].as_bytes(), "frame {} of backend {at}", came[at]);
        came[at] += 1;
    }
}

#[tokio::test]
async fn large_questions_and_their_answers_keep_all_but_the_id() {
    let (rig, mut client, [session, _]) = pair().await;
    let conn = rig.conn(0, &session);
    for (number, size) in [MIB, 80 << 10, 5 * MIB].into_iter().enumerate() {
        let data = text(size);
        let questions = [
            format!(
                r#"{{"jsonrpc":"2.0","id":"q","method":"sessionFs.writeFile","params":{{"sessionId":"{session}","data":"{data}"}}}}"#
            ),
            format!(
                r#"{{"jsonrpc":"2.0","method":"sessionFs.writeFile","params":{{"sessionId":"{session}","data":"{data}"}},"id":"q"}}"#
            ),
        ];
        for question in questions {
            rig.cli[0].send_raw(conn, frame(&question));
            let asked = client.body().await.expect("the question");
            let parsed: serde_json::Value = serde_json::from_slice(&asked).expect("JSON");
            let id = parsed["id"].as_i64().expect("an integer of the proxy");
            let back = String::from_utf8(asked).expect("text").replace(&format!("\"id\":{id}"), "\"id\":\"q\"");
            assert!(back == question);
            for answer in [
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"data":"{data}","n":{number}}}}}"#),
                format!(r#"{{"jsonrpc":"2.0","result":{{"data":"{data}","n":{number}}},"id":{id}}}"#),
            ]
            .into_iter()
            .take(1 + number % 2)
            .rev()
            .take(1)
            {
                client.send(&frame(&answer)).await;
                expect(&rig.cli[0], &answer.replace(&format!("\"id\":{id}"), "\"id\":\"q\"")).await;
            }
        }
    }
}

/// A prompt of a megabyte is a turn like any other.
#[tokio::test]
async fn a_large_prompt_begins_a_turn() {
    let rig = Rig::new(1).await;
    let client: RpcClient = rig.client().await;
    create(&client, "prompt").await;
    let prompt = text(MIB);
    client.call("session.send", json!({"sessionId": "prompt", "prompt": prompt})).await.expect("sent");
    client.next_event("prompt", "session.idle").await;
    super::admin::until(&rig.proxy, "turns_total", &["outcome=\"idle\""], |count| count == 1.0).await;
    turn(&client, "prompt").await;
}

/// The backend dies while the client's large frame flows into it: the rest is read and thrown away.
#[tokio::test]
async fn a_backend_that_dies_under_a_large_frame_leaves_the_client_in_step() {
    for close in [Close::Fin, Close::Rst] {
        let (rig, mut client, [session, other]) = pair().await;
        let data = text(8 * MIB);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"L","method":"session.foo","params":{{"sessionId":"{session}","data":"{data}"}}}}"#
        );
        let bytes = frame(&body);
        let (first, rest) = bytes.split_at(3 * MIB);
        client.send(first).await;
        let (to, flows) = (["backend=\"cli-1\"", "direction=\"out\""], MIB as f64);
        super::admin::until(&rig.proxy, "backend_bytes_total", &to, |bytes| bytes > flows).await;
        rig.cli[0].die(close);
        client.body_with("-32011").await;
        client.send(rest).await;
        let next = format!(
            r#"{{"jsonrpc":"2.0","id":"n","method":"session.getMessages","params":{{"sessionId":"{other}"}}}}"#
        );
        client.send(&frame(next)).await;
        client.body_with("\"id\":\"n\",\"result\"").await;
    }
}
