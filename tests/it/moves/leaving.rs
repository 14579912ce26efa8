//! A client leaves while its session moves.

use serde_json::json;

use super::checks::{THREE, assert_once, assert_rig_sound, converse, drain, prompts, settled, until_state};
use crate::{
    fake_cli::{Act, Close, Gate},
    session::rig::{Plan, Rig, id_at, order},
};

const MOVING: Plan<'static> = Plan { ..THREE };

#[tokio::test]
async fn the_only_client_leaves_during_the_move() {
    for how in [Close::Fin, Close::Rst] {
        for held in ["sessions.close", "session.resume"] {
            let rig = Rig::with(MOVING).await;
            let client = rig.client().await;
            let session = id_at("alone", 3, 0);
            settled(&client, &session).await;
            let (at, gate) = (if held == "session.resume" { order(&session, 3)[1] } else { 0 }, Gate::new());
            rig.cli[at].next(1, held, Act::Hold(gate.clone()));
            drain(&rig.proxy, 0, "").await;
            gate.reached(1).await;
            client.cut(how).await;
            gate.open();
            for cli in &rig.cli {
                cli.wait_for_live(&session, false).await;
            }
            until_state(&rig.proxy, 0, "drained").await;
            // It can be had again, with all that it was.
            let again = rig.client().await;
            again.call("session.resume", json!({"sessionId": session})).await.expect("on the disk");
            converse(&again, &session, "again").await;
            assert_eq!(prompts(&again, &session).await.len(), 2);
            assert_ne!(rig.home(&session), 0);
            assert_once(&again, &session);
            assert_rig_sound(&rig);
        }
    }
}

/// Either of the two: the one that has the move in hand is among them.
#[tokio::test]
async fn one_of_two_clients_leaves_during_the_move() {
    for leaver in 0..2 {
        for held in ["sessions.close", "session.resume"] {
            let rig = Rig::with(MOVING).await;
            let mut clients = vec![rig.client().await, rig.client().await];
            let session = id_at("pair", 3, 0);
            settled(&clients[0], &session).await;
            clients[1].call("session.resume", json!({"sessionId": session})).await.expect("live");
            let (at, gate) = (if held == "session.resume" { order(&session, 3)[1] } else { 0 }, Gate::new());
            rig.cli[at].next(1, held, Act::Hold(gate.clone()));
            drain(&rig.proxy, 0, "").await;
            gate.reached(1).await;
            clients.remove(leaver).cut(Close::Rst).await;
            gate.open();
            let stays = &clients[0];
            converse(stays, &session, "stays").await;
            assert_eq!(prompts(stays, &session).await.len(), 2, "{leaver} {held}");
            assert_ne!(rig.home(&session), 0);
            assert_once(stays, &session);
            until_state(&rig.proxy, 0, "drained").await;
            assert_rig_sound(&rig);
        }
    }
}

/// A session that is closed by its own client while it moves is not opened again.
#[tokio::test]
async fn a_session_that_is_closed_during_the_move_stays_closed() {
    for method in ["sessions.close", "session.detach", "session.delete"] {
        let rig = Rig::with(MOVING).await;
        let client = rig.client().await;
        let session = id_at("closed", 3, 0);
        settled(&client, &session).await;
        let (target, gate) = (order(&session, 3)[1], Gate::new());
        rig.cli[target].next(1, "session.resume", Act::Hold(gate.clone()));
        drain(&rig.proxy, 0, "").await;
        gate.reached(1).await;
        let closing = client.start(method, json!({"sessionId": session})).await;
        gate.open();
        closing.answer().await.expect("done at the new home");
        for cli in &rig.cli {
            cli.wait_for_live(&session, false).await;
        }
        assert_eq!(rig.cli[0].storage().sessions().contains(&session), method != "session.delete");
        until_state(&rig.proxy, 0, "drained").await;
        assert_rig_sound(&rig);
    }
}
