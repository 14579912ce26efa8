//! Many frames at once, in any pieces: each to its place, whole, and in order for each backend.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{
    raw::{Raw, frame},
    rig::{Rig, create, id_at},
};
use crate::fake_cli::Act;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

async fn opened(rig: &Rig, sessions: &[String]) -> Raw {
    let mut client = Raw::connect(rig.proxy.addr("sdk")).await;
    for session in sessions {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"{session}","method":"session.create","params":{{"sessionId":"{session}"}}}}"#
        );
        client.send(&frame(body)).await;
        client.body_with(&format!("\"id\":\"{session}\",\"result\"")).await;
        client.body_with("\"type\":\"session.start\"").await;
    }
    client
}

#[tokio::test]
async fn sixteen_sessions_over_four_backends_in_one_write() {
    let rig = Rig::new(4).await;
    let sessions: Vec<String> = (0..16).map(|number| id_at(&format!("pipe{number}"), 4, number % 4)).collect();
    let mut client = opened(&rig, &sessions).await;
    let mut numbers = Numbers(7);
    let order: Vec<usize> = (0..800).map(|_| numbers.below(16)).collect();
    let mut bytes = Vec::new();
    for (id, session) in order.iter().enumerate() {
        let session = &sessions[*session];
        bytes.extend(frame(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"session.foo","params":{{"sessionId":"{session}"}}}}"#
        )));
    }
    client.send(&bytes).await;
    let mut answered = vec![false; 800];
    for _ in 0..800 {
        let body: Value = serde_json::from_slice(&client.body_with("Unhandled method").await).expect("JSON");
        let id = body["id"].as_u64().expect("a number") as usize;
        assert!(!std::mem::replace(&mut answered[id], true), "{id} was answered twice");
    }
    for (at, cli) in rig.cli.iter().enumerate() {
        let frames = cli.frames();
        let heard: Vec<String> = frames.iter().filter(|f| f.method() == "session.foo").filter_map(|f| f.id()).collect();
        let wanted: Vec<String> = (0..800).filter(|id| order[*id] % 4 == at).map(|id| id.to_string()).collect();
        assert_eq!(heard, wanted, "backend {at}");
    }
}

#[tokio::test]
async fn answers_out_of_order_find_their_requests() {
    let rig = Rig::new(2).await;
    let client = rig.client().await;
    let sessions = [id_at("rev", 2, 0), id_at("rev", 2, 1)];
    for session in &sessions {
        create(&client, session).await;
    }
    rig.cli.iter().for_each(|cli| cli.next(8, "session.getMessages", Act::Reverse(8)));
    let mut open = Vec::new();
    for number in 0..16 {
        open.push(client.start("session.getMessages", json!({"sessionId": sessions[number % 2]})).await);
    }
    for request in open {
        assert!(request.answer().await.expect("answered")["events"].is_array());
    }
}

/// Frames of all sizes around every limit of the buffers, both ways at once, in pieces of all sizes.
#[tokio::test]
async fn any_sizes_in_any_pieces_come_through_byte_for_byte() {
    const SIZES: [usize; 12] = [100, 300, 4000, 4096, 4200, 65_300, 65_536, 66_000, 131_072, 140_000, 262_144, 700_000];
    let rig = Rig::new(2).await;
    let sessions = [id_at("any", 2, 0), id_at("any", 2, 1)];
    let mut client = opened(&rig, &sessions).await;
    for round in 0..6u64 {
        let mut numbers = Numbers(round + 1);
        let (mut bytes, mut calls, mut events) = (Vec::new(), [Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for number in 0..24 {
            let at = numbers.below(2);
            let size = SIZES[numbers.below(12)] + numbers.below(9);
            let (session, data) = (&sessions[at], format!("{number}{}", "-".repeat(size)));
            let body = if numbers.below(4) == 0 {
                format!(
                    r#"{{"method":"session.foo","params":{{"data":"{data}","sessionId":"{session}"}},"jsonrpc":"2.0","id":"{round}.{number}"}}"#
                )
            } else {
                format!(
                    r#"{{"jsonrpc":"2.0","id":"{round}.{number}","method":"session.foo","params":{{"sessionId":"{session}","data":"{data}"}}}}"#
                )
            };
            bytes.extend(frame(&body));
            calls[at].push(body);
            let size = SIZES[numbers.below(12)] + numbers.below(9);
            let data = format!("{number}{}", "+".repeat(size));
            let event = format!(
                r#"{{"jsonrpc":"2.0","method":"session.event","params":{{"sessionId":"{session}","event":{{"type":"any","data":"{data}"}}}}}}"#
            );
            events[at].push(event);
        }
        for at in 0..2 {
            let (conn, all) = (rig.conn(at, &sessions[at]), events[at].iter().flat_map(frame).collect::<Vec<u8>>());
            let mut rest = &all[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(1 + numbers.below(100_000)));
                rig.cli[at].send_raw(conn, piece.to_vec());
                rest = after;
            }
        }
        // Both directions have to be served at once: neither side could finish without the other.
        let (mut reader, mut writer) = client.split();
        let write = async {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(1 + numbers.below(200_000)));
                writer.send(piece).await;
                rest = after;
            }
        };
        let read = async {
            let (mut answers, mut came) = (HashMap::new(), [0, 0]);
            while answers.len() < 24 || came[0] + came[1] < 24 {
                let body = reader.body().await.expect("whole frames");
                if let Ok(answer) = serde_json::from_slice::<Value>(&body)
                    && answer.get("method").is_none()
                {
                    assert_eq!(answer["error"]["message"], "Unhandled method session.foo", "{answer}");
                    assert!(answers.insert(answer["id"].to_string(), ()).is_none());
                    continue;
                }
                let at =
                    usize::from(!body[..120].windows(sessions[0].len()).any(|part| part == sessions[0].as_bytes()));
                assert!(body == events[at][came[at]].as_bytes(), "event {} of backend {at}", came[at]);
                came[at] += 1;
            }
        };
        tokio::join!(write, read);
        for (at, bodies) in calls.iter().enumerate() {
            let frames = rig.cli[at].frames();
            let heard: Vec<_> = frames
                .iter()
                .filter(|frame| frame.id().is_some_and(|id| id.starts_with(&format!("\"{round}."))))
                .collect();
            assert_eq!(heard.len(), bodies.len());
            assert!(heard.iter().zip(bodies).all(|(frame, body)| frame.body == body.as_bytes()), "backend {at}");
        }
    }
}
