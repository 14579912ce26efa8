//! Quotas: over them a call is refused and may be tried again, what is held is given back, and no other tenant notices.

use serde_json::{Value, json};

use super::rig::{ALICE, BOB, ENV, login};
use crate::{
    deadline::within,
    rpc_client::{RpcClient, RpcError},
    session::{
        raw::{Raw, frame},
        rig::{Plan, Rig, create, prompt, turn},
    },
};

/// Alice with these limits, and bob without any.
fn limited(limits: &str) -> String {
    format!(
        "[[tenant]]\nname = \"alice\"\ntokens = [{{ env = \"IT_ALICE\" }}]\n[tenant.limits]\n{limits}\n\
         [[tenant]]\nname = \"bob\"\ntokens = [{{ env = \"IT_BOB\" }}]\n"
    )
}

pub async fn rig(limits: &str) -> Rig {
    Rig::with(Plan { more: &limited(limits), env: ENV, ..Plan::default() }).await
}

/// The refusal that every quota has.
fn assert_over(answer: Result<Value, RpcError>, limit: &str) {
    let error = answer.expect_err("over the quota");
    assert_eq!((error.code, &error.data["reason"]), (-32015, &json!("rate_limited")), "{error:?}");
    assert_eq!((&error.data["limit"], &error.data["retryable"]), (&json!(limit), &json!(true)), "{error:?}");
    assert!(error.data["retry_after_ms"].as_u64().is_some_and(|wait| wait >= 1), "{error:?}");
}

