//! What is secret stays so: planted texts come out nowhere, whatever goes wrong and however much is logged; and the record of
//! refused calls says who, what, which and why, and never a param.

use serde_json::{Value, json};

use super::{
    issuer::Issuer,
    rig::{ALICE, BOB, ENV, TWO, assert_absent, assert_denied, knock, login, operate},
};
use crate::{
    fake_cli::{FakeCli, Options},
    process::Pilotfish,
    rpc_client::RpcClient,
    session::{
        admin,
        raw::{Raw, frame},
        rig::{Plan, Rig, create, name},
    },
};

const BACKEND: &str = "backend-token-CANARY-01";
const JWT_KEY: &str = "jwt-key-of-32-bytes-or-more-CANARY-02";
const GITHUB: &str = "gho_CANARY03";
const API_KEY: &str = "sk-CANARY04";
const BEARER: &str = "bearer-CANARY05";
const PROMPT: &str = "prompt-CANARY06";
const TOOL: &str = "tool-result-CANARY07";
const ANSWER: &str = "answer-to-getToken-CANARY08";
const HEADER: &str = "header-of-mcp-CANARY09";
const WRONG: &str = "wrong-login-token-CANARY10";
const METHOD: &str = "method.name.CANARY11";
const GARBAGE: &str = "garbage-CANARY12";

/// All of the above, the tokens of the tenants, and what all of the above have in common.
const SECRETS: &[&str] = &[
    BACKEND, JWT_KEY, GITHUB, API_KEY, BEARER, PROMPT, TOOL, ANSWER, HEADER, WRONG, METHOD, GARBAGE, ALICE, BOB,
    "CANARY",
];

fn assert_none(text: &str, place: &str) {
    let found: Vec<_> = SECRETS.iter().filter(|secret| text.contains(**secret)).collect();
    assert!(found.is_empty(), "{place} has {found:?}: {text}");
}

/// Everything is logged, in this form; logins are by token or by JWT, and the backend wants its own token.
async fn chatty(format: &str) -> Rig {
    let listener = "[listener.jwt]\nalgorithms = [\"HS256\"]\nsecret = { env = \"IT_JWT\" }\n\
        issuer = \"https://login.example.com\"\naudience = \"pilotfish\"";
    let env = &[("IT_ALICE", ALICE), ("IT_BOB", BOB), ("IT_BACK", BACKEND), ("IT_JWT", JWT_KEY)];
    let plan = Plan {
        listener: &format!("{listener}\n[listener.session]\nmax_frame = \"64KiB\""),
        pool: "connection_token = { env = \"IT_BACK\" }\nguards = { provider_urls = [\"https://models.example.com\"] }",
        more: TWO,
        env,
        ..Plan::default()
    };
    let cli = FakeCli::with(&name(0), Options { token: Some(BACKEND.into()), ..Options::default() }).await;
    let config = plan.config(&[cli.addr()]);
    // The rig's own tables of the same names are empty.
    // The one backend dies, and what waits for another one is not to wait for long.
    let config = config.replacen("storage = \"shared\"", "storage = \"shared\"\nrehome_wait = \"500ms\"", 1);
    let config = config.replacen("[listener.session]\n\n", "", 1);
    let config =
        config.replace("level = \"info,pilotfish::serve=debug\"", &format!("level = \"trace\"\nformat = \"{format}\""));
    let proxy = Pilotfish::start_with(&config, env).await;
    cli.wait_for_count("ping", 2).await;
    Rig { cli: vec![cli], proxy }
}

fn token(tenant: &str, key: &str) -> String {
    let claims =
        json!({"iss": "https://login.example.com", "aud": "pilotfish", "exp": 4_000_000_000_u64, "tenant": tenant});
    Issuer::hs256(key).sign("k1", &claims)
}

