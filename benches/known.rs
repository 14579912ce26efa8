//! What a million known sessions cost in memory, and how long a look-up among them takes, without any socket.
//! `cargo bench --bench known`; `-- --quick` shows with a hundredth of them that it runs.
//!
//! Memory is the process's resident memory, so what the allocator keeps counts. The look-ups go over random ids, whose bytes
//! are in the cache as those of a message that was just read are; the table is not. The clock's own cost is in the figures.
#![forbid(unsafe_code)]

use std::{
    fs,
    hint::black_box,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use pilotfish::{
    pool::Member,
    session::{Attachment, Bell, Registry, relocation::Cause},
    tenancy::{Owner, Owners, Recorded},
};

const TENANTS: usize = 16;
/// Sessions of one client.
const OF_A_CLIENT: usize = 1_000;

fn main() -> ExitCode {
    // `cargo bench -- --quick` shows that it runs.
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (known, parked, looks) = if quick { (10_000, 1_000, 10_000) } else { (1_000_000, 100_000, 1_000_000) };
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let ids = ids(known, &mut random);
    println!("{:<44} {:>9} {:>9} {:>9} {:>9}", "look-up, ns", "p50", "p99", "p99.9", "longest");
    let outcome = look_up("nothing but the clock", &ids, looks, &mut random, |id| !id.is_empty())
        .and_then(|()| owners(&ids, looks, &mut random))
        .and_then(|()| rest(&ids[..parked]))
        .and_then(|()| pins(&ids, looks, &mut random));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

/// The records of who owns a session.
fn owners(ids: &[String], looks: usize, random: &mut Random) -> Result<(), String> {
    let known = ids.len();
    let before = resident();
    let owners = Owners::new();
    for (at, id) in ids.iter().enumerate() {
        // As a record comes from the store: names of its own, a user in each.
        let owner = Owner { tenant: tenant(at).into(), user: Some(format!("user-{:05}", at % 10_000).into()) };
        if owners.record(id, owner) != Recorded::New {
            return Err(format!("{id} was not recorded"));
        }
    }
    let mebibytes = (resident() - before) / 1024.0;
    println!("{known} recorded owners: {mebibytes:.0} MiB, {:.0} bytes each", mebibytes * 1048576.0 / known as f64);
    look_up(&format!("owner, {known} known"), ids, looks, random, |id| owners.find(id).is_some())?;
    let (stop, others) = (AtomicBool::new(false), self::ids(OF_A_CLIENT, random));
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                for (at, id) in others.iter().enumerate() {
                    owners.record(id, Owner { tenant: tenant(at).into(), user: None });
                    owners.forget(id);
                }
            }
        });
        let name = format!("owner, {known} known, another thread writes");
        let outcome = look_up(&name, ids, looks, random, |id| owners.find(id).is_some());
        stop.store(true, Relaxed);
        outcome
    });
    keep(owners);
    outcome
}

/// The pins of live sessions.
fn pins(ids: &[String], looks: usize, random: &mut Random) -> Result<(), String> {
    let known = ids.len();
    let (registry, home) = (Arc::new(Registry::new(Duration::from_secs(5))), home());
    let before = resident();
    let held = attach(&registry, &home, ids, false)?;
    let each = (resident() - before) * 1024.0 / known as f64;
    println!("{known} live sessions in the registry: {each:.0} bytes each, their clients' entries not counted");
    let now = Instant::now();
    look_up(&format!("pin, {known} live"), ids, looks, random, |id| registry.find(id, now).is_some())?;
    let took = Instant::now();
    black_box(registry.census());
    println!("counting them by state for the metrics: {:.1} ms", took.elapsed().as_secs_f64() * 1e3);
    keep(held);
    Ok(())
}

/// Sessions that live nowhere.
fn rest(ids: &[String]) -> Result<(), String> {
    let parked = ids.len();
    let (registry, home) = (Arc::new(Registry::new(Duration::from_secs(5))), home());
    let before = resident();
    let held = attach(&registry, &home, ids, true)?;
    let each = (resident() - before) * 1024.0 / parked as f64;
    println!("{parked} parked sessions in the registry: {each:.0} bytes each, their clients' entries not counted");
    keep(held);
    Ok(())
}

/// Clients claim all of `ids`; with `park` each is closed at its backend at once, as an idle one is.
fn attach(registry: &Arc<Registry>, home: &Arc<Member>, ids: &[String], park: bool) -> Result<Vec<Attachment>, String> {
    let now = Instant::now();
    let mut held = Vec::with_capacity(ids.len());
    for (number, some) in ids.chunks(OF_A_CLIENT).enumerate() {
        let bell = Arc::new(Bell::new(number as u32 + 1));
        for id in some {
            let claim = registry.claim(id, &bell, now, || Some(home.clone()));
            let attachment = claim.ok_or_else(|| format!("{id} has no home"))?.attachment;
            let live = attachment.live();
            if park {
                live.begin_move(Cause::Idle, None, now);
                live.relocate(|course| course.quiet(bell.client()));
                live.step(bell.client());
                live.closed(bell.client());
                bell.take();
            }
            if live.is_parked() != park {
                return Err(format!("{id} is not as it should be"));
            }
            held.push(attachment);
        }
    }
    Ok(held)
}

fn home() -> Arc<Member> {
    Arc::new(Member::new("bench".into(), "cli-0".into(), 1, None))
}

/// Times `looks` single look-ups of random ids.
fn look_up(
    name: &str,
    ids: &[String],
    looks: usize,
    random: &mut Random,
    find: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let mut times = Vec::with_capacity(looks);
    let mut id = String::new();
    for _ in 0..looks {
        id.clear();
        id.push_str(&ids[random.below(ids.len())]);
        let start = Instant::now();
        let found = black_box(find(black_box(&id)));
        let took = start.elapsed();
        if !found {
            return Err(format!("{name}: {id} was not found"));
        }
        times.push(took.as_nanos() as u64);
    }
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!("{name:<44} {:>9} {:>9} {:>9} {:>9}", at(0.5), at(0.99), at(0.999), at(1.0));
    Ok(())
}

fn tenant(at: usize) -> String {
    format!("tenant-{:02}", at % TENANTS)
}

/// Ids as an SDK makes them.
fn ids(count: usize, random: &mut Random) -> Vec<String> {
    let one = |random: &mut Random| {
        let (high, low) = (random.next(), random.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xFFFF,
            high & 0xFFF,
            low >> 52,
            low & 0xFFFF_FFFF_FFFF
        )
    };
    (0..count).map(|_| one(random)).collect()
}

/// Keeps it until the process ends: what would be given back now would be taken again by the next part, and not be counted.
fn keep<T>(value: T) {
    std::mem::forget(value);
}

/// Resident KiB of this process.
fn resident() -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0.0)
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }
}
