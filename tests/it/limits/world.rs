//! Backends with very few seats, proxies before them, and clients that do anything at all.

use serde_json::json;

use crate::{
    fake_cli::{Close, FakeCli, Options, Step, Storage},
    moves::{
        chance::Chance,
        checks::{assert_once, until_state},
    },
    process::Pilotfish,
    rpc_client::{Pending, RpcClient},
    session::rig::{Plan, name},
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
pub struct Turn {
    pub client: usize,
    pub session: usize,
    pub text: String,
    pub sent: Pending,
    pub before: usize,
}

/// A request that somebody waits for.
pub struct Read {
    pub client: usize,
    pub session: usize,
    pub sent: Pending,
}

pub struct Caller {
    pub client: RpcClient,
    pub at: usize,
}

pub struct World {
    pub cli: Vec<FakeCli>,
    pub proxies: Vec<Pilotfish>,
    pub config: String,
    pub chance: Chance,
    pub clients: Vec<Caller>,
    /// Which clients have which sessions.
    pub holds: Vec<[bool; SESSIONS]>,
    pub dead: [bool; BACKENDS],
    pub drained: [bool; BACKENDS],
    /// Prompts whose turns ended without an error, by session: these may never be forgotten.
    pub finished: Vec<Vec<String>>,
    pub turns: Vec<Turn>,
    pub reads: Vec<Read>,
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
        Caller { client, at }
    }

    /// Idle sessions with clients at several proxies are never parked, so only few may be.
    fn is_at_home(&self, client: usize, session: usize) -> bool {
        session < BACKENDS || session % self.proxies.len() == self.clients[client].at
    }

    /// How many backends would take a session.
    pub(super) fn taking(&self) -> usize {
        (0..BACKENDS).filter(|at| !self.dead[*at] && !self.drained[*at]).count()
    }

    /// Something at random.
    pub async fn step(&mut self) {
        let (at, client, session) =
            (self.chance.below(BACKENDS), self.chance.below(CLIENTS), self.chance.below(SESSIONS));
        match self.chance.below(40) {
            0..=11 => self.prompt(client, session).await,
            12..=18 => self.attach(client, session).await,
            19..=22 => self.read(client, session).await,
            23..=24 => self.burst(client).await,
            25..=26 => self.leave(client, session).await,
            27 => self.kill(at).await,
            28..=29 => self.restart(at).await,
            30 => self.drain(at).await,
            31 => self.undrain(at).await,
            32 => self.replace(client).await,
            // What clients of several proxies have is never closed for its idleness.
            33 if self.proxies.len() == 1 => self.rest().await,
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
            let first = (0..CLIENTS).map(|client| (client + session) % CLIENTS);
            let mut first = first.filter(|client| self.is_at_home(*client, session)).collect::<Vec<_>>().into_iter();
            let Some(client) = first.next() else { continue };
            self.attach(client, session).await;
            self.say(client, session).await;
            if let Some(other) = first.next().filter(|_| session % 3 == 0) {
                self.settle().await;
                self.attach(other, session).await;
            }
        }
    }

    async fn prompt(&mut self, client: usize, session: usize) {
        self.say_somewhere(client, session).await;
        if self.chance.below(4) == 0 {
            self.settle().await;
        }
    }

    /// In one that it has, if there is one.
    async fn say_somewhere(&mut self, client: usize, session: usize) {
        let held: Vec<_> = (0..SESSIONS).filter(|session| self.holds[client][*session]).collect();
        if let Some(session) = held.get(session % held.len().max(1)) {
            self.say(client, *session).await;
        }
    }

    async fn say(&mut self, client: usize, session: usize) {
        let text = format!("call {} of {} by {client}", self.calls, id(session));
        let of = &self.clients[client].client;
        let before = of.heard(&id(session)).len();
        let sent = of.start("session.send", json!({"sessionId": id(session), "prompt": text})).await;
        self.calls += 1;
        self.turns.push(Turn { client, session, text, sent, before });
    }

    /// A client says something in all of its sessions at once.
    async fn burst(&mut self, client: usize) {
        for session in (0..SESSIONS).filter(|session| self.holds[client][*session]).collect::<Vec<_>>() {
            self.say(client, session).await;
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
        if self.holds[client][session] || !self.is_at_home(client, session) {
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

    /// A client goes, perhaps in the middle of turns, and another one comes in its place for some of its sessions.
    async fn replace(&mut self, client: usize) {
        let at = self.chance.below(self.proxies.len());
        self.replace_by(client, at).await;
    }

    async fn replace_by(&mut self, client: usize, at: usize) {
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

    /// A step of the clients of proxy number `at` alone.
    pub async fn step_of(&mut self, at: usize) {
        let mine: Vec<_> = (0..CLIENTS).filter(|client| self.clients[*client].at == at).collect();
        let Some(client) = mine.get(self.chance.below(mine.len())).copied() else { return };
        let session = self.chance.below(SESSIONS);
        match self.chance.below(10) {
            0..=4 => self.say_somewhere(client, session).await,
            5..=7 => self.attach(client, session).await,
            8 => self.read(client, session).await,
            _ => self.settle_but(1 - at).await,
        }
    }

    /// The clients of proxy number `at`, which is gone, come to the other ones.
    pub async fn flee(&mut self, at: usize) {
        for client in 0..CLIENTS {
            if self.clients[client].at == at {
                self.replace_by(client, (at + 1) % self.proxies.len()).await;
            }
        }
    }
}
