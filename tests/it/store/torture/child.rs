//! One proxy, in a process of its own: this test binary, told to run this one test with its part in the environment.

use std::{
    collections::HashMap,
    io::Write,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use pilotfish::store::{Locked, RedisSettings, Renewed, Store, Told, Waiter};
use tokio::process::{Child, Command};

use super::{Dice, KEYS, TTL, clock};
use crate::store::{
    key,
    proxy::{Proxy, settings},
};

const PART: &str = "PILOTFISH_TORTURE_PART";

/// Starts a proxy; what it does comes on its standard output.
pub fn spawn(name: &str, seed: u64, addresses: &[String]) -> Child {
    let this = std::env::current_exe().expect("this program");
    Command::new(this)
        .args(["--exact", "store::torture::child::a_proxy_of_the_torture", "--nocapture"])
        .env(PART, format!("{name} {seed} {}", addresses.join(" ")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this program again")
}

/// Ends at once where nobody gave it a part.
#[tokio::test]
async fn a_proxy_of_the_torture() {
    let Ok(part) = std::env::var(PART) else { return };
    let words: Vec<&str> = part.split(' ').collect();
    let [name, seed, addresses @ ..] = &words[..] else { panic!("{part}") };
    let parsed = addresses.iter().map(|address| address.parse().expect("an address")).collect();
    let settings = RedisSettings { addresses: parsed, ttl: TTL, ..settings(name, addresses[0]) };
    let proxy = Proxy::start(settings).await;
    let holds = Arc::new(Mutex::new(HashMap::new()));
    tokio::spawn(hear(proxy.listen(), holds.clone()));
    let mut player =
        Player { proxy, holds, dice: Dice(seed.parse().expect("a seed")), turn: 0, steps: 0, waits: [None; KEYS] };
    loop {
        player.step().await;
    }
}

#[derive(Clone, Copy)]
struct Held {
    token: u64,
    until: Instant,
}

type Holds = Arc<Mutex<HashMap<usize, Held>>>;

/// When the store was lost, nothing is held any more.
async fn hear(mut told: tokio::sync::broadcast::Receiver<Told>, holds: Holds) {
    loop {
        if let Ok(Told::Up { lost: true }) = told.recv().await {
            for (lock, held) in holds.lock().expect("a lock").drain() {
                say(&format!("end {lock} {} {}", held.token, clock()));
            }
            say(&format!("lost {}", clock()));
        }
    }
}

/// One line, at once: who is killed next has said it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("@{line}\n").as_bytes()).expect("somebody listens");
    out.flush().expect("somebody listens");
}

/// A moment of the near future or past on the clock that all share.
fn on_the_clock(moment: Instant) -> u64 {
    let (now, shared) = (Instant::now(), clock());
    match moment.checked_duration_since(now) {
        Some(ahead) => shared + ahead.as_nanos() as u64,
        None => shared.saturating_sub(now.duration_since(moment).as_nanos() as u64),
    }
}

struct Player {
    proxy: Proxy,
    holds: Holds,
    dice: Dice,
    turn: u64,
    steps: u64,
    /// With which number we stand in line for each lock.
    waits: [Option<u64>; KEYS],
}

impl Player {
    async fn step(&mut self) {
        let lock = self.pick();
        let held = self.holds.lock().expect("a lock").get(&lock).copied();
        let counts = match (held, self.dice.below(10)) {
            (None, 0) if self.waits[lock].is_some() => self.give_up(lock).await,
            (None, _) => self.acquire(lock).await,
            (Some(held), 0..4) => self.renew(lock, held).await,
            // Who has heard that the store is away keeps what it has.
            (Some(held), 4..8) if self.proxy.is_up() => self.release(lock, held).await,
            (Some(_), _) => {
                tokio::time::sleep(self.dice.between(1, 4)).await;
                true
            }
        };
        // Who is told to wait has done nothing.
        if counts {
            self.steps += 1;
            if self.steps.is_multiple_of(50) {
                let lost = self.proxy.metric(r#"pilotfish_leases_lost_total{reason="restart"}"#)
                    + self.proxy.metric(r#"pilotfish_leases_lost_total{reason="failover"}"#);
                say(&format!("steps {} {lost}", self.steps));
            }
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Half of the time one that is held.
    fn pick(&mut self) -> usize {
        let any = self.dice.below(KEYS as u64) as usize;
        let held: Vec<usize> = self.holds.lock().expect("a lock").keys().copied().collect();
        if held.is_empty() || self.dice.below(2) == 0 { any } else { held[any % held.len()] }
    }

    async fn acquire(&mut self, lock: usize) -> bool {
        let number = *self.waits[lock].get_or_insert_with(|| {
            self.turn += 1;
            self.turn
        });
        let waiter = Waiter { number, label: "player".into(), lines_up: self.dice.below(4) > 0 };
        let losses = self.proxy.losses();
        match self.proxy.lock(&key(&lock.to_string()), &waiter).await {
            Ok(Locked::Held(hold)) => {
                self.waits[lock] = None;
                self.begin(lock, Held { token: hold.token, until: hold.until }, losses, "begin");
                true
            }
            Ok(Locked::Busy { .. }) | Err(_) => false,
        }
    }

    /// Believes that it holds the lock from now on, unless it knows better.
    fn begin(&self, lock: usize, held: Held, losses: u64, word: &str) {
        let mut holds = self.holds.lock().expect("a lock");
        if self.proxy.losses() != losses || Instant::now() >= held.until {
            return;
        }
        holds.insert(lock, held);
        say(&format!("{word} {lock} {} {} {}", held.token, clock(), on_the_clock(held.until)));
    }

    async fn renew(&self, lock: usize, held: Held) -> bool {
        let (losses, sent) = (self.proxy.losses(), Instant::now());
        match self.proxy.renew_locks(&[(key(&lock.to_string()), held.token)]).await.as_deref() {
            Ok([Renewed::Until { until, .. }]) => {
                self.begin(lock, Held { until: *until, ..held }, losses, "again");
                true
            }
            Ok(_) => {
                self.taken(lock, held, losses, sent);
                true
            }
            Err(_) => false,
        }
    }

    async fn release(&self, lock: usize, held: Held) -> bool {
        // From here on we do not act as its holder.
        self.forget(lock, held);
        let (losses, sent) = (self.proxy.losses(), Instant::now());
        match self.proxy.unlock(&key(&lock.to_string()), held.token).await {
            Ok(true) => say(&format!("released {lock} {} {}", held.token, clock())),
            Ok(false) => self.taken(lock, held, losses, sent),
            Err(_) => return false,
        }
        true
    }

    async fn give_up(&mut self, lock: usize) -> bool {
        let Some(number) = self.waits[lock].take() else { return true };
        self.proxy.leave_line(&key(&lock.to_string()), number).await.is_ok()
    }

    /// It is not ours any more. Said to be wrong if we had every reason to think that it is.
    fn taken(&self, lock: usize, held: Held, losses: u64, sent: Instant) {
        self.forget(lock, held);
        if sent < held.until && self.proxy.losses() == losses {
            say(&format!("taken {lock} {} {}", held.token, on_the_clock(sent)));
        }
    }

    fn forget(&self, lock: usize, held: Held) {
        let mut holds = self.holds.lock().expect("a lock");
        if holds.get(&lock).is_some_and(|now| now.token == held.token) {
            holds.remove(&lock);
            say(&format!("end {lock} {} {}", held.token, clock()));
        }
    }
}
