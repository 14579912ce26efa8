//! An orphaned turn asks for what only its client could give: it ends all the same.

use std::time::{Duration, Instant};

use serde_json::json;

use super::checks::{THREE, assert_once, assert_rig_sound, converse, first, idle_behind, prompts, say};
use crate::{
    fake_cli::{Close, Gate, Step},
    rpc_client::RpcClient,
    session::{
        admin,
        rig::{Plan, Rig, id_at},
    },
};

const SHORT: Plan<'static> = Plan { pool: "linger = \"8s\"\norphan_wait = \"700ms\"\nmove_timeout = \"3s\"", ..THREE };

fn asks() -> Vec<(&'static str, Step)> {
    let ask = |method: &str| Step::Ask { method: method.into(), params: r#""question":"why?""#.into() };
    vec![
        ("external_tool.requested", Step::Tool("lookup".into())),
        ("permission.requested", Step::Permission("rm x".into())),
        ("userInput.request", ask("userInput.request")),
        ("hooks.invoke", ask("hooks.invoke")),
    ]
}

async fn client_with(rig: &Rig, session: &str, steps: Vec<Step>) -> RpcClient {
    let client = rig.client().await;
    let params = json!({"sessionId": session, "tools": [{"name": "lookup"}]});
    client.call("session.create", params).await.expect("created");
    converse(&client, session, &first(session)).await;
    rig.cli[0].turns(steps);
    say(&client, session, "cut").await;
    client
}

/// Asked before the client is lost, and asked after.
#[tokio::test]
async fn what_only_the_client_could_answer_is_refused_after_a_while() {
    for (kind, step) in asks() {
        for after in [false, true] {
            let rig = Rig::with(SHORT).await;
            let (session, gate) = (id_at("orphan", 3, 0), Gate::new());
            let mut steps = vec![Step::Wait(gate.clone()), step.clone(), Step::Delta("behind".into())];
            if !after {
                steps.remove(0);
            }
            let client = client_with(&rig, &session, steps).await;
            if after {
                gate.reached(1).await;
            } else {
                let asked =
                    |told: &serde_json::Value| told["method"] == kind || told["params"]["event"]["type"] == kind;
                client.take(kind, asked).await;
            }
            client.cut(Close::Rst).await;
            let lost = Instant::now();
            admin::until(&rig.proxy, "orphans", &[], |count| count == 1.0).await;
            gate.open();
            rig.cli[0].wait_for_rest(&session).await;
            let took = lost.elapsed();
            assert!(took <= Duration::from_secs(4), "{kind}: {took:?}");
            assert!(took >= Duration::from_millis(600), "{kind}: {took:?}, nobody may answer for the client earlier");
            admin::until(&rig.proxy, "orphan_answers_total", &[], |count| count == 1.0).await;
            // It comes back for the end of it.
            let again = rig.client().await;
            let params = json!({"sessionId": session, "tools": [{"name": "lookup"}]});
            again.call("session.resume", params).await.expect("live or on the disk");
            rig.cli[0].turns(vec![Step::Delta("next".into())]);
            converse(&again, &session, "next").await;
            assert_eq!(prompts(&again, &session).await, [first(&session), "cut".into(), "next".into()], "{kind}");
            assert_once(&again, &session);
            assert_rig_sound(&rig);
        }
    }
}

/// Within the wait the client comes back, is told what is asked, and answers it itself.
#[tokio::test]
async fn one_that_comes_back_in_time_answers_itself() {
    let patient = "linger = \"8s\"\norphan_wait = \"8s\"\nmove_timeout = \"3s\"";
    for (kind, step) in asks().into_iter().take(2) {
        for after in [false, true] {
            let rig = Rig::with(Plan { pool: patient, ..SHORT }).await;
            let (session, gate) = (id_at("answers", 3, 0), Gate::new());
            let steps = vec![Step::Wait(gate.clone()), step.clone()];
            let client = client_with(&rig, &session, steps).await;
            gate.reached(1).await;
            let mut request = None;
            if !after {
                gate.open();
                request = Some(client.next_event(&session, kind).await);
            }
            client.cut(Close::Fin).await;
            admin::until(&rig.proxy, "orphans", &[], |count| count == 1.0).await;
            gate.open();
            let again = rig.client().await;
            let params = json!({"sessionId": session, "tools": [{"name": "lookup"}]});
            again.call("session.resume", params).await.expect("it lives");
            // Whoever has heard of it already may answer what it knows; the others hear of it now.
            let asked = match request {
                Some(asked) => asked,
                None => again.next_event(&session, kind).await,
            };
            let (method, result) = if kind == "permission.requested" {
                ("session.permissions.handlePendingPermissionRequest", json!({"kind": "approve-once"}))
            } else {
                ("session.tools.handlePendingToolCall", json!("approved"))
            };
            let answer = json!({"sessionId": session, "requestId": asked["data"]["requestId"], "result": result});
            assert_eq!(again.call(method, answer).await, Ok(json!({"success": true})), "{kind} {after}");
            idle_behind(&again, &session, 0).await;
            assert_eq!(again.next_event(&session, "assistant.message").await["data"]["content"], "approved");
            assert_once(&again, &session);
            assert_eq!(admin::Metrics::of(&rig.proxy).await.sum("orphan_answers_total", &[]), 0.0);
            assert_rig_sound(&rig);
        }
    }
}
