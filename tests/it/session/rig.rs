//! What every scenario stands on: some fake CLIs, pilotfish in front of them, and clients.

use std::{fmt::Write as _, net::SocketAddr};

use pilotfish::balance::{self, Candidate};
use serde_json::{Value, json};

use crate::{
    fake_cli::{FakeCli, Gate, Options, Step, Storage},
    process::Pilotfish,
    rpc_client::{RpcClient, RpcError},
};

/// How a rig is built. The texts are lines of TOML for the table that each is named after.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    pub backends: usize,
    pub storage: &'a str,
    pub listener: &'a str,
    pub session: &'a str,
    pub timeouts: &'a str,
    pub pool: &'a str,
    pub health: &'a str,
    pub shutdown: &'a str,
    /// Whole tables behind everything else.
    pub more: &'a str,
    /// Behind each backend's name and address, by its number.
    pub backend: fn(usize) -> &'static str,
    /// The token that the fakes want.
    pub token: Option<&'a str>,
    pub env: &'a [(&'a str, &'a str)],
}

/// Backends are checked often, are down after two failures, and get a lot of time to answer, for the machine may be busy.
pub const OFTEN: &str = "interval = \"100ms\"\ntimeout = \"3s\"\nrise = 1\nfall = 2\nslow_start = \"0s\"";

/// After its first check a backend is not looked at again: the proxy has to find out by itself that it is dead.
pub const ONCE: &str = "interval = \"1h\"\ntimeout = \"3s\"\nrise = 1\nfall = 2\nslow_start = \"0s\"\npassive = false";

impl Default for Plan<'_> {
    fn default() -> Self {
        Self {
            backends: 1,
            storage: "shared",
            listener: "",
            session: "",
            timeouts: "",
            pool: "",
            health: OFTEN,
            shutdown: "drain_timeout = \"5s\"",
            more: "",
            backend: |_| "",
            token: None,
            env: &[],
        }
    }
}

impl Plan<'_> {
    /// The config with the pool's backends at `addresses`.
    pub fn config(&self, addresses: &[SocketAddr]) -> String {
        let mut list = String::new();
        for (at, address) in addresses.iter().enumerate() {
            let more = (self.backend)(at);
            writeln!(list, "  {{ name = \"{}\", address = \"{address}\"{more} }},", name(at)).expect("memory");
        }
        let Self { storage, listener, session, timeouts, pool, health, shutdown, more, .. } = self;
        format!(
            r#"
[log]
level = "info,pilotfish::serve=debug"
[admin]
bind = "127.0.0.1:0"
[shutdown]
{shutdown}
[[listener]]
name = "sdk"
bind = "127.0.0.1:0"
pool = "copilot"
{listener}
[listener.session]
{session}
[listener.session.timeouts]
{timeouts}
[pool.copilot]
storage = "{storage}"
backends = [
{list}]
{pool}
[pool.copilot.health]
{health}
{more}
"#
        )
    }
}

/// The name of backend number `at`.
pub fn name(at: usize) -> String {
    format!("cli-{}", at + 1)
}

/// Fakes with pilotfish in front of them.
pub struct Rig {
    pub cli: Vec<FakeCli>,
    pub proxy: Pilotfish,
}

impl Rig {
    /// `backends` fakes on shared storage, all of them up.
    pub async fn new(backends: usize) -> Self {
        Self::with(Plan { backends, ..Plan::default() }).await
    }

    /// Fakes and a proxy as planned, all backends up.
    pub async fn with(plan: Plan<'_>) -> Self {
        let mut cli = Vec::new();
        let shared = Storage::default();
        for at in 0..plan.backends {
            let storage = if plan.storage == "shared" { shared.clone() } else { Storage::default() };
            let token = plan.token.map(Into::into);
            cli.push(FakeCli::with(&name(at), Options { token, storage, ..Options::default() }).await);
        }
        let rig = Self::over(plan, cli).await;
        for at in 0..rig.cli.len() {
            rig.up(at).await;
        }
        rig
    }

    /// A proxy in front of these fakes. Nobody waits for them to be up.
    pub async fn over(plan: Plan<'_>, cli: Vec<FakeCli>) -> Self {
        let addresses: Vec<SocketAddr> = cli.iter().map(FakeCli::addr).collect();
        let proxy = Pilotfish::start_with(&plan.config(&addresses), plan.env).await;
        Self { cli, proxy }
    }

