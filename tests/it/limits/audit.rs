//! What must be true of a walk, at any time or when everybody is back.

use serde_json::{Value, json};

use super::world::{BACKENDS, CLIENTS, SESSIONS, World, id};
use crate::{
    fake_cli::FakeCli,
    moves::checks::{assert_once, idle_behind},
    rpc_client::RpcError,
    session::admin::{self, Metrics},
};

impl World {
    /// Every turn that is under way ends, for its client; every answer comes.
    pub async fn settle(&mut self) {
        self.settle_but(usize::MAX).await;
    }

    /// The same without the clients of proxy number `at`, which does not answer.
    pub async fn settle_but(&mut self, at: usize) {
        let (turns, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.turns).into_iter().partition(|turn| self.clients[turn.client].at != at);
        self.turns = later;
        for turn in turns {
            let client = &self.clients[turn.client].client;
            let session = id(turn.session);
            match turn.sent.answer().await {
                Ok(_) => {
                    idle_behind(client, &session, turn.before).await;
                    let heard = client.heard(&session).split_off(turn.before);
                    // Several may be queued behind one another; only what surely was this one's end counts.
                    let idles = heard.iter().filter(|heard| heard.kind == "session.idle").count();
                    let errors = heard.iter().any(|heard| heard.kind == "session.error");
                    let told = heard.iter().filter(|heard| heard.kind == "user.message").count();
                    if idles == 1 && told == 1 && !errors {
                        self.finished[turn.session].push(turn.text);
                    }
                }
                Err(error) => self.failed(&turn.text, turn.client, turn.session, &error),
            }
        }
        let (reads, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.reads).into_iter().partition(|read| self.clients[read.client].at != at);
        self.reads = later;
        for read in reads {
            if let Err(error) = read.sent.answer().await {
                self.failed("session.getMessages", read.client, read.session, &error);
            }
        }
    }

    pub(super) fn failed(&mut self, what: &str, client: usize, session: usize, error: &RpcError) {
        self.refused(what, session, error);
        if error.code == -32012 {
            self.holds[client][session] = false;
        }
    }

    pub(super) fn refused(&mut self, what: &str, session: usize, error: &RpcError) {
        *self.refusals.entry(error.code).or_default() += 1;
        let fine = [-32010, -32011, -32012, -32800].contains(&error.code) || self.may_refuse(error.code);
        assert!(fine, "{what} of {}: {error:?}", id(session));
    }

    /// With several proxies: one that was stopped has lost what it held.
    pub(super) fn may_refuse(&self, code: i64) -> bool {
        self.proxies.len() > 1 && code == -32016
    }

    /// Everybody is back: every session that anybody holds answers with all that had ended.
    pub async fn audit(&mut self) {
        self.settle().await;
        if self.proxies.len() == 1 {
            self.expect_one_home(0);
        }
        self.as_usual();
        for at in 0..BACKENDS {
            self.undrain(at).await;
            self.restart(at).await;
            self.until_state(at, "up").await;
        }
        for session in 0..SESSIONS {
            for client in 0..CLIENTS {
                let client_of = &self.clients[client].client;
                assert_once(client_of, &id(session));
                if self.holds[client][session] {
                    self.calls += 1;
                    match client_of.call("session.getMessages", json!({"sessionId": id(session)})).await {
                        Ok(told) => self.assert_kept(session, &told),
                        Err(error) if error.code == -32012 && self.proxies.len() > 1 => {
                            self.failed("the audit", client, session, &error);
                        }
                        Err(error) => panic!("{} {error:?}", id(session)),
                    }
                }
            }
        }
        let storage = self.storage();
        assert_eq!(storage.executed_twice(), []);
        for proxy in &self.proxies {
            admin::until(proxy, "admission_waiting", &[], |waiting| waiting == 0.0).await;
        }
    }

    /// What was closed and opened again stands in a relation to what clients have asked.
    pub async fn assert_no_spinning(&self) {
        let mut wakes = 0.0;
        for proxy in &self.proxies {
            wakes += Metrics::of(proxy).await.sum("session_wakes_total", &[]);
        }
        assert!(wakes <= self.calls as f64, "{wakes} wakes for {} calls", self.calls);
        let errands: usize = self.cli.iter().map(|cli| cli.count("sessions.close") + cli.count("session.resume")).sum();
        assert!(errands <= 4 * self.calls, "{errands} errands for {} calls", self.calls);
    }

    pub(super) fn assert_kept(&self, session: usize, told: &Value) {
        let events = told["events"].as_array().expect("events");
        let said: Vec<&str> = events.iter().filter_map(|event| event["data"]["content"].as_str()).collect();
        if self.storage().overlaps().iter().any(|overlap| overlap.session == id(session)) {
            return; // One of its two homes wrote its history over the other's.
        }
        let forgotten: Vec<_> = self.finished[session].iter().filter(|text| !said.contains(&text.as_str())).collect();
        assert!(forgotten.is_empty(), "{} has forgotten {forgotten:?}: {:#?}", id(session), self.frames_of(session));
    }

    /// What each backend heard of a session.
    fn frames_of(&self, session: usize) -> Vec<(String, Vec<String>)> {
        let of = |cli: &FakeCli| {
            let frames = cli.frames().into_iter().filter(|frame| frame.session() == id(session));
            (cli.name().to_owned(), frames.map(|frame| format!("{frame:?}")).collect())
        };
        self.cli.iter().map(of).collect()
    }

    /// No session had two homes, but for the first `excused` times.
    pub fn expect_one_home(&self, excused: usize) {
        let overlaps = self.storage().overlaps();
        assert!(overlaps.len() <= excused, "{:?}", &overlaps[excused..]);
    }
}
