//! Backends with very few seats, proxies before them, and clients that do anything at all.

use serde_json::{Value, json};

use crate::{
    fake_cli::{Act, Close, FakeCli, Options, Step, Storage},
    moves::{
        chance::Chance,
        checks::{assert_once, idle_behind, order, until_state},
    },
    process::Pilotfish,
    rpc_client::{Pending, RpcClient, RpcError},
    session::{
        admin::{self, Metrics},
        rig::{Plan, name},
    },
};

pub const BACKENDS: usize = 3;
/// Live sessions of one proxy at one backend.
pub const SEATS: usize = 4;
pub const CLIENTS: usize = 5;
pub const SESSIONS: usize = 40;

/// Everything is soon over.
pub const POOL: &str =
    "rehome_wait = \"6s\"\nmove_timeout = \"700ms\"\nmove_rate = 0.0\nlinger = \"1s\"\norphan_wait = \"300ms\"";
pub const LIMITS: &str =
    "[pool.copilot.sessions]\nmax_live_sessions = 4\nqueue_timeout = \"6s\"\nidle_timeout = \"400ms\"\n";

/// A turn that somebody waits for.
struct Turn {
    client: usize,
    session: usize,
    text: String,
    sent: Pending,
    before: usize,
}

/// A request that somebody waits for.
struct Read {
    client: usize,
    session: usize,
    sent: Pending,
}

struct Caller {
    client: RpcClient,
}

pub struct World {
    pub cli: Vec<FakeCli>,
    pub proxies: Vec<Pilotfish>,
    pub config: String,
    pub chance: Chance,
    clients: Vec<Caller>,
    /// Which clients have which sessions.
    holds: Vec<[bool; SESSIONS]>,
    pub dead: [bool; BACKENDS],
    drained: [bool; BACKENDS],
    /// Prompts whose turns ended without an error, by session: these may never be forgotten.
    finished: Vec<Vec<String>>,
    turns: Vec<Turn>,
    reads: Vec<Read>,
    /// Requests of clients so far.
    pub calls: usize,
    /// Answers with an error, by code.
    pub refusals: std::collections::BTreeMap<i64, usize>,
}

pub fn id(session: usize) -> String {
    format!("full-{session}")
}

impl World {
    /// `more`: further tables of the config.
    pub async fn new(proxies: usize, seed: u64, more: &str) -> Self {
        let storage = Storage::default();
        let mut cli = Vec::new();
        for at in 0..BACKENDS {
            let fake = FakeCli::with(&name(at), Options { storage: storage.clone(), ..Options::default() }).await;
            let pause = Step::Pause(std::time::Duration::from_millis([0, 2, 15][at]));
            fake.turns(vec![Step::Delta("a piece".into()), pause, Step::Delta("another".into())]);
            cli.push(fake);
        }
        let addresses: Vec<_> = cli.iter().map(FakeCli::addr).collect();
        let more = format!("{LIMITS}{more}");
        let config = Plan { pool: POOL, more: &more, ..Plan::default() }.config(&addresses);
        let mut this = Self {
            cli,
            proxies: Vec::new(),
            config,
            chance: Chance::new(seed),
            clients: Vec::new(),
            holds: vec![[false; SESSIONS]; CLIENTS],
            dead: [false; BACKENDS],
            drained: [false; BACKENDS],
            finished: vec![Vec::new(); SESSIONS],
            turns: Vec::new(),
            reads: Vec::new(),
            calls: 0,
            refusals: Default::default(),
        };
        for _ in 0..proxies {
            let proxy = Pilotfish::start(&this.config).await;
            for at in 0..BACKENDS {
                until_state(&proxy, at, "up").await;
            }
            this.proxies.push(proxy);
        }
        for client in 0..CLIENTS {
            let caller = this.caller(client % proxies).await;
            this.clients.push(caller);
        }
        this
    }

    pub fn storage(&self) -> Storage {
        self.cli[0].storage()
    }

    pub fn finished(&self) -> usize {
        self.finished.iter().map(Vec::len).sum()
    }

    async fn caller(&self, at: usize) -> Caller {
        let client = RpcClient::connect(self.proxies[at].addr("sdk")).await;
        client.call("connect", json!({"clientInfo": {"name": "it"}})).await.expect("connected");
        Caller { client }
    }

    /// How many backends would take a session.
    fn taking(&self) -> usize {
        (0..BACKENDS).filter(|at| !self.dead[*at] && !self.drained[*at]).count()
    }