    /// Waits until backend number `at` has been told up (for the first time).
    pub async fn up(&self, at: usize) {
        self.proxy.wait_for_line(&format!("backend is up pool=\"copilot\" backend=\"{}\"", name(at))).await;
    }

    /// Waits until backend number `at` has been told down (for the first time).
    pub async fn down(&self, at: usize) {
        self.proxy.wait_for_line(&format!("backend is down pool=\"copilot\" backend=\"{}\"", name(at))).await;
    }

    /// A client that has said nothing.
    pub async fn stranger(&self) -> RpcClient {
        RpcClient::connect(self.proxy.addr("sdk")).await
    }

    /// A client that is connected.
    pub async fn client(&self) -> RpcClient {
        let client = self.stranger().await;
        client.call("connect", json!({"clientInfo": {"name": "it"}})).await.expect("connected");
        client
    }

    /// A client whose own backend, for what has no session, is number `at`.
    pub async fn client_at(&self, at: usize) -> RpcClient {
        for number in 0.. {
            let (client, name) = (self.stranger().await, format!("at-{at}-{number}"));
            client.call("connect", json!({"clientInfo": {"name": name}})).await.expect("connected");
            let frames = self.cli[at].frames();
            if frames.iter().any(|frame| frame.params()["clientInfo"]["name"] == name.as_str()) {
                return client;
            }
        }
        unreachable!("clients spread over all backends")
    }

    /// The number of the fake where `session` is live.
    pub fn home(&self, session: &str) -> usize {
        let homes: Vec<usize> =
            (0..self.cli.len()).filter(|at| self.cli[*at].live().iter().any(|live| live == session)).collect();
        assert_eq!(homes.len(), 1, "session {session} is live in {homes:?}");
        homes[0]
    }

    /// The connection of `session`'s client at backend number `at`.
    pub fn conn(&self, at: usize, session: &str) -> usize {
        let frames = self.cli[at].frames();
        frames.iter().rev().find(|frame| frame.session() == session).expect("a frame of the session").conn
    }

    /// Everything that reached backend number `at` over the client's connection `conn`, as methods.
    pub fn heard(&self, at: usize, conn: usize) -> Vec<String> {
        let frames = self.cli[at].frames();
        frames.iter().filter(|frame| frame.conn == conn).map(|frame| frame.method().to_owned()).collect()
    }

    /// Makes every later turn wait at a gate before its answer.
    pub fn gate(&self) -> Gate {
        let gate = Gate::new();
        for cli in &self.cli {
            cli.turns(vec![Step::Delta("one".into()), Step::Wait(gate.clone()), Step::Delta("two".into())]);
        }
        gate
    }
}

/// An id, `prefix` and a number, whose hash home among `backends` equal ones is number `home`. It is computed here with
/// nothing of the proxy's state, so that it also holds what it says: the mapping is the same in every process.
pub fn id_at(prefix: &str, backends: usize, home: usize) -> String {
    let home_of = |id: &str| order(id, backends)[0];
    (0..).map(|number| format!("{prefix}-{number}")).find(|id| home_of(id) == home).expect("one of a few")
}

/// Backends in the hash order of `id`.
pub fn order(id: &str, backends: usize) -> Vec<usize> {
    let candidates =
        (0..backends).map(|at| (Candidate { seed: balance::name_seed(&name(at)), weight: 1, load: 0, ramp: 1.0 }, at));
    balance::order(balance::hash_key(id.as_bytes()), candidates)
}

/// Makes `session`.
pub async fn create(client: &RpcClient, session: &str) {
    let made = client.call("session.create", json!({"sessionId": session})).await.expect("created");
    assert_eq!(made["sessionId"], session);
}

/// Sends a prompt; its turn goes on.
pub async fn prompt(client: &RpcClient, session: &str) -> Result<Value, RpcError> {
    client.call("session.send", json!({"sessionId": session, "prompt": "hi"})).await
}

/// A whole turn.
pub async fn turn(client: &RpcClient, session: &str) {
    prompt(client, session).await.expect("a live session");
    client.next_event(session, "session.idle").await;
}

/// Checks an error of ours: code, reason, and whether to try again.
pub fn assert_ours(error: &RpcError, code: i64, reason: &str) {
    assert_eq!((error.code, error.data["reason"].as_str()), (code, Some(reason)), "{error:?}");
    assert!(error.data["retryable"].is_boolean(), "{error:?}");
}
