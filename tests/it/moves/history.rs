//! Thousands of random steps, after which it must still be true that a session had one home at a time, that nothing was executed
//! twice, and that nobody heard anything twice.

use serde_json::{Value, json};

use super::{
    chance::{Chance, rounds},
    checks::{THREE, assert_once, assert_rig_sound, idle_behind, order, read, say_later, until_state},
};
use crate::{
    fake_cli::{Close, Step},
    rpc_client::{Pending, RpcClient},
    session::{
        admin::page,
        rig::{Plan, Rig, name},
    },
};

const BACKENDS: usize = 3;
const CLIENTS: usize = 4;
const SESSIONS: usize = 6;
const SEATS: usize = 2;
const ALL: [usize; 14] = [0, 0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8];
/// Without the deaths of backends and the loss of clients.
const CALM: [usize; 10] = [0, 0, 0, 0, 1, 1, 1, 5, 6, 8];

/// No backend, a lost one, a lost session, no room.
const REFUSALS: [i64; 4] = [-32010, -32011, -32012, -32014];

/// A turn that somebody waits for.
struct Turn {
    client: usize,
    session: usize,
    text: String,
    sent: Pending,
    before: usize,
}

struct World {
    rig: Rig,
    /// What may happen: see `step`.
    kinds: &'static [usize],
    chance: Chance,
    clients: Vec<RpcClient>,
    /// Which clients have which sessions.
    holds: [[bool; SESSIONS]; CLIENTS],
    dead: [bool; BACKENDS],
    drained: [bool; BACKENDS],
    /// Prompts whose turns ended without an error, by session: these may never be forgotten.
    finished: Vec<Vec<String>>,
    turns: Vec<Turn>,
    counts: [usize; 9],
}

fn id(session: usize) -> String {
    format!("walk-{session}")
}