    /// Something at random.
    pub async fn step(&mut self, number: usize) {
        let (at, client, session) =
            (self.chance.below(BACKENDS), self.chance.below(CLIENTS), self.chance.below(SESSIONS));
        match self.chance.below(40) {
            0..=11 => self.prompt(number, client, session).await,
            12..=18 => self.attach(client, session).await,
            19..=22 => self.read(client, session).await,
            23..=24 => self.burst(number, client).await,
            25..=26 => self.leave(client, session).await,
            27 => self.kill(at).await,
            28..=29 => self.restart(at).await,
            30 => self.drain(at).await,
            31 => self.undrain(at).await,
            32 => self.replace(client).await,
            33 => self.rest().await,
            34 => self.cancel(client, session).await,
            35..=36 => self.trouble(at),
            _ => self.settle().await,
        }
        for cli in &self.cli {
            let most = cli.most_live();
            assert!(
                most <= SEATS * self.proxies.len(),
                "{most} sessions were live at {}: {:?}",
                cli.name(),
                cli.live()
            );
        }
    }

    /// Every client makes some sessions, and comes to some of another one.
    pub async fn fill(&mut self) {
        for session in 0..SESSIONS {
            self.attach(session % CLIENTS, session).await;
            self.say(usize::MAX, session % CLIENTS, session).await;
            if session % 3 == 0 {
                self.settle().await;
                self.attach((session + 1) % CLIENTS, session).await;
            }
        }
    }

    async fn prompt(&mut self, number: usize, client: usize, session: usize) {
        // One that it has, if there is one.
        let held: Vec<_> = (0..SESSIONS).filter(|session| self.holds[client][*session]).collect();
        let Some(session) = held.get(session % held.len().max(1)).copied() else { return };
        self.say(number, client, session).await;
        if self.chance.below(4) == 0 {
            self.settle().await;
        }
    }

    async fn say(&mut self, number: usize, client: usize, session: usize) {
        let text = format!("step {number} of {} by {client}", id(session));
        let of = &self.clients[client].client;
        let before = of.heard(&id(session)).len();
        let sent = of.start("session.send", json!({"sessionId": id(session), "prompt": text})).await;
        self.calls += 1;
        self.turns.push(Turn { client, session, text, sent, before });
    }

    /// A client says something in all of its sessions at once.
    async fn burst(&mut self, number: usize, client: usize) {
        for session in (0..SESSIONS).filter(|session| self.holds[client][*session]).collect::<Vec<_>>() {
            self.say(number, client, session).await;
        }
    }

    /// Something that is no turn.
    async fn read(&mut self, client: usize, session: usize) {
        if self.holds[client][session] {
            let of = &self.clients[client].client;
            let sent = of.start("session.getMessages", json!({"sessionId": id(session)})).await;
            self.calls += 1;
            self.reads.push(Read { client, session, sent });
        }
    }

    /// A read that is taken back at once.
    async fn cancel(&mut self, client: usize, session: usize) {
        if self.holds[client][session] {
            let of = &self.clients[client].client;
            let token = json!(format!("cancelled-{}", self.calls));
            let sent = of.start_as(token.clone(), "session.getMessages", json!({"sessionId": id(session)})).await;
            of.notify("$/cancelRequest", json!({"id": token})).await;
            self.calls += 1;
            self.reads.push(Read { client, session, sent });
        }
    }

    async fn attach(&mut self, client: usize, session: usize) {
        if self.holds[client][session] {
            return;
        }
        // A create over what is on the disk begins anew, so only what nobody ever made is created.
        let new = self.finished[session].is_empty()
            && !self.holds.iter().any(|held| held[session])
            && !self.storage().sessions().contains(&id(session));
        let method = if new { "session.create" } else { "session.resume" };
        let params = json!({"sessionId": id(session)});
        for _ in 0..2 {
            self.calls += 1;
            match self.clients[client].client.call(method, params.clone()).await {
                Ok(_) => {
                    self.holds[client][session] = true;
                    return;
                }
                // Its last turn may have been its first, and cut.
                Err(error) if error.code == -32603 && error.message.contains("Session not found") => return,
                Err(error) if error.code == -32603 && error.message.contains("trouble") => return,
                Err(error) => self.refused(method, session, &error),
            }
        }
    }

    async fn leave(&mut self, client: usize, session: usize) {
        if !std::mem::take(&mut self.holds[client][session]) {
            return;
        }
        self.turns.retain(|turn| (turn.client, turn.session) != (client, session));
        self.reads.retain(|read| (read.client, read.session) != (client, session));
        self.calls += 1;
        let gone = self.clients[client].client.call("session.detach", json!({"sessionId": id(session)})).await;
        if let Err(error) = gone {
            self.refused("session.detach", session, &error);
        }
    }

    pub async fn kill(&mut self, at: usize) {
        // Somebody has to be left, or calls wait until they are given up.
        if self.dead[at] || (self.taking() == 1 && !self.drained[at]) || self.taking() == 0 {
            return;
        }
        let how = if self.chance.below(2) == 0 { Close::Fin } else { Close::Rst };
        self.cli[at].die(how);
        self.dead[at] = true;
    }