/// A session with every kind of credential, a turn, a tool's result, and a token that the backend asks for.
async fn works(rig: &Rig, token: &str, session: &str) -> RpcClient {
    let client = login(rig, token).await;
    let provider =
        json!({"type": "openai", "baseUrl": "https://models.example.com/v1", "apiKey": API_KEY, "bearerToken": BEARER});
    let params = json!({"sessionId": session, "gitHubToken": GITHUB, "provider": provider});
    client.call("session.create", params).await.expect("allowed");
    client.call("session.send", json!({"sessionId": session, "prompt": PROMPT})).await.expect("hers");
    client.next_event(session, "session.idle").await;
    let result = json!({"sessionId": session, "requestId": "r", "result": {"textResultForLlm": TOOL}});
    client.call("session.tools.handlePendingToolCall", result).await.expect("taken");
    let asked = rig.cli[0].ask(session, "gitHubToken.getToken", r#""registrationId":"r""#);
    let request = client.next_request("gitHubToken.getToken").await;
    client.answer(&request["id"], json!({"token": ANSWER})).await;
    assert_eq!(asked.answer().await.expect("an answer")["result"]["token"], ANSWER);
    client
}

/// Calls that are refused, each with secrets in it: the texts of the refusals.
async fn is_refused(client: &RpcClient) -> Vec<String> {
    let foreign = json!({"sessionId": "bob--x", "prompt": PROMPT, "gitHubToken": GITHUB});
    let mcp = json!({"a": {"type": "http", "url": "https://evil.example", "headers": {"Authorization": HEADER}}});
    let stdio = json!({"a": {"command": "sh", "args": [TOOL], "env": {"KEY": API_KEY}}});
    let evil = json!({"type": "openai", "baseUrl": format!("https://{GARBAGE}.example"), "apiKey": API_KEY});
    let calls = [
        ("session.send", foreign.clone()),
        ("session.create", foreign),
        ("session.shell.exec", json!({"sessionId": "alice--x", "command": PROMPT})),
        ("llmInference.setProvider", json!({"apiKey": API_KEY})),
        (METHOD, json!({"sessionId": "alice--x", "text": TOOL})),
        ("session.create", json!({"sessionId": "alice--y", "provider": evil})),
        ("session.create", json!({"sessionId": "alice--y", "mcpServers": mcp})),
        ("session.create", json!({"sessionId": "alice--y", "mcpServers": stdio})),
        ("session.create", json!({"sessionId": "alice--y", "workingDirectory": format!("/{GARBAGE}")})),
        ("session.send", json!({"sessionId": {"a": PROMPT}, "prompt": PROMPT})),
        (
            "session.mode.set",
            json!({"sessionId": "alice--x", "mode": GARBAGE, "inheritPlanBaseFromSessionId": "bob--x"}),
        ),
        ("sessions.bulkDelete", json!({"sessionIds": PROMPT})),
        ("connect", json!({"token": WRONG})),
        ("connect", json!({"token": {"a": WRONG}})),
    ];
    let mut said = Vec::new();
    for (method, params) in calls {
        said.push(format!("{:?}", client.call(method, params).await.expect_err(method)));
    }
    said
}

/// Frames that nobody can read: what is said of them.
async fn is_garbage(rig: &Rig, token: &str) -> Vec<u8> {
    let bodies = [
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":"{GARBAGE}""#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","method":"{METHOD}"}}"#),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"session.send","params":{{"sessionId":"alice--x","sessionId":"{GARBAGE}","prompt":"{PROMPT}"}}}}"#
        ),
        format!(r#"{{"jsonrpc":"2.0","id":{{"a":"{GARBAGE}"}},"method":"ping"}}"#),
        format!(r#"[{{"a":"{GARBAGE}"}}]"#),
        GARBAGE.to_owned(),
    ];
    let heads = [format!("{GARBAGE}: 5\r\n\r\nhello"), format!("Content-Length: {GARBAGE}\r\n\r\n")];
    let frames = bodies.iter().map(frame).chain(heads.into_iter().map(String::into_bytes));
    let large = frame(format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"session.send","params":{{"prompt":"{}"}}}}"#,
        PROMPT.repeat(8000)
    ));
    let mut said = Vec::new();
    for bytes in frames.chain([large]) {
        let mut raw = Raw::connect(rig.proxy.addr("sdk")).await;
        let connect = json!({"jsonrpc": "2.0", "id": 0, "method": "connect", "params": {"token": token}});
        raw.send(&frame(connect.to_string())).await;
        raw.body_with("\"ok\":true").await;
        raw.try_send(&bytes).await;
        raw.finish().await;
        said.extend(raw.end().await.concat());
    }
    assert!(!said.is_empty(), "errors were told");
    said
}

