//! Where the torture happens: two Redis servers, four proxies, and what is done to them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::sleep,
};

use super::{Dice, PROXIES, TTL, child, clock, relay::Relay};
use crate::store::server::Server;

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// What the proxies said, each with its number.
    pub lines: Vec<(usize, String)>,
    /// When which proxy was killed.
    pub killed: Vec<(usize, u64)>,
    /// From when the store was gone until when it, or another one, was there.
    pub losses: Vec<(u64, u64)>,
    /// How often each thing was done.
    pub done: [u64; 6],
}

struct Actor {
    number: usize,
    process: Child,
}

/// The stage.
pub struct Stage {
    dice: Dice,
    servers: [Server; 2],
    /// Which of the two is the master.
    master: usize,
    relay: Relay,
    actors: Vec<Actor>,
    born: usize,
    seen: Arc<Mutex<Seen>>,
    steps: Arc<AtomicU64>,
}

impl Stage {
    pub async fn set(seed: u64) -> Self {
        let servers = [Server::start().await, Server::start().await];
        let relay = Relay::to(servers[0].port).await;
        servers[1].command(&["REPLICAOF", "127.0.0.1", &relay.port.to_string()]).await;
        let mut this = Self {
            dice: Dice(seed),
            servers,
            master: 0,
            relay,
            actors: Vec::new(),
            born: 0,
            seen: Arc::default(),
            steps: Arc::default(),
        };
        for _ in 0..PROXIES {
            let actor = this.bear();
            this.actors.push(actor);
        }
        this
    }

    /// Goes on until there were so many steps, and everything was done at least once.
    pub async fn play(&mut self, steps: u64) {
        let mut next = 0;
        while self.steps.load(Ordering::Relaxed) < steps || next < 5 {
            sleep(self.dice.between(200, 700)).await;
            // Each thing once, then by chance.
            let deed = if next < 5 { next } else { self.dice.below(6) };
            next += 1;
            match deed {
                0 => self.stop_a_proxy().await,
                1 => self.kill_a_proxy().await,
                2 => self.kill_the_store().await,
                3 => self.stop_the_store().await,
                4 => self.replace_the_store().await,
                _ => {}
            }
            self.seen.lock().expect("a lock").done[deed as usize] += 1;
        }
        // The last loss may have been a moment ago.
        sleep(Duration::from_millis(500)).await;
    }

    /// Ends everybody; gives what was seen.
    pub async fn end(mut self) -> Seen {
        for actor in &mut self.actors {
            actor.process.kill().await.expect("killed");
            self.seen.lock().expect("a lock").killed.push((actor.number, clock()));
        }
        // What they said before is read to the end by tasks of ours.
        while Arc::strong_count(&self.seen) > 1 {
            tokio::task::yield_now().await;
        }
        std::mem::take(&mut self.seen.lock().expect("a lock"))
    }

    fn bear(&mut self) -> Actor {
        let number = self.born;
        self.born += 1;
        let addresses: Vec<String> = self.servers.iter().map(Server::address).collect();
        let mut process = child::spawn(&format!("proxy{number}"), self.dice.below(u64::MAX), &addresses);
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let (seen, steps) = (self.seen.clone(), self.steps.clone());
        tokio::spawn(async move {
            let mut before: u64 = 0;
            while let Ok(Some(line)) = lines.next_line().await {
                let Some((_, said)) = line.split_once('@') else { continue };
                if let Some(count) = said.strip_prefix("steps ") {
                    let count: u64 = count.split(' ').next().and_then(|count| count.parse().ok()).expect("a number");
                    steps.fetch_add(count - before, Ordering::Relaxed);
                    before = count;
                }
                seen.lock().expect("a lock").lines.push((number, said.to_owned()));
            }
        });
        Actor { number, process }
    }

    fn pick(&mut self) -> usize {
        self.dice.below(PROXIES as u64) as usize
    }

    async fn stop_a_proxy(&mut self) {
        let index = self.pick();
        let pid = self.actors[index].process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("a pid");
        kill_process(pid, Signal::STOP).expect("it runs");
        sleep(TTL * 3).await;
        kill_process(pid, Signal::CONT).expect("it runs");
    }

    async fn kill_a_proxy(&mut self) {
        let (index, actor) = (self.pick(), self.bear());
        let mut old = std::mem::replace(&mut self.actors[index], actor);
        old.process.kill().await.expect("killed");
        self.seen.lock().expect("a lock").killed.push((old.number, clock()));
    }

    async fn kill_the_store(&mut self) {
        let gone = clock();
        self.servers[self.master].kill().await;
        sleep(self.dice.between(0, 300)).await;
        self.servers[self.master].revive().await;
        self.lost(gone);
    }

    async fn stop_the_store(&mut self) {
        let server = &self.servers[self.master];
        server.signal(Signal::STOP);
        let pause = self.dice.between(50, 900);
        sleep(pause).await;
        server.signal(Signal::CONT);
    }

    /// The replica has not heard the last changes when it takes over.
    async fn replace_the_store(&mut self) {
        self.relay.hold_back();
        sleep(self.dice.between(20, 400)).await;
        let gone = clock();
        self.servers[self.master].kill().await;
        sleep(self.dice.between(0, 200)).await;
        let (old, new) = (self.master, 1 - self.master);
        assert_eq!(self.servers[new].command(&["REPLICAOF", "NO", "ONE"]).await, "+OK\r\n");
        self.lost(gone);
        self.master = new;
        self.relay = Relay::to(self.servers[new].port).await;
        self.servers[old].revive_as_replica(self.relay.port).await;
    }

    fn lost(&self, gone: u64) {
        self.seen.lock().expect("a lock").losses.push((gone, clock()));
    }
}