    async fn restart(&mut self, at: usize) {
        if self.dead[at] {
            self.cli[at].restart().await;
            self.dead[at] = false;
            if !self.drained[at] {
                self.until_state(at, "up").await;
            }
        }
    }

    async fn until_state(&self, at: usize, state: &str) {
        for proxy in &self.proxies {
            until_state(proxy, at, state).await;
        }
    }

    async fn drain(&mut self, at: usize) {
        if self.drained[at] || self.dead[at] || self.taking() < 2 {
            return;
        }
        for proxy in &self.proxies {
            let (code, why) = order(proxy, &format!("/backends/{}/drain", name(at))).await;
            // The proxy may not know yet of one that is back.
            assert!((200..300).contains(&code) || code == 409, "{code} {why}");
            self.drained[at] |= code != 409;
        }
    }

    async fn undrain(&mut self, at: usize) {
        if self.drained[at] {
            for proxy in &self.proxies {
                let (code, why) = order(proxy, &format!("/backends/{}/undrain", name(at))).await;
                assert!((200..300).contains(&code) || self.proxies.len() > 1, "{code} {why}");
            }
            self.drained[at] = false;
            if !self.dead[at] {
                self.until_state(at, "up").await;
            }
        }
    }

    /// A client goes, perhaps in the middle of turns, and another one comes in its place for some of its sessions.
    pub async fn replace(&mut self, client: usize) {
        let at = self.chance.below(self.proxies.len());
        let fresh = self.caller(at).await;
        let old = std::mem::replace(&mut self.clients[client], fresh);
        (0..SESSIONS).for_each(|session| assert_once(&old.client, &id(session)));
        self.turns.retain(|turn| turn.client != client);
        self.reads.retain(|read| read.client != client);
        let how = if self.chance.below(2) == 0 { Close::Fin } else { Close::Rst };
        old.client.cut(how).await;
        let held = std::mem::replace(&mut self.holds[client], [false; SESSIONS]);
        for session in (0..SESSIONS).filter(|session| held[*session]) {
            if self.chance.below(3) > 0 {
                self.attach(client, session).await;
            }
        }
    }

    /// Nobody says anything until every session is closed for its idleness.
    async fn rest(&mut self) {
        self.settle().await;
        self.as_usual();
        for cli in &self.cli {
            for session in cli.live() {
                cli.wait_for_live(&session, false).await;
            }
        }
    }

    /// The next close or resume does not go well.
    fn trouble(&mut self, at: usize) {
        if self.dead[at] || self.taking() < 2 {
            return;
        }
        let method = ["sessions.close", "session.resume"][self.chance.below(2)];
        let late = std::time::Duration::from_millis(1000);
        let act = match self.chance.below(4) {
            0 => Act::Delay(late),
            1 => Act::End(Close::Fin),
            2 => Act::End(Close::Rst),
            _ => Act::Fail { code: -32603, message: format!("Request {method} failed with message: trouble") },
        };
        self.cli[at].next(1, method, act);
    }

    pub fn as_usual(&self) {
        self.cli.iter().for_each(FakeCli::as_usual);
    }

    /// Every turn that is under way ends, for its client; every answer comes.
    pub async fn settle(&mut self) {
        for turn in std::mem::take(&mut self.turns) {
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
        for read in std::mem::take(&mut self.reads) {
            if let Err(error) = read.sent.answer().await {
                self.failed("session.getMessages", read.client, read.session, &error);
            }
        }
    }

    fn failed(&mut self, what: &str, client: usize, session: usize, error: &RpcError) {
        self.refused(what, session, error);
        if error.code == -32012 {
            self.holds[client][session] = false;
        }
    }

    fn refused(&mut self, what: &str, session: usize, error: &RpcError) {
        *self.refusals.entry(error.code).or_default() += 1;
        let fine = [-32010, -32011, -32012, -32800].contains(&error.code) || self.may_refuse(error.code);
        assert!(fine, "{what} of {}: {error:?}", id(session));
    }

    /// With several proxies: one that was stopped has lost what it held.
    fn may_refuse(&self, code: i64) -> bool {
        self.proxies.len() > 1 && code == -32016
    }

    /// Everybody is back: every session that anybody holds answers with all that had ended.
    pub async fn audit(&mut self) {
        self.settle().await;
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

    fn assert_kept(&self, session: usize, told: &Value) {
        let events = told["events"].as_array().expect("events");
        let said: Vec<&str> = events.iter().filter_map(|event| event["data"]["content"].as_str()).collect();
        let forgotten: Vec<_> = self.finished[session].iter().filter(|text| !said.contains(&text.as_str())).collect();
        assert!(forgotten.is_empty(), "{} has forgotten {forgotten:?}", id(session));
    }
}