/// Asks until it is let through: what is given back is given back a moment after what ends it.
async fn passes_again(client: &RpcClient, method: &str, params: Value) -> Value {
    let trying = async {
        loop {
            match client.call(method, params.clone()).await {
                Ok(result) => return result,
                Err(error) if error.code == -32015 => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    within(|| format!("{method} within the quota again"), trying).await
}

async fn new(client: &RpcClient, id: &str) -> Result<Value, RpcError> {
    client.call("session.create", json!({ "sessionId": id })).await
}

#[tokio::test]
async fn connections() {
    let rig = rig("connections = 2").await;
    let (first, _second) = (login(&rig, ALICE).await, login(&rig, ALICE).await);
    let third = rig.stranger().await;
    assert_over(third.call("connect", json!({"token": ALICE})).await, "connections");
    third.expect_closed().await;
    for _ in 0..5 {
        login(&rig, BOB).await;
    }
    first.call("ping", json!({})).await.expect("those who are in stay in");
    first.finish().await;
    first.expect_closed().await;
    let trying = async { while rig.stranger().await.call("connect", json!({"token": ALICE})).await.is_err() {} };
    within(|| "a place again".into(), trying).await;
}

#[tokio::test]
async fn connections_that_are_not_logged_in_take_no_place() {
    let rig = rig("connections = 1").await;
    let stranger = rig.stranger().await;
    stranger.call("connect", json!({"token": "wrong-token-of-nobody"})).await.expect_err("wrong");
    login(&rig, ALICE).await.call("ping", json!({})).await.expect("the only one");
}

#[tokio::test]
async fn sessions() {
    let rig = rig("sessions = 2").await;
    let alice = login(&rig, ALICE).await;
    create(&alice, "alice--1").await;
    create(&alice, "alice--2").await;
    turn(&alice, "alice--1").await;
    assert_over(new(&alice, "alice--3").await, "sessions");
    assert_over(alice.call("session.create", json!({})).await, "sessions");
    assert_over(alice.call("session.resume", json!({"sessionId": "alice--old"})).await, "sessions");
    assert!(!rig.cli[0].saw("alice--3", "session.create"));
    let bob = login(&rig, BOB).await;
    for number in 0..4 {
        create(&bob, &format!("bob--{number}")).await;
    }
    // A second client of hers at the same session takes no other place.
    let second = login(&rig, ALICE).await;
    second.call("session.resume", json!({"sessionId": "alice--1"})).await.expect("it counts once");
    second.call("session.detach", json!({"sessionId": "alice--1"})).await.expect("let go");
    assert_over(new(&alice, "alice--3").await, "sessions");
    // Detached, closed, deleted: given back.
    for end in ["session.detach", "session.destroy", "session.delete"] {
        alice.call(end, json!({"sessionId": "alice--2"})).await.expect("hers");
        create(&alice, "alice--2").await;
        assert_over(new(&alice, "alice--3").await, "sessions");
    }
    // A client that is gone gives back all that it had.
    alice.finish().await;
    alice.expect_closed().await;
    passes_again(&second, "session.create", json!({"sessionId": "alice--3"})).await;
    passes_again(&second, "session.create", json!({"sessionId": "alice--4"})).await;
    assert_over(new(&second, "alice--5").await, "sessions");
}

/// The other way to make a session, whose id the backend may choose.
#[tokio::test]
async fn sessions_that_are_opened() {
    let rig = rig("sessions = 2\ncreates_per_minute = 4").await;
    let alice = login(&rig, ALICE).await;
    let open = async |id: &str| {
        let made = json!({"status": "created", "sessionId": id}).to_string();
        rig.cli[0].next(1, "sessions.open", crate::fake_cli::Act::Answer(made));
        alice.call("sessions.open", json!({"kind": "create", "options": {}})).await
    };
    open("alice--1").await.expect("the first");
    open("35ace27a-77e4-4a7d-8c50-78ed7ee28dc6").await.expect("the second");
    assert_over(open("alice--3").await, "sessions");
    assert_over(new(&alice, "alice--4").await, "sessions");
    alice.call("session.detach", json!({"sessionId": "alice--1"})).await.expect("hers");
    open("alice--5").await.expect("a place again");
}

/// A listener that asks nobody has a tenant with a quota, too.
#[tokio::test]
async fn connections_of_a_tenant_that_is_not_asked() {
    let more = limited("connections = 1");
    let rig = Rig::with(Plan { listener: "tenant = \"alice\"", more: &more, env: ENV, ..Plan::default() }).await;
    let first = rig.client().await;
    let second = rig.stranger().await;
    assert_over(second.call("ping", json!({})).await, "connections");
    second.expect_closed().await;
    first.call("ping", json!({})).await.expect("who is in stays in");
    first.finish().await;
    first.expect_closed().await;
    within(|| "a place again".into(), async { while rig.stranger().await.call("ping", json!({})).await.is_err() {} })
        .await;
}

/// A create that a backend refuses holds no place.
#[tokio::test]
async fn a_session_that_was_not_made_takes_no_place() {
    let rig = rig("sessions = 1").await;
    let alice = login(&rig, ALICE).await;
    for number in 0..3 {
        let refusal = crate::fake_cli::Act::Fail { code: -32603, message: "no".into() };
        rig.cli[0].next(1, "session.create", refusal);
        let error = new(&alice, &format!("alice--{number}")).await.expect_err("the backend's word");
        assert_eq!(error.code, -32603, "{error:?}");
        alice.call("session.resume", json!({"sessionId": "alice--gone"})).await.expect_err("not there");
    }
    create(&alice, "alice--9").await;
}

#[tokio::test]
async fn turns() {
    let pool = "on_client_loss = \"abort\"";
    let rig = Rig::with(Plan { more: &limited("turns = 1"), env: ENV, pool, ..Plan::default() }).await;
    let (alice, bob) = (login(&rig, ALICE).await, login(&rig, BOB).await);
    for session in ["alice--1", "alice--2"] {
        create(&alice, session).await;
    }
    create(&bob, "bob--1").await;
    let gate = rig.gate();
    prompt(&alice, "alice--1").await.expect("the first turn");
    gate.reached(1).await;
    assert_over(prompt(&alice, "alice--2").await, "turns");
    assert!(!rig.cli[0].saw("alice--2", "session.send"));
    prompt(&alice, "alice--1").await.expect("queued behind the running one");
    prompt(&bob, "bob--1").await.expect("bob has his own");
    gate.open();
    alice.next_event("alice--1", "session.idle").await;
    bob.next_event("bob--1", "session.idle").await;
    passes_again(&alice, "session.send", json!({"sessionId": "alice--2", "prompt": "hi"})).await;
    alice.next_event("alice--2", "session.idle").await;
    // An abort ends a turn, and so does the end of its client.
    let gate = rig.gate();
    prompt(&alice, "alice--1").await.expect("a turn");
    gate.reached(1).await;
    alice.call("session.abort", json!({"sessionId": "alice--1"})).await.expect("hers");
    alice.next_event("alice--1", "session.idle").await;
    passes_again(&alice, "session.send", json!({"sessionId": "alice--2", "prompt": "hi"})).await;
    gate.reached(2).await;
    let second = login(&rig, ALICE).await;
    create(&second, "alice--3").await;
    assert_over(prompt(&second, "alice--3").await, "turns");
    alice.finish().await;
    alice.expect_closed().await;
    passes_again(&second, "session.send", json!({"sessionId": "alice--3", "prompt": "hi"})).await;
    gate.open();
}

/// Sends `count` requests at once and gives back the answers of those that were refused.
async fn burst(raw: &mut Raw, count: u64, method: &str, params: &str) -> Vec<Value> {
    let body = |id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
    let all: Vec<u8> = (1000..1000 + count).flat_map(|id| frame(body(id))).collect();
    let (mut from, mut to) = raw.split();
    let answers = async {
        let (mut refused, mut left) = (Vec::new(), count);
        while left > 0 {
            let answer: Value = serde_json::from_slice(&from.body().await.expect("an answer to each")).expect("JSON");
            left -= u64::from(answer.get("method").is_none());
            refused.extend(answer.get("error").cloned());
        }
        refused
    };
    tokio::join!(answers, to.send(&all)).0
}

pub async fn raw_login(rig: &Rig, token: &str) -> Raw {
    let mut raw = Raw::connect(rig.proxy.addr("sdk")).await;
    raw.send(&frame(format!(r#"{{"jsonrpc":"2.0","id":0,"method":"connect","params":{{"token":"{token}"}}}}"#))).await;
    raw.body_with("\"ok\":true").await;
    raw
}

fn assert_some_over(refused: Vec<Value>, limit: &str, at_most: usize) {
    assert!(!refused.is_empty() && refused.len() <= at_most, "{} were refused", refused.len());
    for error in refused {
        let error = RpcError {
            code: error["code"].as_i64().expect("a number"),
            message: String::new(),
            data: error["data"].clone(),
        };
        assert_over(Err(error), limit);
    }
}

#[tokio::test]
async fn frames_in_a_second() {
    let rig = rig("frames_per_second = 20").await;
    let (mut alice, mut bob) = (raw_login(&rig, ALICE).await, raw_login(&rig, BOB).await);
    let before = rig.cli[0].count("ping");
    let refused = burst(&mut alice, 60, "status.get", "{}").await;
    let refused: Vec<Value> = refused.into_iter().filter(|error| error["code"] != -32601).collect();
    let count = refused.len();
    assert_some_over(refused, "frames_per_second", 40);
    assert_eq!(rig.cli[0].count("status.get"), 60 - count, "what was refused went nowhere");
    assert_eq!(burst(&mut bob, 200, "ping", "{}").await, Vec::<Value>::new(), "bob has his own");
    assert!(rig.cli[0].count("ping") >= before + 200);
    // It comes back by itself.
    let second = rig.stranger().await;
    within(|| "a login".into(), async { while second.call("connect", json!({"token": ALICE})).await.is_err() {} })
        .await;
    passes_again(&second, "ping", json!({})).await;
}

#[tokio::test]
async fn bytes_in_a_second() {
    let rig = rig("bytes_per_second = \"64KiB\"").await;
    let (mut alice, mut bob) = (raw_login(&rig, ALICE).await, raw_login(&rig, BOB).await);
    let text = format!(r#"{{"message":"{}"}}"#, "x".repeat(30 << 10));
    let refused = burst(&mut alice, 6, "ping", &text).await;
    assert_some_over(refused, "bytes_per_second", 4);
    assert_eq!(burst(&mut bob, 6, "ping", &text).await, Vec::<Value>::new());
}

/// Frames that flow before they are whole are counted too.
#[tokio::test]
async fn bytes_of_large_frames() {
    let rig = rig("bytes_per_second = \"256KiB\"").await;
    let alice = login(&rig, ALICE).await;
    create(&alice, "alice--1").await;
    let large = |size: usize| json!({"sessionId": "alice--1", "prompt": "x".repeat(size)});
    alice.call("session.send", large(200 << 10)).await.expect("within a second's worth");
    assert_over(alice.call("session.send", large(200 << 10)).await, "bytes_per_second");
    passes_again(&alice, "ping", json!({})).await;
}

#[tokio::test]
async fn new_sessions_in_a_minute() {
    let rig = rig("creates_per_minute = 3").await;
    let (alice, bob) = (login(&rig, ALICE).await, login(&rig, BOB).await);
    create(&alice, "alice--1").await;
    create(&alice, "alice--1").await; // It is there: nothing new.
    turn(&alice, "alice--1").await;
    create(&alice, "alice--2").await;
    create(&alice, "free-one").await;
    assert_over(new(&alice, "alice--3").await, "creates_per_minute");
    assert_over(new(&alice, "free-two").await, "creates_per_minute");
    assert_over(alice.call("session.create", json!({})).await, "creates_per_minute");
    let error = new(&alice, "alice--3").await.expect_err("over");
    let wait = error.data["retry_after_ms"].as_u64().expect("a number");
    assert!((1..=20_000).contains(&wait), "one every 20 s: {wait}");
    assert!(!rig.cli[0].saw("alice--3", "session.create") && !rig.cli[0].saw("free-two", "session.create"));
    alice.call("session.detach", json!({"sessionId": "alice--1"})).await.expect("hers");
    alice.call("session.resume", json!({"sessionId": "alice--1"})).await.expect("a resume makes nothing");
    for number in 0..6 {
        create(&bob, &format!("bob--{number}")).await;
    }
    // What she was refused is not hers, either.
    create(&bob, "free-two").await;
}

/// A fork makes a session, too.
#[tokio::test]
async fn forks_are_new_sessions() {
    let rig = rig("creates_per_minute = 2").await;
    let alice = login(&rig, ALICE).await;
    create(&alice, "alice--1").await;
    turn(&alice, "alice--1").await;
    let fork = || alice.call("sessions.fork", json!({"sessionId": "alice--1"}));
    fork().await.expect("the second");
    assert_over(fork().await, "creates_per_minute");
}

/// A backend waits for the answers to its requests: they always pass.
#[tokio::test]
async fn answers_of_a_client_are_never_refused() {
    let rig = rig("frames_per_second = 5").await;
    let alice = login(&rig, ALICE).await;
    passes_again(&alice, "session.create", json!({"sessionId": "alice--1"})).await;
    let asked: Vec<_> = (0..20).map(|_| rig.cli[0].ask("alice--1", "userInput.request", r#""question":"?""#)).collect();
    for number in 0..20 {
        let request = alice.next_request("userInput.request").await;
        alice.answer(&request["id"], json!({ "answer": number })).await;
    }
    for (number, asked) in asked.into_iter().enumerate() {
        assert_eq!(asked.answer().await.expect("an answer")["result"]["answer"], number);
    }
}

/// Both users of a tenant, and all of its connections, use one quota.
#[tokio::test]
async fn a_quota_is_the_whole_tenant_s() {
    let rig = rig("sessions = 2").await;
    let (one, two) = (login(&rig, ALICE).await, login(&rig, ALICE).await);
    create(&one, "alice--1").await;
    create(&two, "alice--2").await;
    for client in [&one, &two] {
        assert_over(new(client, "alice--3").await, "sessions");
    }
}

/// What cannot be read costs us as much as what can: it counts, too.
#[tokio::test]
async fn frames_that_cannot_be_read_count() {
    let rig = rig("frames_per_second = 5").await;
    let alice = login(&rig, ALICE).await;
    let bad = crate::session::raw::frame(r#"{"jsonrpc":"2.0","id":77,"method":5}"#);
    alice.send_raw(&bad.repeat(12)).await;
    let refused = loop {
        let stray = alice.next_stray().await;
        if stray["error"]["code"] == -32015 {
            break stray;
        }
        assert_eq!(stray["error"]["code"], -32600, "{stray}");
    };
    assert_eq!(refused["id"], 77);
}