impl World {
    /// With room for so many live sessions on a backend; 0: no limit.
    async fn new(seats: usize, kinds: &'static [usize]) -> Self {
        let sessions = format!(
            "sessions = {{ max_live_sessions = {seats}, idle_timeout = \"{}\", queue_timeout = \"8s\", ephemeral = \"none\" }}",
            if seats > 0 { "400ms" } else { "0s" }
        );
        let pool = [
            "rehome_wait = \"8s\"\nmove_timeout = \"2s\"\nmove_rate = 0.0\nlinger = \"2s\"\norphan_wait = \"500ms\"",
            &sessions,
        ];
        let rig = Rig::with(Plan { backends: BACKENDS, pool: &pool.join("\n"), ..THREE }).await;
        for cli in &rig.cli {
            cli.turns((0..3).map(|number| Step::Delta(format!("piece {number}"))).collect());
        }
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(rig.client().await);
        }
        Self {
            rig,
            kinds,
            chance: Chance::new(45),
            clients,
            holds: [[false; SESSIONS]; CLIENTS],
            dead: [false; BACKENDS],
            drained: [false; BACKENDS],
            finished: vec![Vec::new(); SESSIONS],
            turns: Vec::new(),
            counts: [0; 9],
        }
    }

    /// How many backends would take a session.
    fn taking(&self) -> usize {
        (0..BACKENDS).filter(|at| !self.dead[*at] && !self.drained[*at]).count()
    }

    async fn step(&mut self, number: usize) {
        let kind = self.kinds[self.chance.below(self.kinds.len())];
        self.counts[kind] += 1;
        let (at, client, session) =
            (self.chance.below(BACKENDS), self.chance.below(CLIENTS), self.chance.below(SESSIONS));
        match kind {
            0 => self.prompt(number, client, session).await,
            1 => self.attach(client, session).await,
            2 => self.kill(at).await,
            3 | 4 => self.restart(at).await,
            5 => self.drain(at).await,
            6 => self.undrain(at).await,
            7 => self.replace(client).await,
            _ => self.settle().await,
        }
    }

    async fn prompt(&mut self, number: usize, client: usize, session: usize) {
        if !self.holds[client][session] {
            return;
        }
        let text = format!("step {number} of {}", id(session));
        let before = self.clients[client].heard(&id(session)).len();
        let sent = say_later(&self.clients[client], &id(session), &text).await;
        self.turns.push(Turn { client, session, text, sent, before });
        // Every other time it is under way when the next step comes.
        if self.chance.below(2) == 0 {
            self.settle().await;
        }
    }

    async fn attach(&mut self, client: usize, session: usize) {
        if self.holds[client][session] {
            return;
        }
        // A create over what is on the disk begins anew, so only what nobody ever made is created.
        let known = self.finished[session].is_empty()
            && !self.holds.iter().any(|held| held[session])
            && !self.rig.cli[0].storage().sessions().contains(&id(session));
        let method = if known { "session.create" } else { "session.resume" };
        let params = json!({"sessionId": id(session)});
        for _ in 0..2 {
            match self.clients[client].call(method, params.clone()).await {
                Ok(_) => {
                    self.holds[client][session] = true;
                    return;
                }
                // Its last turn may have been its first, and cut.
                Err(error) if error.code == -32603 && error.message.contains("Session not found") => return,
                Err(error) => assert!(REFUSALS.contains(&error.code), "{error:?}"),
            }
        }
    }

    async fn kill(&mut self, at: usize) {
        // Somebody has to be left, or calls wait until they are given up.
        if self.dead[at] || (self.taking() == 1 && !self.drained[at]) || self.taking() == 0 {
            return;
        }
        let how = if self.chance.below(2) == 0 { Close::Fin } else { Close::Rst };
        self.rig.cli[at].die(how);
        self.dead[at] = true;
    }

    async fn restart(&mut self, at: usize) {
        if self.dead[at] {
            self.rig.cli[at].restart().await;
            self.dead[at] = false;
            if !self.drained[at] {
                until_state(&self.rig.proxy, at, "up").await;
            }
        }
    }

    async fn drain(&mut self, at: usize) {
        if self.drained[at] || self.dead[at] || self.taking() < 2 {
            return;
        }
        let (code, why) = order(&self.rig.proxy, &format!("/backends/{}/drain", name(at))).await;
        // The proxy may not know yet of one that is back.
        assert!((200..300).contains(&code) || code == 409, "{code} {why}");
        self.drained[at] = code != 409;
    }

    async fn undrain(&mut self, at: usize) {
        if self.drained[at] {
            let (code, why) = order(&self.rig.proxy, &format!("/backends/{}/undrain", name(at))).await;
            assert!((200..300).contains(&code), "{code} {why}");
            self.drained[at] = false;
            if !self.dead[at] {
                until_state(&self.rig.proxy, at, "up").await;
            }
        }
    }

    /// A client goes, perhaps in the middle of turns, and another one comes in its place for some of its sessions.
    async fn replace(&mut self, client: usize) {
        let fresh = self.rig.client().await;
        let old = std::mem::replace(&mut self.clients[client], fresh);
        (0..SESSIONS).for_each(|session| assert_once(&old, &id(session)));
        self.turns.retain(|turn| turn.client != client);
        let how = if self.chance.below(2) == 0 { Close::Fin } else { Close::Rst };
        old.cut(how).await;
        let held = std::mem::replace(&mut self.holds[client], [false; SESSIONS]);
        for session in (0..SESSIONS).filter(|session| held[*session]) {
            if self.chance.below(3) > 0 {
                self.attach(client, session).await;
            }
        }
    }

    /// Every turn that is under way ends, for its client; every answer comes.
    async fn settle(&mut self) {
        for turn in std::mem::take(&mut self.turns) {
            let client = &self.clients[turn.client];
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
                Err(error) => {
                    assert!(REFUSALS.contains(&error.code), "{} {error:?}\n{}", turn.text, self.rig.proxy.output());
                    if error.code == -32012 {
                        self.holds[turn.client][turn.session] = false;
                    }
                }
            }
        }
    }

    /// Everybody is back: every session that anybody holds answers with all that had ended.
    async fn audit(&mut self) {
        self.settle().await;
        for at in 0..BACKENDS {
            self.undrain(at).await;
            self.restart(at).await;
            until_state(&self.rig.proxy, at, "up").await;
        }
        for session in 0..SESSIONS {
            for client in 0..CLIENTS {
                let client_of = &self.clients[client];
                assert_once(client_of, &id(session));
                if self.holds[client][session] {
                    let told = read(client_of, &id(session)).await;
                    self.assert_kept(session, &told.unwrap_or_else(|error| panic!("{} {error:?}", id(session))));
                }
            }
        }
        assert_rig_sound(&self.rig);
    }

    fn assert_kept(&self, session: usize, told: &Value) {
        let events = told["events"].as_array().expect("events");
        let said: Vec<&str> = events.iter().filter_map(|event| event["data"]["content"].as_str()).collect();
        let forgotten: Vec<_> = self.finished[session].iter().filter(|text| !said.contains(&text.as_str())).collect();
        assert!(forgotten.is_empty(), "{} has forgotten {forgotten:?}", id(session));
    }
}

#[tokio::test]
async fn a_long_walk_leaves_one_home_for_each_session() {
    walk(0, &ALL).await;
}

/// Six sessions on two seats at each of three backends, and the idle ones lose theirs all the time.
#[tokio::test]
async fn a_long_walk_with_few_seats_leaves_one_home_for_each_session() {
    walk(SEATS, &ALL).await;
}

/// The same while nobody is lost: then there are never more than there are seats.
#[tokio::test]
async fn a_calm_walk_with_few_seats_never_has_more_live_sessions() {
    let world = walk(SEATS, &CALM).await;
    assert!(world.rig.cli[0].storage().peak() <= SEATS, "{}", world.rig.cli[0].storage().peak());
    let (_, page) = page(&world.rig.proxy, "/metrics").await;
    let woken: f64 = page
        .lines()
        .filter(|line| line.starts_with("pilotfish_session_wakes_total"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    println!("woken {woken} times");
    assert!(woken > 0.0 && woken < 20.0 * rounds("PILOTFISH_STEPS", 600) as f64, "no wake without a call: {woken}");
}

async fn walk(seats: usize, kinds: &'static [usize]) -> World {
    let mut world = World::new(seats, kinds).await;
    let steps = rounds("PILOTFISH_STEPS", 600);
    for number in 0..steps {
        world.step(number).await;
        if number % 200 == 199 {
            world.audit().await;
        }
    }
    world.audit().await;
    let finished: usize = world.finished.iter().map(Vec::len).sum();
    println!("{steps} steps {:?}, {finished} turns surely ended, all kept", world.counts);
    assert!(finished > steps / 40, "{finished}");
    world
}
