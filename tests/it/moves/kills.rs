//! Kills at random moments, over and over.

use serde_json::json;

use super::{
    chance::{Chance, rounds},
    checks::{THREE, assert_once, assert_rig_sound, idle_behind, prompts, say_later, settled, until_state},
};
use crate::{
    fake_cli::{Close, FakeCli, Step},
    rpc_client::RpcClient,
    session::rig::Rig,
};

const CLIENTS: usize = 3;
const SESSIONS: usize = 4;

struct Talk {
    session: String,
    /// Prompts whose turn ended without an error, in order: these must be in the history.
    finished: Vec<String>,
}

/// Reads and prompts that are under way when their backend dies.
async fn one_kill(rig: &Rig, round: usize, chance: &mut Chance, client: &RpcClient, talks: &mut [Talk]) {
    let mut open = Vec::new();
    for (at, talk) in talks.iter().enumerate() {
        let before = client.heard(&talk.session).len();
        let text = format!("r{round}-{}", talk.session);
        match chance.below(3) {
            0 => {
                let call = client.start("session.getMessages", json!({"sessionId": talk.session})).await;
                open.push((at, call, None, before));
            }
            1 => open.push((at, say_later(client, &talk.session, &text).await, Some(text), before)),
            _ => {}
        }
    }
    let victim: &FakeCli = &rig.cli[chance.below(rig.cli.len())];
    match chance.below(3) {
        0 => victim.die_after_bytes(chance.below(6000) as u64 + 1),
        1 => {
            for _ in 0..chance.below(40) {
                tokio::task::yield_now().await;
            }
            victim.die(if chance.below(2) == 0 { Close::Fin } else { Close::Rst });
        }
        _ => victim.die(Close::Fin),
    }
    for (at, call, text, before) in open {
        let answer = call.answer().await;
        if let Err(error) = &answer {
            assert!([-32010, -32011].contains(&error.code), "round {round}: {error:?}");
        }
        let (Some(text), Ok(_)) = (text, &answer) else { continue };
        idle_behind(client, &talks[at].session, before).await;
        let heard = client.heard(&talks[at].session).split_off(before);
        if !heard.iter().any(|heard| heard.kind == "session.error") {
            talks[at].finished.push(text);
        }
    }
    victim.die(Close::Fin);
    // Everybody answers, from wherever it lives now.
    for talk in talks.iter() {
        let said = prompts(client, &talk.session).await;
        let kept: Vec<_> = said.iter().filter(|text| talk.finished.contains(text)).cloned().collect();
        assert_eq!(kept, talk.finished, "round {round}: {}", talk.session);
    }
    let at = rig.cli.iter().position(|cli| std::ptr::eq(cli, victim)).expect("one of them");
    until_state(&rig.proxy, at, "down").await;
    victim.restart().await;
    until_state(&rig.proxy, at, "up").await;
}

#[tokio::test]
async fn kills_at_random_moments_lose_nothing_that_had_ended() {
    let mut chance = Chance::new(41);
    let rig = Rig::with(THREE).await;
    for cli in &rig.cli {
        // Every piece is an own write, so that a death may fall anywhere between them.
        cli.turns((0..6).map(|number| Step::Delta(format!("piece {number} "))).collect());
    }
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let client = rig.client().await;
        let mut talks = Vec::new();
        for which in 0..SESSIONS {
            let session = format!("kill-{number}-{which}");
            settled(&client, &session).await;
            talks.push(Talk { finished: vec![super::checks::first(&session)], session });
        }
        clients.push((client, talks));
    }
    for round in 0..rounds("PILOTFISH_KILLS", 40) {
        let which = chance.below(CLIENTS);
        let (client, talks) = &mut clients[which];
        one_kill(&rig, round, &mut chance, client, talks).await;
    }
    for (client, talks) in &clients {
        assert!(!client.is_closed());
        talks.iter().for_each(|talk| assert_once(client, &talk.session));
    }
    assert_rig_sound(&rig);
}
