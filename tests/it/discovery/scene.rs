//! Fakes on addresses of their own with one port, and a proxy that finds them.

use std::{fmt::Write as _, net::SocketAddr};

use serde_json::{Value, json};

use crate::{
    deadline::within,
    fake_cli::{FakeCli, Gate, Options, Step, Storage},
    moves::checks::say,
    process::Pilotfish,
    rpc_client::RpcClient,
    session::{
        admin,
        rig::{OFTEN, name},
    },
};

pub struct Scene {
    pub cli: Vec<FakeCli>,
    pub storage: Storage,
    pub port: u16,
}

impl Scene {
    /// So many fakes, on one disk: number 0 is `cli-1` at 127.0.0.2, and so on.
    pub async fn new(count: usize) -> Self {
        let mut scene = Self { cli: Vec::new(), storage: Storage::default(), port: 0 };
        for at in 0..count {
            scene.add(&name(at), &address(at)).await;
        }
        scene
    }

    /// One more.
    pub async fn add(&mut self, name: &str, ip: &str) {
        let options = Options { storage: self.storage.clone(), ..Options::default() };
        let addr: SocketAddr = (ip.parse::<std::net::IpAddr>().expect("an address"), self.port).into();
        let cli = FakeCli::at(name, addr, options).await;
        self.port = cli.addr().port();
        self.cli.push(cli);
    }

    /// Makes every later turn wait at a gate.
    pub fn gate(&self) -> Gate {
        let gate = Gate::new();
        for cli in &self.cli {
            cli.turns(vec![Step::Delta("one".into()), Step::Wait(gate.clone()), Step::Delta("two".into())]);
        }
        gate
    }

    /// Begins a turn of `session` that waits at a gate. Gives back the gate, and how much `client` had heard before.
    pub async fn long_turn(&self, client: &RpcClient, session: &str) -> (Gate, usize) {
        let before = client.heard(session).len();
        let gate = self.gate();
        say(client, session, "long").await;
        gate.reached(1).await;
        (gate, before)
    }

    /// The number of the only fake where `session` is live.
    pub fn home(&self, session: &str) -> usize {
        let homes: Vec<usize> = (0..self.cli.len()).filter(|at| self.has(*at, session)).collect();
        assert_eq!(homes.len(), 1, "session {session} is live in {homes:?}");
        homes[0]
    }

    pub fn has(&self, at: usize, session: &str) -> bool {
        self.cli[at].live().iter().any(|live| live == session)
    }
}

/// The address of fake number `at`.
pub fn address(at: usize) -> String {
    format!("127.0.0.{}", at + 2)
}

/// A proxy whose pool is found as `discovery` says.
pub async fn proxy(discovery: &str) -> Pilotfish {
    Pilotfish::start(&config(discovery)).await
}

pub fn config(discovery: &str) -> String {
    let mut text = String::new();
    write!(
        text,
        r#"
[log]
level = "info,pilotfish::serve=debug"
[admin]
bind = "127.0.0.1:0"
[shutdown]
drain_timeout = "5s"
[[listener]]
name = "sdk"
bind = "127.0.0.1:0"
pool = "copilot"
[pool.copilot]
storage = "shared"
rehome_wait = "8s"
move_timeout = "3s"
discovery = {{ {discovery} }}
[pool.copilot.health]
{OFTEN}
"#
    )
    .expect("memory");
    text
}

pub async fn client(proxy: &Pilotfish) -> RpcClient {
    let client = RpcClient::connect(proxy.addr("sdk")).await;
    client.call("connect", json!({"clientInfo": {"name": "it"}})).await.expect("connected");
    client
}

/// The backends as the admin listener tells them: name, address, state.
pub async fn backends(proxy: &Pilotfish) -> Vec<(String, String, String)> {
    let page = admin::status(proxy).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = page["pools"][0]["backends"].as_array().cloned().unwrap_or_default();
    let mut all: Vec<_> =
        all.iter().map(|one| (text(&one["name"]), text(&one["address"]), text(&one["state"]))).collect();
    all.sort();
    all
}

/// Waits until they are as wanted: names and states.
pub async fn until(proxy: &Pilotfish, wanted: &[(&str, &str)]) {
    let wait = async {
        loop {
            let all = backends(proxy).await;
            let states: Vec<_> = all.iter().map(|(name, _, state)| (name.as_str(), state.as_str())).collect();
            if states == wanted {
                return;
            }
        }
    };
    within(|| format!("{wanted:?}; pilotfish printed\n{}", proxy.output()), wait).await;
}

/// Waits until a value of `/metrics` has grown beyond `above`; gives back what it is.
pub async fn counted(proxy: &Pilotfish, series: &str, above: f64) -> f64 {
    let wait = async {
        loop {
            let (_, text) = admin::page(proxy, "/metrics").await;
            let value = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
            if let Some(value) = value.filter(|value| *value > above) {
                return value;
            }
        }
    };
    within(|| format!("{series} above {above}; pilotfish printed\n{}", proxy.output()), wait).await
}

/// Waits until the source has been asked `times` times more, with this outcome.
pub async fn asked(proxy: &Pilotfish, outcome: &str, times: u32) {
    let series = format!("pilotfish_discovery_updates_total{{outcome=\"{outcome}\",pool=\"copilot\"}}");
    let before = counted(proxy, &series, -1.0).await;
    counted(proxy, &series, before + f64::from(times) - 0.5).await;
}