#[tokio::test]
async fn planted_secrets_come_out_nowhere() {
    for format in ["text", "json"] {
        let mut rig = chatty(format).await;
        let by_jwt = token("bob", JWT_KEY);
        let alice = works(&rig, ALICE, "alice--x").await;
        let bob = works(&rig, &by_jwt, "bob--x").await;
        let mut said = is_refused(&alice).await.join("\n");
        said.push_str(&String::from_utf8_lossy(&is_garbage(&rig, BOB).await));
        for wrong in [WRONG, &token("bob", WRONG), &format!("{by_jwt}x"), &token("CANARY", JWT_KEY)] {
            said.push_str(&knock(&rig.proxy, wrong).await);
        }
        // A backend that goes in the middle of things, and one that is not there.
        rig.cli[0].next(1, "ping", crate::fake_cli::Act::Raw(frame(format!("{{{GARBAGE}"))));
        drop(alice.start("ping", json!({"message": PROMPT})).await);
        bob.call("session.send", json!({"sessionId": "bob--x", "prompt": PROMPT})).await.ok();
        rig.cli[0].die(crate::fake_cli::Close::Rst);
        rig.proxy.wait_for_line("backend is down").await;
        let lost = bob.call("session.send", json!({"sessionId": "bob--x", "prompt": PROMPT})).await;
        said.push_str(&format!("{:?}", lost.expect_err("it is gone")));
        assert_none(&said, "the answers");
        for page in ["/metrics", "/status", "/shares", "/readyz?verbose", &format!("/{GARBAGE}")] {
            let (_, text) = operate(&rig.proxy, "GET", page, None).await;
            assert_none(&text, page);
        }
        rig.proxy.terminate();
        rig.proxy.exit().await;
        let output = rig.proxy.output();
        assert!(output.contains("TRACE"), "everything is logged: {output}");
        for line in output.lines() {
            assert_none(line, "the output");
            assert!(!line.contains(&by_jwt), "the output has the JWT: {line}");
        }
    }
}

/// Lines of the record.
fn record(proxy: &Pilotfish) -> Vec<String> {
    proxy.output().lines().filter(|line| line.contains("pilotfish::audit")).map(str::to_owned).collect()
}

/// The fields of a line that are the same in every run.
fn fields(line: &str) -> [String; 5] {
    ["tenant", "method", "session", "reason", "outcome"].map(|field| {
        let from = line.split_once(&format!(" {field}=\"")).unwrap_or_else(|| panic!("no {field}: {line}")).1;
        from.split_once('"').expect("an end").0.to_owned()
    })
}

#[tokio::test]
async fn each_refused_call_has_one_line_in_the_record_and_no_param_is_in_it() {
    let rig = Rig::with(Plan { more: TWO, env: ENV, ..Plan::default() }).await;
    let (alice, bob) = (login(&rig, ALICE).await, login(&rig, BOB).await);
    create(&alice, "alice--x").await;
    create(&bob, "bob--x").await;
    assert_eq!(record(&rig.proxy), Vec::<String>::new(), "what is allowed is not in it");
    let text = "CANARY of a param";
    let cases: Vec<(&str, Value, [&str; 4])> = vec![
        (
            "session.shell.exec",
            json!({"sessionId": "alice--x", "command": text}),
            ["session.shell.exec", "alice--x", "method", "refused"],
        ),
        ("runtime.shutdown", json!({"reason": text}), ["runtime.shutdown", "-", "method", "refused"]),
        (METHOD, json!({"a": text}), ["other", "-", "method", "refused"]),
        (
            "session.send",
            json!({"sessionId": "bob--x", "prompt": text}),
            ["session.send", "bob--x", "session", "refused"],
        ),
        ("session.resume", json!({"sessionId": "nobodys"}), ["session.resume", "nobodys", "session", "refused"]),
        ("session.create", json!({"sessionId": "bob--y"}), ["session.create", "bob--y", "session", "refused"]),
        (
            "session.create",
            json!({"sessionId": "alice--y", "workingDirectory": "/etc/CANARY"}),
            ["session.create", "alice--y", "param: path_outside_roots", "refused"],
        ),
        (
            "session.mode.set",
            json!({"sessionId": "alice--x", "mode": "plan", "inheritPlanBaseFromSessionId": "CANARY is no id"}),
            ["session.mode.set", "-", "session", "refused"],
        ),
        ("sessions.fork", json!({"sessionId": "bob--x"}), ["sessions.fork", "bob--x", "session", "refused"]),
        (
            "sessions.getClientMetadata",
            json!({"sessionIds": ["alice--x", "bob--x"]}),
            ["sessions.getClientMetadata", "bob--x", "session", "refused"],
        ),
        ("connect", json!({"token": "CANARY-of-another-login"}), ["connect", "-", "login", "refused"]),
        // Allowed, and worth a line.
        ("session.delete", json!({"sessionId": "alice--x"}), ["session.delete", "alice--x", "sensitive", "asked"]),
    ];
    let mut wrong = Vec::new();
    let mut read = 0;
    for (number, (method, params, wanted)) in cases.into_iter().enumerate() {
        let answer = alice.call(method, params).await;
        // The line is written before the answer, and read a moment after it.
        alice
            .call("session.getMessages", json!({"sessionId": format!("bob--mark{number}")}))
            .await
            .expect_err("the mark");
        rig.proxy.wait_for_line(&format!("bob--mark{number}")).await;
        let lines = record(&rig.proxy);
        let new = &lines[read..lines.len() - 1];
        read = lines.len();
        let got: Vec<_> = new.iter().map(|line| fields(line)).collect();
        let [what, session, reason, outcome] = wanted;
        let sound = got.len() == 1 && got[0] == ["alice", what, session, reason, outcome];
        if !sound || !new[0].contains(" conn=") || !new[0].contains(" client.addr=127.0.0.1:") {
            wrong.push(format!("{method}: {answer:?}\n  wanted {wanted:?}\n  got {new:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let stranger = rig.stranger().await;
    stranger.call("connect", json!({"token": WRONG})).await.expect_err("wrong");
    let line = rig.proxy.wait_for_line("tenant=\"\"").await;
    assert_eq!(fields(&line), ["", "connect", "-", "login", "refused"]);
    assert!(!rig.proxy.output().contains("CANARY"));
}

#[tokio::test]
async fn refusals_are_counted_by_rule_and_tenants_only_where_that_is_wanted() {
    for wanted in [false, true] {
        let plan = Plan { more: TWO, env: ENV, ..Plan::default() };
        let cli = FakeCli::start(&name(0)).await;
        let config = plan.config(&[cli.addr()]);
        let config = config.replace("[admin]\n", &format!("[admin]\ntenant_metrics = {wanted}\n"));
        let proxy = Pilotfish::start_with(&config, ENV).await;
        cli.wait_for_count("ping", 2).await;
        let rig = Rig { cli: vec![cli], proxy };
        let alice = login(&rig, ALICE).await;
        assert_denied(alice.call("runtime.shutdown", json!({})).await, "runtime.shutdown");
        assert_absent(alice.call("session.resume", json!({"sessionId": "bob--x"})).await, "session.resume", "bob--x");
        for rule in ["method", "session"] {
            let labels = [format!("rule=\"{rule}\""), format!("tenant=\"{}\"", if wanted { "alice" } else { "all" })];
            let labels = labels.each_ref().map(String::as_str);
            admin::until(&rig.proxy, "refusals_total", &labels, |sum| sum == 1.0).await;
        }
        let (_, text) = admin::page(&rig.proxy, "/metrics").await;
        assert_eq!(text.contains("alice"), wanted, "{text}");
    }
}
